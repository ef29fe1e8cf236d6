"""What `probe_fit` and `probe_evaluate` measured, as tables and as a page to read.

Pages are Markdown: they read as text on a server without a browser, and the two pictures beside
them are all that HTML would add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dawnchorus.probes.few_shot import as_csv, clips_text
from dawnchorus.probing.pictures import plot_curves, plot_reliability
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dawnchorus.probes.thresholds import ClassThreshold
    from dawnchorus.probing.evaluate import EvaluationReport
    from dawnchorus.probing.fit import ProbeReport
    from dawnchorus.probing.scores import Evaluation

    Row = tuple[str, ...]

REPORT, EVALUATION = "report.md", "evaluation.md"
PICTURE, CURVE, CURVE_PICTURE = "reliability.png", "learning_curve.csv", "learning_curve.png"
UNDEFINED: Final = "-"  # the cell of a figure that is not defined
CLASS_HEADINGS: Final = (
    "class", "clips", "recordings", "AP", "recall", "threshold", "precision there", "recall there",
    "ECE",
)  # fmt: skip
SCORE_NAMES: Final = {
    "accuracy": "accuracy",
    "macro_recall": "macro recall (mean over classes)",
    "mean_average_precision": "mean average precision",
}
ERROR_NAMES: Final = {
    "ece_mass": "expected calibration error, bins of equal mass",
    "ece_width": "expected calibration error, bins of equal width",
    "brier": "Brier score",
}
VIEW_NAMES: Final = {"first_guess": "first guess", "all_scores": "all scores"}


# `class_rows` and `score_lines` serve the terminal and the pages, so that both say the same
def class_rows(evaluation: Evaluation) -> list[Row]:
    """Cells under `CLASS_HEADINGS`."""
    return [
        (
            score.label,
            str(score.n_clips),
            str(score.n_groups),
            number(score.average_precision),
            interval(score.recall, score.recall_low, score.recall_high),
            number(threshold.value, 3),
            interval(threshold.precision, threshold.precision_low, threshold.precision_high),
            interval(threshold.recall, threshold.recall_low, threshold.recall_high),
            number(score.calibration_error),
        )
        for score, threshold in zip(evaluation.classes, evaluation.thresholds, strict=True)
    ]


def score_lines(evaluation: Evaluation) -> list[str]:
    """A line for each score of all classes together."""
    return [
        f"{SCORE_NAMES[name]}: {interval(score.value, score.low, score.high)}"
        + (f" ({score.reason})" if score.reason else "")
        for name, score in evaluation.scores.items()
    ]


def number(value: float | None, digits: int = 2) -> str:
    """A figure, or a dash."""
    return UNDEFINED if value is None or value != value else f"{value:.{digits}f}"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """A figure with its interval, as far as there is one."""
    if value is None or number(low) == UNDEFINED:
        return number(value)
    return f"{number(value)} [{number(low)}, {number(high)}]"


def remarks(thresholds: Sequence[ClassThreshold]) -> list[str]:
    """What single thresholds have to be read with."""
    return [
        f"{threshold.label}: {threshold.reason}" for threshold in thresholds if threshold.reason
    ]


def fit_lines(report: ProbeReport) -> Iterator[str]:
    """What a fit did and measured, for a terminal."""
    yield (
        f"{report.n_clips} clips ({report.n_cached} embedded before) of {report.n_groups} "
        f"recordings; encoding {report.seconds['encoding']:.1f} s, fitting "
        f"{report.seconds['fitting']:.1f} s"
    )
    if report.n_test:
        yield f"{report.n_test} clips of split test were left alone"
    yield from (f"warning: {warning}" for warning in report.warnings)
    evaluation, calibration = report.evaluation, report.probe.calibration
    if evaluation is not None and calibration is not None:  # both, or nothing could be held out
        yield f"scores are of {evaluation.how}"
        yield from score_lines(evaluation)
        before, after = evaluation.errors_before_calibration, evaluation.calibration_errors
        yield (
            f"calibration: {calibration.method}; error of the first guess "
            f"{before['ece_mass_first_guess']:.3f} before, "
            f"{after['ece_mass_first_guess']:.3f} after"
        )
        yield f"thresholds are for a {evaluation.target}"
        if all(threshold.value is None for threshold in evaluation.thresholds):
            yield (
                "no class has a threshold, so predict names nothing unless you choose: give it "
                "--threshold or --top-k, or fit again with more clips, a lower "
                "--target-precision, or --confidence 0"
            )
        yield from remarks(evaluation.thresholds)
    yield f"the whole report: {report.folder / REPORT}"


def write_report(report: ProbeReport) -> None:
    """Write the page and its pictures beside the probe.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    folder, evaluation = report.folder, report.evaluation
    if evaluation is not None:
        plot_reliability(
            folder / PICTURE, evaluation.uncalibrated, evaluation.probabilities, evaluation.truth
        )
    if report.curve:
        write_whole(folder / CURVE, as_csv(report.curve).encode())
        curves = {report.probe.encoder.name: report.curve}
        plot_curves(folder / CURVE_PICTURE, curves, _measure(report))
    _write_page(folder / REPORT, _page(report))


def _measure(report: ProbeReport) -> str:
    return "mean average precision" if report.probe.multi_label else "macro recall"


def _write_page(path: Path, lines: Iterator[str]) -> None:
    write_whole(path, ("\n".join(lines) + "\n").encode())


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
        yield "\n## What to watch out for\n"
        yield from (f"- {warning}" for warning in report.warnings)
    if report.evaluation is not None:
        yield from _scores(report.evaluation)
        yield from _thresholds(report.evaluation)
        yield from _calibration(report, report.evaluation)
    if report.curve:
        yield from _curve(report)
    yield "\n## How it was made\n"
    yield from _facts(report)


def _scores(evaluation: Evaluation) -> Iterator[str]:
    yield "\n## How well it does\n"
    yield f"On {evaluation.how}. In brackets: 95% intervals over recordings.\n"
    if evaluation.n_left_out:
        yield (
            f"{evaluation.n_left_out} windows could not be scored: without their own recordings "
            "there was no clip to learn their class from.\n"
        )
    yield from (f"- {line}" for line in score_lines(evaluation))


def _thresholds(evaluation: Evaluation) -> Iterator[str]:
    yield "\n## Class by class\n"
    yield (
        f"Thresholds are for a {evaluation.target}; `predict --probe` uses them. Precision and "
        "recall are what they give on recordings that did not set them, which can be less or more "
        "than the target. In recordings where a class is rarer than here, more of its detections "
        "are wrong: listen to some (`--segments 20`).\n"
    )
    yield from table(CLASS_HEADINGS, class_rows(evaluation))
    lines = remarks(evaluation.thresholds)
    if lines:
        yield ""
        yield from (f"- {line}" for line in lines)
    if any(threshold.value is None for threshold in evaluation.thresholds):
        yield (
            "\nA class without a threshold gives no detections. `predict --probe ... --threshold "
            "0.5` gives them at your own risk; `probe fit --confidence 0` finds the thresholds "
            "that do best on these clips, whether or not that can be shown to hold elsewhere."
        )


def _calibration(report: ProbeReport, evaluation: Evaluation) -> Iterator[str]:
    yield "\n## Can its scores be believed?\n"
    calibration = report.probe.calibration
    if calibration is not None:
        yield f"Calibration: {calibration.method} ({calibration.reason}).\n"
    yield from table(
        ("on clips held out", "before", "after"),
        error_rows(evaluation.errors_before_calibration, evaluation.calibration_errors),
    )
    yield f"\n![How often scores are right]({PICTURE})"
    yield (
        "\nPoints on the dashed line: of the scores around 0.8, four in five are right. Bars are "
        "95% intervals; below is how many scores there are."
    )


def error_rows(before: Mapping[str, float], after: Mapping[str, float]) -> list[Row]:
    """Calibration errors: what is measured, before, after."""
    return [
        (
            f"{text}, {view_text}",
            f"{before[f'{measure}_{view}']:.3f}",
            f"{after[f'{measure}_{view}']:.3f}",
        )
        for view, view_text in VIEW_NAMES.items()
        for measure, text in ERROR_NAMES.items()
    ]


def _curve(report: ProbeReport) -> Iterator[str]:
    yield "\n## How many clips are needed\n"
    rows = [
        (clips_text(p), interval(p.value, p.low, p.high), str(p.n_draws), str(p.n_short), p.reason)
        for p in report.curve
    ]
    headings = ("clips of each class", _measure(report), "draws", "classes with fewer", "")
    yield from table(headings, rows)
    yield (
        "\nOn the same clips as the scores above, which are the last row. In brackets: 95% of the "
        f"draws of clips.\n\n![Learning curve]({CURVE_PICTURE})"
    )


def _facts(report: ProbeReport) -> Iterator[str]:
    probe = report.probe
    sha256, notes = probe.encoder.weights_sha256, probe.notes
    facts = {
        "encoder": f"{probe.encoder.name}, weights {sha256[:16] if sha256 else 'of no file'}",
        "readout": str(probe.readout),
        "window": f"{notes.window_s:g} s",
        "probe": probe.config.probe_type,
        "chosen": ", ".join(f"{name} {value:g}" for name, value in (notes.chosen or {}).items()),
        "chosen on": notes.chosen_on or UNDEFINED,
    }
    yield from (f"- {name}: {value}" for name, value in facts.items())


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A Markdown table; a bar in a cell would end it."""
    yield "| " + " | ".join(headings) + " |"
    yield "|" + "---|" * len(headings)
    for row in rows:  # labels are the user's own and may contain a bar
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
    yield from score_lines(report.evaluation)
    errors = report.evaluation.calibration_errors
    yield (
        f"calibration error of the first guess {errors['ece_mass_first_guess']:.3f}, "
        f"of all scores {errors['ece_mass_all_scores']:.3f}"
    )


def write_evaluation(report: EvaluationReport, probe: Path, folder: Path) -> None:
    """Write a page and a picture of an evaluation.

    Args:
        report: what was measured.
        probe: its folder, for the title.
        folder: where the page goes.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    evaluation = report.evaluation
    plot_reliability(folder / PICTURE, None, evaluation.probabilities, evaluation.truth)
    _write_page(folder / EVALUATION, _evaluation_page(report, probe))


def _evaluation_page(report: EvaluationReport, probe: Path) -> Iterator[str]:
    yield f"# {probe.name} on other clips\n"
    yield from (f"- {line}" for line in evaluation_lines(report))
    yield "\n## Class by class\n"
    yield "Thresholds are those of the probe. In brackets: 95% intervals over recordings.\n"
    yield from table(CLASS_HEADINGS, class_rows(report.evaluation))
    yield f"\n![How often scores are right]({PICTURE})"
