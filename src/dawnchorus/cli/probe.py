"""``dawnchorus probe fit | evaluate | predict``: a classifier of one's own from labelled clips."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnchorus.cli import options
from dawnchorus.cli import predict as predicting
from dawnchorus.cli.renamed import renamed
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dawnchorus.clips.build import ImportedClips
    from dawnchorus.probing.evaluate import EvaluationReport
    from dawnchorus.probing.fit import ProbeReport

INPUT_FLAGS = {"--format": "--input-format"}


@renamed({**INPUT_FLAGS, "--nothing": "--background", "--probe": "--probe-type"})
def fit(
    labels: options.LabelledClips,
    *,
    output: Annotated[Path, options.output("Folder of the probe.")],
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
    nothing: options.Background = None,
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

    Example: dawnchorus probe fit clips.csv -o wren.probe
    """
    from dawnchorus.cli.output import progress
    from dawnchorus.configs import FitConfig, ProbeRunConfig
    from dawnchorus.probing.fit import probe_fit
    from dawnchorus.probing.report import write_report

    kinds: dict[str, Any] = {"probe_type": kind, "seed": seed}  # checked by the config
    config = ProbeRunConfig(
        **options.given(
            window_s=window,
            readout=readout,
            layers=layers,
            pooling=pooling,
            device=device,
            workers=workers,
            multi_label=multi_label,
            nothing=tuple(nothing) if nothing else None,
            unannotated=unannotated or None,
            group_by=options.names(group_by),
            target_precision=target_precision,
            target_recall=target_recall,
            confidence=confidence,
            few_shot=options.counts("--few-shot", few_shot),
            calibration=calibration,
        ),
        fit=FitConfig(**kinds),
    )
    made = _read(labels, form, audio, column, separator, quiet=quiet)
    with progress(len(made.manifest), "embedding", quiet=quiet, unit="clips") as advance:
        report = probe_fit(
            made,
            output,
            config=config,
            cache=_cache(cache, no_cache=no_cache),
            overwrite=overwrite,
            progress=advance,
            **options.given(model=model, store=store),
        )
    write_report(report)
    return _close_fit(report, as_json=as_json, quiet=quiet)


@renamed({**INPUT_FLAGS, "--nothing": "--background"})
def evaluate(
    probe: Annotated[Path, typer.Argument(help="Folder of the probe.")],
    labels: options.LabelledClips,
    *,
    output: Annotated[Path | None, options.output("Folder for a page and a picture.")] = None,
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
    nothing: options.Background = None,
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
    from dawnchorus.cli.output import progress
    from dawnchorus.configs import ProbeRunConfig
    from dawnchorus.probing.evaluate import probe_evaluate
    from dawnchorus.probing.report import write_evaluation

    config = ProbeRunConfig(
        **options.given(
            device=device,
            workers=workers,
            nothing=tuple(nothing) if nothing else None,
            unannotated=unannotated or None,
            group_by=options.names(group_by),
        )
    )
    made = _of_split(_read(labels, form, audio, column, separator, quiet=quiet), split)
    with progress(len(made.manifest), "embedding", quiet=quiet, unit="clips") as advance:
        report = probe_evaluate(
            probe,
            made,
            config=config,
            seen=seen,
            cache=_cache(cache, no_cache=no_cache),
            progress=advance,
            **options.given(model=model, store=store),
        )
    if output is not None:
        write_evaluation(report, probe, output)
    return _close_evaluation(report, as_json=as_json, quiet=quiet)


def _with_a_probe(command: Callable[..., int]) -> Callable[..., int]:
    """``predict`` with the probe as its first argument, so that the options cannot differ."""

    def predict(probe: Path, paths: list[str] | None = None, **given: Any) -> int:
        """Name what is heard in recordings, window by window, with a probe.

        Options and outputs are those of dawnchorus predict. Windows are as long as those that the
        probe was fitted on; rows are scores that reach the threshold of their class, unless
        --threshold or --top-k is given.

        Example: dawnchorus probe predict wren.probe recordings/ -o detections.csv
        """
        return command(paths=paths, probe=probe, **given)

    theirs = inspect.signature(command, eval_str=True)
    first = inspect.Parameter(
        "probe",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        annotation=Annotated[Path, typer.Argument(help="Folder of the probe.")],
    )
    rest = [p for p in theirs.parameters.values() if p.name != "probe"]
    signature = theirs.replace(parameters=[first, *rest])
    predict.__signature__ = signature  # type: ignore[attr-defined]  # what typer reads
    predict.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return predict


subcommands = [fit, evaluate, _with_a_probe(predicting.command)]


def _read(
    labels: Sequence[Path],
    form: str | None,
    audio: Path | None,
    column: list[str] | None,
    separator: str | None,
    *,
    quiet: bool,
) -> ImportedClips:
    from dawnchorus.cli.findings import say_notes
    from dawnchorus.probing.labels import FORMS, read_labels

    chosen = next((name for name in FORMS if name == form), None)
    if form is not None and chosen is None:
        raise UsageError(f"--input-format {form!r}; known: {', '.join(FORMS)}")
    made = read_labels(
        labels,
        form=chosen,
        audio=audio,
        columns=options.pairs("--column", column),
        separator=separator,
    )
    if not quiet:
        say_notes(made.notes)
    return made


def _of_split(made: ImportedClips, split: str | None) -> ImportedClips:
    from dataclasses import replace

    if split in {None, "all"}:
        return made
    part = made.manifest.where(split=split)
    if not len(part):
        raise UsageError(f"--split {split}: {made.manifest.named} has no such clip")
    return replace(made, manifest=part)


def _cache(named: Path | None, *, no_cache: bool) -> Path | None:
    from dawnchorus.embedding.cache import cache_folder

    return None if no_cache else named or cache_folder()


def _close_fit(report: ProbeReport, *, as_json: bool, quiet: bool) -> int:
    """Print what a fit found; returns the exit code."""
    from dawnchorus.cli.output import print_json, print_table, say
    from dawnchorus.probing.report import CLASS_HEADINGS, class_rows

    if not quiet:
        for line in _fit_lines(report):
            say(line)
    if as_json:
        print_json(
            {"probe": report.folder, **_facts(report), "notes": report.probe.notes.to_json()}
        )
    else:
        if report.measured is not None:
            print_table(
                CLASS_HEADINGS, class_rows(report.measured.classes, report.measured.thresholds)
            )
        print(report.folder)
    return _code(report.bad)


def _facts(report: ProbeReport) -> dict[str, Any]:
    names = ("n_clips", "n_windows", "n_groups", "n_cached", "n_test", "warnings", "seconds")
    bad = [{"path": path, "verdict": word, "message": said} for path, word, said in report.bad]
    return {**{name: getattr(report, name) for name in names}, "bad": bad}


def _fit_lines(report: ProbeReport) -> Iterator[str]:
    from dawnchorus.probing.report import REPORT, remarks, score_lines
    from dawnchorus.probing.scores import calibration_notes

    yield (
        f"{report.n_clips} clips ({report.n_cached} embedded before) of {report.n_groups} "
        f"recordings; encoding {report.seconds['encoding']:.1f} s, fitting "
        f"{report.seconds['fitting']:.1f} s"
    )
    if report.n_test:
        yield f"{report.n_test} clips of split test were left alone"
    for warning in report.warnings:
        yield f"warning: {warning}"
    measured = report.measured
    if measured is not None:
        yield f"scores are of {measured.held_out.how}"
        yield from score_lines(measured.scores)
        errors = calibration_notes(measured.calibrated, measured.held_out.truth)
        yield (
            f"calibration: {measured.calibrated.calibration.method}; error of the first guess "
            f"{errors['before']['ece_mass_first_guess']:.3f} before, "
            f"{errors['after']['ece_mass_first_guess']:.3f} after"
        )
        yield f"thresholds are for a {measured.target}"
        if all(found.value is None for found in measured.thresholds):
            yield (
                "no class has a threshold, so probe predict names nothing unless you choose: give "
                "it --threshold or --top-k, or fit again with more clips, a lower "
                "--target-precision, or --confidence 0"
            )
        yield from remarks(measured.thresholds)
    yield f"the whole report: {report.folder / REPORT}"


def _close_evaluation(report: EvaluationReport, *, as_json: bool, quiet: bool) -> int:
    from dawnchorus.cli.output import print_json, print_table, say
    from dawnchorus.probing.report import CLASS_HEADINGS, class_rows, evaluation_lines

    if not quiet:
        for line in evaluation_lines(report):
            say(line)
    if as_json:
        print_json(report.to_json())
    else:
        print_table(CLASS_HEADINGS, class_rows(report.classes, report.thresholds))
    return _code(report.bad)


def _code(bad: Sequence[tuple[str, str, str]]) -> int:
    from dawnchorus.cli.findings import say_left_out
    from dawnchorus.cli.runs import SOME_FAILED

    say_left_out([message for _, _, message in bad])
    return SOME_FAILED if bad else 0
