"""``dawnchorus probe fit | evaluate``: a classifier of one's own from labelled clips."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnchorus.cli import options
from dawnchorus.cli import predict as predicting
from dawnchorus.cli.renamed import renamed, renamed_command
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dawnchorus.annotations.annotation_row import Purpose
    from dawnchorus.clips.build import ImportedClips
    from dawnchorus.probing.evaluate import EvaluationReport
    from dawnchorus.probing.fit import ProbeReport

# old names, which work for one version and name the new ones
INPUT_FLAGS = {"--format": "--input-format"}


@renamed({**INPUT_FLAGS, "--nothing": "--background", "--probe": "--probe-type"})
def fit(
    labels: options.MaybeLabelledClips = None,
    *,
    output: Annotated[Path, options.output("Folder of the probe.")],
    annotations: options.Annotations = None,
    label: options.Label = None,
    any_purpose: options.AnyPurpose = False,
    form: options.InputFormat = None,
    audio: options.Audio = None,
    column: options.Columns = None,
    separator: options.Separator = None,
    model: options.Model = None,
    store: options.FromStore = None,
    window: options.Window = None,
    readout: options.Readout = None,
    layers: options.Layers = None,
    pooling: options.Pooling = None,
    kind: options.ProbeType = "linear",
    multi_label: Annotated[
        bool | None,
        typer.Option(
            "--multi-label/--single-label",
            help="Any number of labels per clip, or exactly one. Default: detected from the clips.",
        ),
    ] = None,
    background: options.Background = None,
    unannotated: options.Unannotated = False,
    group_by: options.GroupBy = None,
    target_precision: Annotated[
        float | None,
        typer.Option(
            help="Choose thresholds so that this share of the detections is right (default 0.9)."
        ),
    ] = None,
    target_recall: Annotated[
        float | None,
        typer.Option(help="Choose thresholds so that this share of the calls is found, instead."),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(
            help="Probability that a threshold reaches its target on other recordings. 0: take the "
            "threshold that does best on these clips, which misses it elsewhere half of the time."
        ),
    ] = 0.8,
    calibration: Annotated[
        str, typer.Option(help="Method: auto, none, temperature, platt_shared, platt or isotonic.")
    ] = "auto",
    few_shot: options.FewShot = None,
    seed: options.Seed = 0,
    device: options.Device = None,
    workers: options.Workers = None,
    cache: options.Cache = None,
    no_cache: options.NoCache = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Fit a probe on labelled clips: calibrated scores, a threshold for each class, a report.

    Clips of split val choose and calibrate; without them that is done by folds of whole recordings.
    Clips of split test are left alone.

    With --annotations the judged spans of an annotation table are the clips.

    Example: dawnchorus probe fit clips.csv -o wren.probe
    """
    from dawnchorus.cli.output import watched
    from dawnchorus.configs import FitConfig, ProbeRunConfig
    from dawnchorus.probing.fit import probe_fit
    from dawnchorus.probing.report import class_rows, fit_lines, write_report

    # heads, methods and their ranges are checked by the config, with the names that are known
    choices: dict[str, Any] = {"probe_type": kind, "seed": seed}
    config = ProbeRunConfig(
        **_config(background, unannotated, group_by, device, workers),
        **options.given(
            window_s=window,
            readout=readout,
            layers=layers,
            pooling=pooling,
            multi_label=multi_label,
            target_precision=target_precision,
            target_recall=target_recall,
            confidence=confidence,
            few_shot=options.counts("--few-shot", few_shot),
            calibration=calibration,
        ),
        fit=FitConfig(**choices),
    )
    if annotations is None:
        clips = _read(labels, form, audio, column, separator, quiet=quiet)
    else:
        _only_annotations(labels, form, column, separator)
        only: Purpose | None = None if any_purpose else "train"
        clips = _annotated(str(annotations), audio, store, label, only, quiet=quiet)
    with watched(quiet=quiet) as progress:
        report = probe_fit(
            clips,
            output,
            config=config,
            cache=_cache(cache, no_cache=no_cache),
            overwrite=overwrite,
            progress=progress,
            **options.given(model=model, store=store),
        )
    write_report(report)  # after the probe is saved: without matplotlib, that is not lost
    rows = [] if report.evaluation is None else class_rows(report.evaluation)
    code = _close(report, fit_lines(report), rows, as_json=as_json, quiet=quiet)
    if not as_json:
        print(report.folder)
    return code


@renamed({**INPUT_FLAGS, "--nothing": "--background"})
def evaluate(
    probe: Annotated[Path, typer.Argument(help="Folder of the probe.")],
    labels: options.MaybeLabelledClips = None,
    *,
    output: Annotated[Path | None, options.output("Folder for a page and a picture.")] = None,
    annotations: options.Annotations = None,
    label: options.Label = None,
    any_purpose: options.AnyPurpose = False,
    form: options.InputFormat = None,
    audio: options.Audio = None,
    column: options.Columns = None,
    separator: options.Separator = None,
    split: options.Split = None,
    seen: Annotated[
        bool, typer.Option("--seen", help="Score the clips that the probe was fitted on too.")
    ] = False,
    model: options.Model = None,
    store: options.FromStore = None,
    background: options.Background = None,
    unannotated: options.Unannotated = False,
    group_by: options.GroupBy = None,
    device: options.Device = None,
    workers: options.Workers = None,
    cache: options.Cache = None,
    no_cache: options.NoCache = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Score a probe on labelled clips; those of files that it was fitted on are left out.

    Example: dawnchorus probe evaluate wren.probe more_clips.csv
    """
    from dawnchorus.cli.output import watched
    from dawnchorus.configs import ProbeRunConfig
    from dawnchorus.probing.evaluate import probe_evaluate
    from dawnchorus.probing.report import class_rows, evaluation_lines, write_evaluation

    if annotations is None:
        clips = _read(labels, form, audio, column, separator, quiet=quiet)
    else:
        _only_annotations(labels, form, column, separator)
        only: Purpose | None = None if any_purpose else "estimate"
        clips = _annotated(str(annotations), audio, store, label, only, quiet=quiet)
    clips = _of_split(clips, split)
    with watched(quiet=quiet) as progress:
        report = probe_evaluate(
            probe,
            clips,
            config=ProbeRunConfig(**_config(background, unannotated, group_by, device, workers)),
            seen=seen,
            cache=_cache(cache, no_cache=no_cache),
            progress=progress,
            **options.given(model=model, store=store),
        )
    if output is not None:
        write_evaluation(report, probe, output)
    rows = class_rows(report.evaluation)
    return _close(report, evaluation_lines(report), rows, as_json=as_json, quiet=quiet)


def _with_a_probe(command: Callable[..., int]) -> Callable[..., int]:
    """``predict`` with the probe as its first argument: what ``predict --probe`` was before."""

    @renamed_command("predict --probe FOLDER")
    def predict(probe: Path, paths: list[str] | None = None, **given: Any) -> int:
        """Name what is heard in recordings, window by window, with a probe."""
        return command(paths=paths, probe=probe, **given)

    # the options are read off the signature, so they cannot differ from those of predict
    theirs = inspect.signature(command, eval_str=True)
    first = inspect.Parameter(
        "probe",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        annotation=Annotated[Path, typer.Argument(help="Folder of the probe.")],
    )
    others = [p for p in theirs.parameters.values() if p.name != "probe"]
    signature = theirs.replace(parameters=[first, *others])
    predict.__signature__ = signature  # type: ignore[attr-defined]  # what typer reads
    predict.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return predict


subcommands = [fit, evaluate, _with_a_probe(predicting.command)]


def _config(
    background: list[str] | None,
    unannotated: bool,
    group_by: str | None,
    device: str | None,
    workers: int | None,
) -> dict[str, Any]:
    """The fields of a config that fit and evaluate share, as far as they were given."""
    return options.given(
        background=tuple(background) if background else None,
        unannotated=unannotated or None,
        group_by=options.names(group_by),
        device=device,
        workers=workers,
    )


def _only_annotations(labels: object, form: object, column: object, separator: object) -> None:
    given = {"labels": labels, "--input-format": form, "--column": column, "--separator": separator}
    for name, value in given.items():
        if value:
            raise UsageError(f"--annotations and {name} exclude each other; label import adds both")


def _annotated(
    name: str,
    audio: Path | None,
    store: str | None,
    label: str | None,
    purpose: Purpose | None,
    *,
    quiet: bool,
) -> ImportedClips:
    """Judged spans of an annotation table, whose recordings lie where those of its store do."""
    from dawnchorus.cli.findings import say_notes
    from dawnchorus.cli.label_tables import open_annotations, stored_root
    from dawnchorus.probing.annotated import annotated_clips

    table = open_annotations(name)
    folder = audio or stored_root(store or name) or table.folder.parent
    clips = annotated_clips(table, folder, purpose=purpose, label=label)
    if not quiet:
        say_notes(clips.notes)
    return clips


def _read(
    labels: Sequence[Path] | None,
    form: str | None,
    audio: Path | None,
    column: list[str] | None,
    separator: str | None,
    *,
    quiet: bool,
) -> ImportedClips:
    from dawnchorus.cli.findings import say_notes
    from dawnchorus.probing.labels import FORMS, read_labels

    if not labels:
        raise UsageError("need labelled clips: a table, a folder for each label, or --annotations")
    chosen = next((name for name in FORMS if name == form), None)
    if form is not None and chosen is None:
        raise UsageError(f"--input-format {form!r}; known: {', '.join(FORMS)}")
    clips = read_labels(
        labels,
        form=chosen,
        audio=audio,
        columns=options.pairs("--column", column),
        separator=separator,
    )
    if not quiet:
        say_notes(clips.notes)
    return clips


def _of_split(clips: ImportedClips, split: str | None) -> ImportedClips:
    from dataclasses import replace

    if split is None or split == "all":
        return clips
    part = clips.manifest.where(split=split)
    if not len(part):
        raise UsageError(f"--split {split}: {clips.manifest.named} has no such clip")
    return replace(clips, manifest=part)


def _cache(named: Path | None, *, no_cache: bool) -> Path | None:
    from dawnchorus.embedding.cache import cache_folder

    return None if no_cache else named or cache_folder()


def _close(
    report: ProbeReport | EvaluationReport,
    lines: Iterable[str],
    rows: Sequence[Sequence[str]],
    *,
    as_json: bool,
    quiet: bool,
) -> int:
    """Print what was measured; returns the exit code."""
    from dawnchorus.cli.findings import say_left_out
    from dawnchorus.cli.output import print_json, print_table, say
    from dawnchorus.cli.runs import SOME_FAILED
    from dawnchorus.probing.report import CLASS_HEADINGS

    for line in () if quiet else lines:
        say(line)
    if as_json:
        print_json(report.to_json())
    elif rows:
        print_table(CLASS_HEADINGS, rows)
    say_left_out([failure.message for failure in report.failures])
    return SOME_FAILED if report.failures else 0
