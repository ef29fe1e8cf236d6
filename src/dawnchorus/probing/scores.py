"""How well a probe does on clips that it was not trained on, by class and over all classes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus import metrics
from dawnchorus.errors import TaskError
from dawnchorus.probes.choose_calibration import choose_calibration
from dawnchorus.probes.reliability import expected_calibration_error, figures
from dawnchorus.probes.shares import clustered_share
from dawnchorus.probes.thresholds import ClassThreshold, at_threshold, find_thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from dawnchorus.configs import ProbeRunConfig
    from dawnchorus.probes.features import Features
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.probes.held_out import HeldOut
    from dawnchorus.probing.labels import LabelledClips

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

N_DRAWS: Final = 500  # of recordings, for intervals
DEFAULT_PRECISION: Final = 0.9  # that thresholds are for where no target is given
PRESENT: Final = 0.5  # probability from which a label counts as found where it has no threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """One class on clips held out; None where a figure is not defined.

    Attributes:
        label: the class.
        n_clips: clips that have it, of all that were given.
        n_groups: recordings (or other groups) that they are of.
        n_held_out: windows that have it, of those scored.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a probe is worth on clips that it was not trained on.

    Attributes:
        how: how these clips were held out, in words.
        truth: ``(windows, classes)``, which labels hold.
        probabilities: ``(windows, classes)``; where the probe was calibrated on these clips, each
            window's by a calibration that did not see its recording.
        scores: name to score and interval over recordings, of all classes together.
        classes: a row each.
        thresholds: one each, and what it gives on these clips.
        n_left_out: windows that could not be scored, because the probe that would score them had no
            training items of their class.
        target: what the thresholds are for, in words; empty where they were given.
        uncalibrated: ``(windows, classes)`` probabilities without calibration, None where the
            probe was not calibrated on these clips.
        losses: mean log loss of each calibration method that was tried.
    """

    how: str
    truth: Flags
    probabilities: Floats
    scores: dict[str, metrics.Interval]
    classes: list[ClassScore]
    thresholds: list[ClassThreshold]
    n_left_out: int = 0
    target: str = ""
    uncalibrated: Floats | None = None
    losses: Mapping[str, float] = field(default_factory=dict)

    @property
    def calibration_errors(self) -> dict[str, float]:
        """See `dawnchorus.probes.reliability.figures`."""
        return figures(self.probabilities, self.truth)

    @property
    def errors_before_calibration(self) -> dict[str, float]:
        """The same without calibration."""
        before = self.probabilities if self.uncalibrated is None else self.uncalibrated
        return figures(before, self.truth)

    def tables(self) -> dict[str, Any]:
        """Scores, classes and thresholds as plain JSON."""
        return {
            "scores": {name: _plain(asdict(score)) for name, score in self.scores.items()},
            "by_class": [asdict(row) for row in self.classes],
            "thresholds": [asdict(threshold) for threshold in self.thresholds],
        }

    def notes(self) -> dict[str, Any]:
        """What is kept in the probe, as plain JSON."""
        return {
            "held_out": {"how": self.how, "n_windows": len(self.truth)},
            **self.tables(),
            "thresholds_for": self.target,
            "calibration": {
                "n_items": len(self.truth),
                "losses": dict(self.losses),
                "before": self.errors_before_calibration,
                "after": self.calibration_errors,
            },
        }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """The same with None for what is not a number, which JSON does not have."""
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in values.items()
    }


def calibrated(
    probe: FittedProbe, held_out: HeldOut, clips: LabelledClips, config: ProbeRunConfig
) -> tuple[FittedProbe, Evaluation]:
    """Calibrate a probe on clips held out, find its thresholds, and score it.

    Each figure is of windows that neither the probe nor the calibration behind it has seen.

    Args:
        probe: as it was fitted.
        held_out: logits and truth of clips that it was not trained on.
        clips: all clips, for how many there are of each class.
        config: calibration, the target of the thresholds, seed.

    Returns:
        The probe with calibration and thresholds, and what it is worth.
    """
    truth, group = held_out.truth, held_out.group
    # one target of the two, as `find_thresholds` wants it
    precision = None if config.target_recall else config.target_precision or DEFAULT_PRECISION
    choice = choose_calibration(
        held_out.logits,
        truth,
        group,
        multi_label=probe.multi_label,
        method=config.calibration,
        seed=config.fit.seed,
    )
    thresholds = find_thresholds(
        choice.after,
        truth,
        probe.classes,
        group,
        precision=precision,
        recall=config.target_recall,
        confidence=config.confidence,
        seed=config.fit.seed,
    )
    evaluation = Evaluation(
        how=held_out.how,
        truth=truth,
        probabilities=choice.after,
        scores=overall_scores(truth, choice.after, group, multi_label=probe.multi_label),
        classes=class_scores(
            truth, choice.after, group, clips.counts, multi_label=probe.multi_label
        ),
        thresholds=thresholds,
        n_left_out=held_out.n_left_out,
        target=_target(config, precision),
        uncalibrated=choice.before,
        losses=choice.losses,
    )
    values = {t.label: t.value for t in thresholds if t.value is not None}
    # a class whose threshold could not be shown has none, and predict gives no rows of it
    return replace(probe, calibration=choice.calibration, thresholds=values), evaluation


def _target(config: ProbeRunConfig, precision: float | None) -> str:
    goal = (
        f"recall of {config.target_recall:g}"
        if precision is None
        else f"precision of {precision:g}"
    )
    if not config.confidence:
        return f"{goal} on these clips"
    return f"{goal} on other recordings, with confidence {config.confidence:g}"


def evaluated(probe: FittedProbe, items: Features, clips: LabelledClips) -> Evaluation:
    """Score a calibrated probe as it is, by its own thresholds.

    Args:
        probe: whose classes the labels are.
        items: windows that it was not trained on.
        clips: those that the windows are of.
    """
    truth, group = np.asarray(items.y) > 0, np.asarray(items.group)
    p = probe.probabilities(items.x)
    return Evaluation(
        how=clips.manifest.named,
        truth=truth,
        probabilities=p,
        scores=overall_scores(truth, p, group, multi_label=probe.multi_label),
        classes=class_scores(truth, p, group, clips.counts, multi_label=probe.multi_label),
        thresholds=[
            _at_own_threshold(name, p[:, k], truth[:, k], group, probe)
            for k, name in enumerate(probe.classes)
        ],
    )


def _at_own_threshold(
    label: str, scores: Floats, hits: Flags, group: NDArray[np.int64], probe: FittedProbe
) -> ClassThreshold:
    value = probe.thresholds.get(label)
    if value is not None:
        return at_threshold(label, scores, hits, group, value)
    return ClassThreshold(
        label=label,
        value=None,
        n_positive=int(hits.sum()),
        n_groups=len(np.unique(group[hits])),
        reason="the probe has no threshold for it",
    )


def overall_scores(
    truth: Flags, probabilities: Floats, group: NDArray[np.int64], *, multi_label: bool
) -> dict[str, metrics.Interval]:
    """Scores of all classes together, each with an interval over recordings.

    One label a clip: accuracy and macro recall. Always mean average precision, over the classes
    that some items have and some do not. What is not defined is nan and says why.
    """
    label, guess = truth.argmax(axis=1), probabilities.argmax(axis=1)
    ranked = np.flatnonzero(~truth.all(axis=0))  # a class that all items have cannot be ranked
    scores: dict[str, metrics.Interval] = {}
    if not multi_label:
        # the bootstrap of an accuracy of 1 has no width; its exact interval has
        share, low, high = clustered_share(label == guess, group)
        scores["accuracy"] = metrics.Interval(share, low, high, len(np.unique(group)))
        scores["macro_recall"] = _bootstrapped(
            lambda rows: metrics.macro_recall(label[rows], guess[rows]), group
        )
    scores["mean_average_precision"] = _bootstrapped(
        lambda rows: metrics.mean_average_precision(
            truth[np.ix_(rows, ranked)], probabilities[np.ix_(rows, ranked)]
        ),
        group,
    )
    return scores


def _bootstrapped(
    measure: Callable[[NDArray[np.intp]], float], group: NDArray[np.int64]
) -> metrics.Interval:
    """A score and its interval; without an error among the items there is none to draw."""
    nan = float("nan")
    try:
        interval = metrics.bootstrap(measure, group, n=N_DRAWS)
    except TaskError as error:
        return metrics.Interval(nan, nan, nan, len(np.unique(group)), 0, str(error))
    if interval.reason:
        return interval
    if interval.low < interval.high:
        # the draws are moved to lie around the value, which can take them past the ends
        return replace(interval, low=max(interval.low, 0.0), high=min(interval.high, 1.0))
    why = "all draws of the recordings score alike, so they say nothing of how sure"
    return replace(interval, low=nan, high=nan, reason=why)


def class_scores(
    truth: Flags,
    probabilities: Floats,
    group: NDArray[np.int64],
    counts: Mapping[str, tuple[int, int]],
    *,
    multi_label: bool,
) -> list[ClassScore]:
    """A row for each class.

    Args:
        truth: ``(items, classes)``.
        probabilities: ``(items, classes)``, calibrated.
        group: ``(items,)``.
        counts: class to its numbers of clips and groups, in the order of the columns.
        multi_label: see `ClassScore.recall`.
    """
    top = np.eye(len(counts), dtype=bool)[probabilities.argmax(axis=1)]
    detected = probabilities >= PRESENT if multi_label else top
    rows = []
    for k, (label, (n_clips, n_groups)) in enumerate(counts.items()):
        mine, scores = truth[:, k], probabilities[:, k]
        recall = clustered_share(detected[mine, k], group[mine]) if mine.any() else (None,) * 3
        # where every window has the class, any order of them is perfect
        is_ranked = mine.any() and not mine.all()
        rows.append(
            ClassScore(
                label=label,
                n_clips=n_clips,
                n_groups=n_groups,
                n_held_out=int(mine.sum()),
                average_precision=metrics.average_precision(mine, scores) if is_ranked else None,
                recall=recall[0],
                recall_low=recall[1],
                recall_high=recall[2],
                calibration_error=expected_calibration_error(scores, mine),
            )
        )
    return rows
