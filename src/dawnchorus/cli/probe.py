"""``dawnchorus probe fit | evaluate``: a classifier of one's own from labelled clips."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnchorus.cli import options
from dawnchorus.cli import predict as predicting
from dawnchorus.cli.flag_record import OutputFlags, command_of
from dawnchorus.cli.renamed import renamed, renamed_command
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dawnchorus.annotations.annotation_row import Purpose
    from dawnchorus.clips.build import ImportedClips
    from dawnchorus.configs import ProbeRunConfig
    from dawnchorus.probing.evaluate import EvaluationReport
    from dawnchorus.probing.fit import ProbeReport

# old names, which work for one version and name the new ones
INPUT_FLAGS = {"--format": "--input-format"}


@dataclass(frozen=True, kw_only=True)
class ProbeFlags(OutputFlags):
    """What `probe fit` and `probe evaluate` have in common: labelled clips, and their vectors."""

    annotations: options.Annotations = None
    label: options.Label = None
    any_purpose: options.AnyPurpose = False
    form: options.InputFormat = None
    audio: options.Audio = None
    column: options.Columns = None
    separator: options.Separator = None
    model: options.Model = None
    store: options.FromStore = None
    background: options.Background = None
    unannotated: options.Unannotated = False
    group_by: options.GroupBy = None
    device: options.Device = None
    backend: options.Backend = None
    workers: options.Workers = None
    cache: options.Cache = None
    no_cache: options.NoCache = False

    def clips(self, labels: Sequence[Path] | None, purpose: Purpose) -> ImportedClips:
        """The labelled clips: of tables and folders, or judged spans of an annotation table.

        Raises:
            UsageError: Neither was given, or both, or in no form that is known.
        """
        from dawnchorus.cli.findings import say_notes

        clips = self._read(labels) if self.annotations is None else self._judged(labels, purpose)
        if not self.quiet:
            say_notes(clips.notes)
        return clips

    def _read(self, labels: Sequence[Path] | None) -> ImportedClips:
        from dawnchorus.probing.labels import FORMS, read_labels

        for flag, value in {"--label": self.label, "--any-purpose": self.any_purpose}.items():
            if value:
                raise UsageError(f"{flag} chooses among annotations; name them: --annotations")
        if not labels:
            raise UsageError(
                "need labelled clips: a table, a folder for each label, or --annotations"
            )
        chosen = next((name for name in FORMS if name == self.form), None)
        if self.form is not None and chosen is None:
            raise UsageError(f"--input-format {self.form!r}; known: {', '.join(FORMS)}")
        return read_labels(
            labels,
            form=chosen,
            audio=self.audio,
            columns=options.pairs("--column", self.column),
            separator=self.separator,
        )

    def _judged(self, labels: Sequence[Path] | None, purpose: Purpose) -> ImportedClips:
        """Judged spans, whose recordings lie where those of the table's store do."""
        from dawnchorus.cli.label_tables import open_annotations, stored_root
        from dawnchorus.probing.annotated import annotated_clips

        others = {"labels": labels, "--input-format": self.form, "--column": self.column,
                  "--separator": self.separator}  # fmt: skip
        for flag in (flag for flag, value in others.items() if value):
            raise UsageError(f"--annotations and {flag} exclude each other; label import adds both")
        name = str(self.annotations)
        table = open_annotations(name)
        folder = self.audio or stored_root(self.store or name) or table.folder.parent
        asked = None if self.any_purpose else purpose
        return annotated_clips(table, folder, purpose=asked, label=self.label)

    def run_values(self) -> dict[str, Any]:
        """Fields of a `ProbeRunConfig`, as far as they were given."""
        return options.given(
            background=tuple(self.background) if self.background else None,
            unannotated=self.unannotated or None,
            group_by=options.names(self.group_by),
            device=self.device,
            backend=self.backend,
            workers=self.workers,
        )

    def vectors_from(self) -> dict[str, Any]:
        """Where the clips' vectors come from, as keywords of `probe_fit` and `probe_evaluate`."""
        from dawnchorus.paths import cache_folder

        cache = None if self.no_cache else self.cache or cache_folder()
        return {"cache": cache, **options.given(model=self.model, store=self.store)}


@dataclass(frozen=True, kw_only=True)
class FitFlags(ProbeFlags):
    """Flags of ``dawnchorus probe fit``."""

    labels: options.MaybeLabelledClips = None
    output: Annotated[Path, options.output("Folder of the probe.")]
    window: options.Window = None
    readout: options.Readout = None
    layers: options.Layers = None
    pooling: options.Pooling = None
    kind: options.ProbeType = "linear"
    multi_label: Annotated[
        bool | None,
        typer.Option(
            "--multi-label/--single-label",
            help="Any number of labels per clip, or exactly one. Default: detected from the clips.",
        ),
    ] = None
    target_precision: Annotated[
        float | None,
        typer.Option(
            help="Choose thresholds so that this share of the detections is right (default 0.9)."
        ),
    ] = None
    target_recall: Annotated[
        float | None,
        typer.Option(help="Choose thresholds so that this share of the calls is found, instead."),
    ] = None
    confidence: Annotated[
        float,
        typer.Option(
            help="Probability that a threshold reaches its target on other recordings. 0: take the "
            "threshold that does best on these clips, which misses it elsewhere half of the time."
        ),
    ] = 0.8
    calibration: Annotated[
        str, typer.Option(help="Method: auto, none, temperature, platt_shared, platt or isotonic.")
    ] = "auto"
    few_shot: options.FewShot = None
    seed: options.Seed = 0
    overwrite: options.Overwrite = False

    def config(self) -> ProbeRunConfig:
        """How the probe is fitted; heads, methods and ranges are checked by the config.

        Raises:
            UsageError: A value is none that it may have.
        """
        from dawnchorus.configs import FitConfig, ProbeRunConfig

        choices: dict[str, Any] = {"probe_type": self.kind, "seed": self.seed}
        same = ("readout", "layers", "pooling", "multi_label", "target_precision", "target_recall",
                "confidence", "calibration")  # fmt: skip
        return ProbeRunConfig(
            **self.run_values(),
            **options.given(
                window_s=self.window,
                few_shot=options.counts("--few-shot", self.few_shot),
                **{name: getattr(self, name) for name in same},
            ),
            fit=FitConfig(**choices),
        )


@renamed({**INPUT_FLAGS, "--nothing": "--background", "--probe": "--probe-type"})
@command_of(FitFlags)
def fit(flags: FitFlags) -> int:
    """Fit a probe on labelled clips: calibrated scores, a threshold for each class, a report.

    Clips of split val choose and calibrate; without them that is done by folds of whole recordings.
    Clips of split test are left alone.

    With --annotations the judged spans of an annotation table are the clips.

    Example: dawnchorus probe fit clips.csv -o wren.probe
    """
    from dawnchorus import probe_fit
    from dawnchorus.cli.output import watched
    from dawnchorus.probing.report import class_rows, fit_lines, write_report

    config = flags.config()
    clips = flags.clips(flags.labels, "train")
    with watched(quiet=flags.quiet) as progress:
        report = probe_fit(
            clips,
            flags.output,
            config=config,
            overwrite=flags.overwrite,
            progress=progress,
            **flags.vectors_from(),
        )
    write_report(report)  # after the probe is saved: without matplotlib, that is not lost
    rows = [] if report.evaluation is None else class_rows(report.evaluation)
    code = _close(report, fit_lines(report), rows, flags)
    if not flags.as_json:
        print(report.folder)
    return code


@dataclass(frozen=True, kw_only=True)
class EvaluateFlags(ProbeFlags):
    """Flags of ``dawnchorus probe evaluate``."""

    probe: Annotated[Path, typer.Argument(help="Folder of the probe.")]
    labels: options.MaybeLabelledClips = None
    output: Annotated[Path | None, options.output("Folder for a page and a picture.")] = None
    split: options.Split = None
    seen: Annotated[
        bool, typer.Option("--seen", help="Score the clips that the probe was fitted on too.")
    ] = False


@renamed({**INPUT_FLAGS, "--nothing": "--background"})
@command_of(EvaluateFlags)
def evaluate(flags: EvaluateFlags) -> int:
    """Score a probe on labelled clips; those of files that it was fitted on are left out.

    Example: dawnchorus probe evaluate wren.probe more_clips.csv
    """
    from dawnchorus import probe_evaluate
    from dawnchorus.cli.output import watched
    from dawnchorus.configs import ProbeRunConfig
    from dawnchorus.probing.report import class_rows, evaluation_lines, write_evaluation

    clips = _of_split(flags.clips(flags.labels, "estimate"), flags.split)
    with watched(quiet=flags.quiet) as progress:
        report = probe_evaluate(
            flags.probe,
            clips,
            config=ProbeRunConfig(**flags.run_values()),
            seen=flags.seen,
            progress=progress,
            **flags.vectors_from(),
        )
    if flags.output is not None:
        write_evaluation(report, flags.probe, flags.output)
    return _close(report, evaluation_lines(report), class_rows(report.evaluation), flags)


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


def _of_split(clips: ImportedClips, split: str | None) -> ImportedClips:
    from dataclasses import replace

    if split is None or split == "all":
        return clips
    part = clips.manifest.where(split=split)
    if not len(part):
        raise UsageError(f"--split {split}: {clips.manifest.named} has no such clip")
    return replace(clips, manifest=part)


def _close(
    report: ProbeReport | EvaluationReport,
    lines: Iterable[str],
    rows: Sequence[Sequence[str]],
    flags: ProbeFlags,
) -> int:
    """Print what was measured; returns the exit code."""
    from dawnchorus.cli.findings import say_left_out
    from dawnchorus.cli.output import print_json, print_table, say
    from dawnchorus.cli.runs import SOME_FAILED
    from dawnchorus.probing.report import CLASS_HEADINGS

    for line in () if flags.quiet else lines:
        say(line)
    if flags.as_json:
        print_json(report.to_json())
    elif rows:
        print_table(CLASS_HEADINGS, rows)
    say_left_out([failure.message for failure in report.failures])
    return SOME_FAILED if report.failures else 0
