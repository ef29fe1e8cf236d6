"""What `probe_fit` and `probe_evaluate` found, as tables and as a page to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dawnchorus.probes.few_shot import as_csv, clips_text
from dawnchorus.probes.reliability import figures
from dawnchorus.probing.pictures import plot_curves, plot_reliability
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dawnchorus import metrics
    from dawnchorus.probes.thresholds import ClassThreshold
    from dawnchorus.probing.evaluate import EvaluationReport
    from dawnchorus.probing.fit import ProbeReport
    from dawnchorus.probing.scores import ClassScore, Measured

    Row = tuple[str, ...]

REPORT, PICTURE, CURVE, CURVE_PICTURE = (
    "report.md", "reliability.png", "learning_curve.csv", "learning_curve.png"
)  # fmt: skip
NOTHING: Final = "-"  # a cell for what is not defined
CLASS_HEADINGS: Final = (
    "class", "clips", "recordings", "AP", "recall", "threshold", "precision there", "recall there",
    "ECE",
)  # fmt: skip
WORDS: Final = {
    "accuracy": "accuracy",
    "macro_recall": "macro recall (mean over classes)",
    "mean_average_precision": "mean average precision",
}


def class_rows(classes: Sequence[ClassScore], thresholds: Sequence[ClassThreshold]) -> list[Row]:
    """Cells under `CLASS_HEADINGS`."""
    return [
        (
            row.label,
            str(row.n_clips),
            str(row.n_groups),
            number(row.average_precision),
            span(row.recall, row.recall_low, row.recall_high),
            number(found.value, 3),
            span(found.precision, found.precision_low, found.precision_high),
            span(found.recall, found.recall_low, found.recall_high),
            number(row.calibration_error),
        )
        for row, found in zip(classes, thresholds, strict=True)
    ]


def score_lines(scores: dict[str, metrics.Interval]) -> list[str]:
    """A line for each score of all classes together."""
    return [
        f"{WORDS[name]}: {span(found.value, found.low, found.high)}"
        + (f" ({found.reason})" if found.reason else "")
        for name, found in scores.items()
    ]


def number(value: float | None, digits: int = 2) -> str:
    """A figure, or a dash."""
    return NOTHING if value is None or value != value else f"{value:.{digits}f}"


def span(value: float | None, low: float | None, high: float | None) -> str:
    """A figure with its interval, as far as there is one."""
    if value is None or number(low) == NOTHING:
        return number(value)
    return f"{number(value)} [{number(low)}, {number(high)}]"


def remarks(thresholds: Sequence[ClassThreshold]) -> list[str]:
    """What is to be said of single thresholds."""
    return [f"{found.label}: {found.reason}" for found in thresholds if found.reason]


def write_report(report: ProbeReport) -> None:
    """Write the page and its pictures beside the probe.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    folder = report.folder
    measured = report.measured
    if measured is not None:
        calibrated = measured.calibrated
        plot_reliability(
            folder / PICTURE, calibrated.before, calibrated.after, measured.held_out.truth
        )
    if report.curve:
        write_whole(folder / CURVE, as_csv(report.curve).encode())
        plot_curves(
            folder / CURVE_PICTURE, {report.probe.encoder.name: report.curve}, _measure(report)
        )
    write_whole(folder / REPORT, ("\n".join(_page(report)) + "\n").encode())


def _measure(report: ProbeReport) -> str:
    return "mean average precision" if report.probe.multi_label else "macro recall"


def _page(report: ProbeReport) -> Iterator[str]:
    probe = report.probe
    yield f"# Probe for {len(probe.classes)} classes on {probe.encoder.name}\n"
    yield (
        f"{report.n_clips} clips of {report.n_groups} recordings, {report.n_windows} windows of "
        f"{probe.notes.window_s:g} s. A clip has "
        + ("any number of labels." if probe.multi_label else "one label.")
    )
    if report.n_test:
        yield f"{report.n_test} clips of split test were left alone."
    if report.warnings:
        yield "\n## To mind\n"
        yield from (f"- {warning}" for warning in report.warnings)
    if report.measured is not None:
        yield from _measured(report.measured)
    if report.curve:
        yield from _curve(report)
    yield "\n## How it was made\n"
    yield from _made(report)


def _measured(measured: Measured) -> Iterator[str]:
    yield "\n## How well it does\n"
    yield f"On {measured.held_out.how}. In brackets: 95% intervals over recordings.\n"
    if measured.held_out.n_left_out:
        yield (
            f"{measured.held_out.n_left_out} windows could not be scored: without their own "
            "recordings nothing taught their class.\n"
        )
    yield from (f"- {line}" for line in score_lines(measured.scores))
    yield "\n## Class by class\n"
    yield (
        f"Thresholds are for a {measured.target}, of clips like these; `probe predict` uses "
        "them. Precision and recall are what they give on recordings that did not set them, which "
        "can be less or more than was wanted. In recordings where a class is rarer than here, more "
        "of its detections are wrong: listen to some (`--segments 20`).\n"
    )
    yield from table(CLASS_HEADINGS, class_rows(measured.classes, measured.thresholds))
    said = remarks(measured.thresholds)
    if said:
        yield ""
        yield from (f"- {line}" for line in said)
        yield (
            "\nA class without a threshold gives no detections. `probe predict --threshold 0.5` "
            "gives them at your own risk; `probe fit --confidence 0` finds the thresholds that do "
            "best on these clips, whether or not that can be shown to hold elsewhere."
        )
    yield "\n## Can its scores be believed?\n"
    calibration = measured.calibrated.calibration
    yield f"Calibration: {calibration.method} ({calibration.reason}).\n"
    truth = measured.held_out.truth
    before = figures(measured.calibrated.before, truth)
    after = figures(measured.calibrated.after, truth)
    yield from table(("on clips held out", "before", "after"), calibration_rows(before, after))
    yield f"\n![How often scores are right]({PICTURE})"
    yield (
        "\nPoints on the dashed line: of the scores around 0.8, four in five are right. Bars are "
        "95% intervals, below is how many scores there are."
    )


def calibration_rows(
    before: Mapping[str, float], after: Mapping[str, float]
) -> list[tuple[str, str, str]]:
    """Rows of a table: what is measured, before, after."""
    words = {
        "ece_mass": "expected calibration error, bins of equal mass",
        "ece_width": "expected calibration error, bins of equal width",
        "brier": "Brier score",
    }
    views = {"first_guess": "first guess", "all_scores": "all scores"}
    return [
        (
            f"{text}, {views[view]}",
            f"{before[f'{measure}_{view}']:.3f}",
            f"{after[f'{measure}_{view}']:.3f}",
        )
        for view in views
        for measure, text in words.items()
    ]


def _curve(report: ProbeReport) -> Iterator[str]:
    yield "\n## How many clips are needed\n"
    rows = [
        (clips_text(p), span(p.value, p.low, p.high), str(p.n_draws), str(p.n_short), p.reason)
        for p in report.curve
    ]
    headings = ("clips of each class", _measure(report), "draws", "classes with fewer", "")
    yield from table(headings, rows)
    yield (
        "\nOn the same clips as the scores above, which are of all clips. In brackets: 95% of the "
        f"draws of clips.\n\n![Learning curve]({CURVE_PICTURE})"
    )


def _made(report: ProbeReport) -> Iterator[str]:
    probe = report.probe
    sha256 = probe.encoder.weights_sha256
    facts = {
        "encoder": f"{probe.encoder.name}, weights {sha256[:16] if sha256 else 'of no file'}",
        "readout": str(probe.readout),
        "window": f"{probe.notes.window_s:g} s",
        "probe": probe.config.probe_type,
        "chosen": ", ".join(f"{k} {v:g}" for k, v in (probe.notes.chosen or {}).items()),
        "chosen on": probe.notes.chosen_on or NOTHING,
    }
    yield from (f"- {name}: {value}" for name, value in facts.items())


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A Markdown table; a bar in a cell would end it."""
    yield "| " + " | ".join(headings) + " |"
    yield "|" + "---|" * len(headings)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def evaluation_lines(report: EvaluationReport) -> Iterator[str]:
    """What was scored, what was left out, and the scores of all classes together."""
    yield (
        f"{report.n_clips} clips of {report.n_groups} recordings, {report.n_windows} windows scored"
    )
    if report.n_seen:
        yield f"{report.n_seen} clips are of files that the probe was fitted on"
    if report.n_unknown:
        names = ", ".join(report.unknown[:10])
        yield f"{report.n_unknown} clips have only labels that the probe does not know: {names}"
    yield from score_lines(report.scores)
    yield (
        f"calibration error of the first guess {report.calibration['ece_mass_first_guess']:.3f}, "
        f"of all scores {report.calibration['ece_mass_all_scores']:.3f}"
    )


def write_evaluation(report: EvaluationReport, probe: Path, folder: Path) -> None:
    """Write a page and a picture of an evaluation.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    plot_reliability(folder / PICTURE, None, report.probabilities, report.truth)
    lines = [
        f"# {probe.name} on other clips\n",
        *(f"- {line}" for line in evaluation_lines(report)),
        "\n## Class by class\n",
        "Thresholds are those of the probe. In brackets: 95% intervals over recordings.\n",
        *table(CLASS_HEADINGS, class_rows(report.classes, report.thresholds)),
        f"\n![How often scores are right]({PICTURE})",
    ]
    write_whole(folder / "evaluation.md", ("\n".join(lines) + "\n").encode())
