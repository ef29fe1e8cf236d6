"""How well a probe does on clips held out: logits by folds, scores with intervals, by class."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from dawnchorus import metrics
from dawnchorus.probes.calibrate import Calibrated, choose_calibration
from dawnchorus.probes.few_shot import CurvePoint, learning_curve
from dawnchorus.probes.fit import fit_probe
from dawnchorus.probes.held_out import HeldOut, chosen_only
from dawnchorus.probes.reliability import expected_calibration_error
from dawnchorus.probes.shares import clustered_share
from dawnchorus.probes.thresholds import ClassThreshold, find_thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.configs import FitConfig
    from dawnchorus.probes.calibration import Method
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.recipes.probe_embed import Embedded
    from dawnchorus.recipes.probe_labels import LabelledClips

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

N_DRAWS: Final = 500  # of recordings, for intervals


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """One class on clips held out; None where a figure is not defined.

    Attributes:
        label: the class.
        n_clips: clips it holds for, in all that were given.
        n_groups: recordings (or other groups) that they are of.
        n_held_out: windows it holds for, of those scored.
        average_precision: of its scores.
        recall, recall_low, recall_high: share of its windows whose highest score it is (one label a
            clip), or whose score is 0.5 or more.
        calibration_error: of its scores, in bins of equal mass.
    """

    label: str
    n_clips: int
    n_groups: int
    n_held_out: int
    average_precision: float | None
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    calibration_error: float

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def overall(
    truth: Flags, probabilities: Floats, group: NDArray[np.int64], *, multi_label: bool
) -> dict[str, metrics.Interval]:
    """Scores of all classes together, each with an interval over recordings.

    One label a clip: accuracy and macro recall; else mean average precision over the classes that
    some item has.
    """
    label, guess = truth.argmax(axis=1), probabilities.argmax(axis=1)
    measures: dict[str, Callable[[NDArray[np.intp]], float]] = {
        "mean_average_precision": lambda rows: metrics.mean_average_precision(
            truth[rows], probabilities[rows]
        )
    }
    if not multi_label:
        measures = {
            "accuracy": lambda rows: metrics.accuracy(label[rows], guess[rows]),
            "macro_recall": lambda rows: metrics.macro_recall(label[rows], guess[rows]),
            **measures,
        }
    return {
        name: metrics.bootstrap(measure, group, n=N_DRAWS) for name, measure in measures.items()
    }


def by_class(
    held_out: HeldOut,
    probabilities: Floats,
    classes: Sequence[str],
    counts: Mapping[str, tuple[int, int]],
    *,
    multi_label: bool,
) -> list[ClassScore]:
    """A row for each class.

    Args:
        held_out: truth and groups.
        probabilities: ``(items, classes)``, calibrated.
        classes: names.
        counts: class to its numbers of clips and groups.
        multi_label: see `ClassScore.recall`.
    """
    truth, group = held_out.truth, held_out.group
    top = np.eye(len(classes), dtype=bool)[probabilities.argmax(axis=1)]
    found = probabilities >= 0.5 if multi_label else top
    rows = []
    for k, label in enumerate(classes):
        mine, scores = truth[:, k], probabilities[:, k]
        share = clustered_share(found[mine, k], group[mine]) if mine.any() else (None,) * 3
        n_clips, n_groups = counts[label]
        rows.append(
            ClassScore(
                label=label,
                n_clips=n_clips,
                n_groups=n_groups,
                n_held_out=int(mine.sum()),
                average_precision=metrics.average_precision(mine, scores) if mine.any() else None,
                recall=share[0],
                recall_low=share[1],
                recall_high=share[2],
                calibration_error=expected_calibration_error(scores, mine),
            )
        )
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a probe is worth on clips held out.

    Attributes:
        held_out: the clips.
        scores: name to score and interval.
        classes: a row each.
        thresholds: one each.
        target: what the thresholds are for, in words.
        calibrated: the calibration, and probabilities before and after it.
    """

    held_out: HeldOut
    scores: dict[str, metrics.Interval]
    classes: list[ClassScore]
    thresholds: list[ClassThreshold]
    target: str
    calibrated: Calibrated

    def notes(self) -> dict[str, Any]:
        """What is kept in the probe."""
        return {
            "held_out": {"how": self.held_out.how, "n_windows": len(self.held_out.truth)},
            "scores": {name: plain(asdict(found)) for name, found in self.scores.items()},
            "by_class": [row.to_json() for row in self.classes],
            "thresholds": [found.to_json() for found in self.thresholds],
            "thresholds_for": self.target,
            "calibration": self.calibrated.notes(self.held_out.truth),
        }


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """The same with None for what is not a number, which JSON does not have."""
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in values.items()
    }


def measure(
    held_out: HeldOut,
    probe: FittedProbe,
    counts: Mapping[str, tuple[int, int]],
    *,
    calibration: Method | Literal["auto"],
    precision: float | None,
    recall: float | None,
    confidence: float,
    seed: int,
) -> Measured:
    """Calibrate on clips held out, find thresholds, and score; each on clips it did not see.

    Args:
        held_out: logits and truth.
        probe: for its classes.
        counts: class to its numbers of clips and groups.
        calibration: a method, or ``auto``.
        precision: what thresholds are for.
        recall: what they are for instead; one of the two.
        confidence: with which they reach it, see `find_thresholds`.
        seed: of folds and draws.
    """
    calibrated = choose_calibration(
        held_out.logits,
        held_out.truth,
        held_out.group,
        multi_label=probe.multi_label,
        method=calibration,
        seed=seed,
    )
    scores = calibrated.after
    return Measured(
        held_out=held_out,
        scores=overall(held_out.truth, scores, held_out.group, multi_label=probe.multi_label),
        classes=by_class(held_out, scores, probe.classes, counts, multi_label=probe.multi_label),
        thresholds=find_thresholds(
            scores,
            held_out.truth,
            probe.classes,
            held_out.group,
            precision=precision,
            recall=recall,
            confidence=confidence,
            seed=seed,
        ),
        target=(f"precision of {precision:g}" if recall is None else f"recall of {recall:g}")
        + (f" on others, with confidence {confidence:g}" if confidence else " on these clips"),
        calibrated=calibrated,
    )


def curve_of(
    config: FitConfig,
    probe: FittedProbe,
    clips: LabelledClips,
    embedded: Embedded,
    counts: Sequence[int],
) -> list[CurvePoint]:
    """Macro recall (or mean average precision) of windows, by number of clips of each class.

    A clip that is drawn gives all its windows. Scored on the clips of split val, else on recordings
    that a draw does not touch. Each probe has the hyper-parameters that the whole one chose.
    """
    if not counts:
        return []
    fixed = chosen_only(config, probe)
    every = np.arange(len(probe.classes))
    there, clip = np.unique(embedded.windows.clip, return_inverse=True)  # of bad files are none
    windows = embedded.features(clips, np.ones(len(clips), bool))
    truth = np.asarray(windows.y) > 0
    held = clips.take(there)
    test = np.flatnonzero(held.split == "val")

    def score(rows: NDArray[np.int64], rest: NDArray[np.int64]) -> float:
        fitted = fit_probe(
            fixed,
            windows.take(np.flatnonzero(np.isin(clip, rows)), every),
            None,
            probe.classes,
            probe.multi_label,
            encoder=probe.encoder,
            readout=probe.readout,
            pooling=probe.pooling,
        )
        tested = np.isin(clip, rest)
        logits = fitted.logits(windows.x[tested])
        if probe.multi_label:
            return metrics.mean_average_precision(truth[tested], logits)
        return metrics.macro_recall(truth[tested].argmax(axis=1), logits.argmax(axis=1))

    return learning_curve(
        score,
        held.truth,
        held.group,
        test=test if len(test) else None,
        counts=counts,
        seed=config.seed,
    )
