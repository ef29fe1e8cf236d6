"""How well a probe does on clips held out: logits by folds, scores with intervals, by class."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from dawnchorus import metrics
from dawnchorus.errors import TaskError
from dawnchorus.probes.choose_calibration import CalibrationChoice, choose_calibration
from dawnchorus.probes.few_shot import CurvePoint, learning_curve
from dawnchorus.probes.fit import refit
from dawnchorus.probes.folds import grouped_folds
from dawnchorus.probes.held_out import FOLDS, HeldOut, can_be_scored
from dawnchorus.probes.reliability import expected_calibration_error, figures
from dawnchorus.probes.shares import clustered_share
from dawnchorus.probes.thresholds import ClassThreshold, find_thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.configs import FitConfig
    from dawnchorus.probes.calibration import Method
    from dawnchorus.probes.features import Features
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.probing.embed import Embedded
    from dawnchorus.probing.labels import LabelledClips

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

    One label a clip: accuracy and macro recall; always mean average precision over the classes that
    some item has and some has not. What is not defined is nan and says why.
    """
    label, guess = truth.argmax(axis=1), probabilities.argmax(axis=1)
    ranked = np.flatnonzero(~truth.all(axis=0))
    measures: dict[str, Callable[[NDArray[np.intp]], float]] = {
        "mean_average_precision": lambda rows: metrics.mean_average_precision(
            truth[np.ix_(rows, ranked)], probabilities[np.ix_(rows, ranked)]
        )
    }
    if not multi_label:
        measures = {
            "macro_recall": lambda rows: metrics.macro_recall(label[rows], guess[rows]),
            **measures,
        }
    found = {name: _scored(measure, group) for name, measure in measures.items()}
    if multi_label:
        return found
    share, low, high = clustered_share(label == guess, group)
    n_groups = len(np.unique(group))
    return {"accuracy": metrics.Interval(share, low, high, n_groups), **found}


def _scored(
    measure: Callable[[NDArray[np.intp]], float], group: NDArray[np.int64]
) -> metrics.Interval:
    """A score and its interval; without an error among the items there is none to draw."""
    try:
        found = metrics.bootstrap(measure, group, n=N_DRAWS)
    except TaskError as error:
        nan = float("nan")
        return metrics.Interval(nan, nan, nan, len(np.unique(group)), 0, str(error))
    if found.reason:
        return found
    if found.low < found.high:
        # the draws are moved to lie around the value, which can take them past the ends
        return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))
    nan, why = (
        float("nan"),
        "all draws of the recordings score alike, so they say nothing of how sure",
    )
    return replace(found, low=nan, high=nan, reason=why)


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
                # where every window has the class, any order of them is perfect
                average_precision=metrics.average_precision(mine, scores)
                if mine.any() and not mine.all()
                else None,
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
    calibrated: CalibrationChoice

    def notes(self) -> dict[str, Any]:
        """What is kept in the probe."""
        return {
            "held_out": {"how": self.held_out.how, "n_windows": len(self.held_out.truth)},
            "scores": {name: plain(asdict(found)) for name, found in self.scores.items()},
            "by_class": [row.to_json() for row in self.classes],
            "thresholds": [found.to_json() for found in self.thresholds],
            "thresholds_for": self.target,
            "calibration": calibration_notes(self.calibrated, self.held_out.truth),
        }


def calibration_notes(choice: CalibrationChoice, truth: Flags) -> dict[str, Any]:
    """What is kept of a calibration: errors before and after, losses on items held out."""
    return {
        "n_items": len(truth),
        "losses": dict(choice.losses),
        "before": figures(choice.before, truth),
        "after": figures(choice.after, truth),
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
        + (
            f" on other recordings, with confidence {confidence:g}"
            if confidence
            else " on these clips"
        ),
        calibrated=calibrated,
    )


def curve_of(
    config: FitConfig,
    probe: FittedProbe,
    clips: LabelledClips,
    embedded: Embedded,
    *,
    counts: Sequence[int],
    measured: Measured,
) -> list[CurvePoint]:
    """Macro recall (or mean average precision) of windows, by number of clips of each class.

    A clip that is drawn gives all its windows. Scored on the clips of split val, else on the folds
    that the score of all clips is of; that one is the last point. Each probe has the
    hyper-parameters that the whole one chose.
    """
    if not counts:
        return []
    there, clip = np.unique(embedded.windows.clip, return_inverse=True)  # of bad files are none
    windows = embedded.features(clips, np.ones(len(clips), bool))
    truth = np.asarray(windows.y) > 0
    held = clips.take(there)
    folds = np.where(held.split == "val", 0, -1)
    if not len(folds[folds >= 0]):
        of_window = grouped_folds(truth, np.asarray(windows.group), n_folds=FOLDS, seed=config.seed)
        folds = of_window[np.unique(clip, return_index=True)[1]]  # a group is in one fold
    curve = _Curve(config, probe, windows, clip)
    name = "mean_average_precision" if probe.multi_label else "macro_recall"
    points = learning_curve(
        lambda pairs: curve.score(pairs, truth),
        held.truth,
        held.group,
        folds,
        counts=counts,
        seed=config.seed,
    )
    nan = float("nan")
    whole = CurvePoint(
        n_clips=None, value=measured.scores[name].value, low=nan, high=nan, n_draws=1, n_short=0
    )
    return [*points, whole]


@dataclass(frozen=True, slots=True)
class _Curve:
    """Fits on some clips and scores on others; ``clip`` is which clip each window is of."""

    config: FitConfig
    probe: FittedProbe
    windows: Features
    clip: NDArray[np.int64]

    def score(
        self,
        pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
        truth: Flags,
    ) -> float:
        """Of the windows of all pairs' tested clips together, as the score of all clips is."""
        logits, tested = np.zeros(truth.shape), np.zeros(len(truth), bool)
        for rows, rest in pairs:
            chosen = np.flatnonzero(np.isin(self.clip, rows))
            fitted = refit(self.config, self.probe, self.windows.take(chosen))
            inside = np.isin(self.clip, rest) & can_be_scored(fitted, truth)
            logits[inside] = fitted.logits(self.windows.x[inside])
            tested |= inside
        if not tested.any():
            raise TaskError("learning curve: no clip to test on has a class that was taught")
        if self.probe.multi_label:
            return metrics.mean_average_precision(truth[tested], logits[tested])
        label, guess = truth[tested].argmax(axis=1), logits[tested].argmax(axis=1)
        return metrics.macro_recall(label, guess)
