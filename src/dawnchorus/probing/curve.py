"""A probe's learning curve: how it does with fewer clips of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dawnchorus import metrics
from dawnchorus.errors import TaskError
from dawnchorus.probes.few_shot import CurvePoint, learning_curve
from dawnchorus.probes.fit import refit
from dawnchorus.probes.folds import grouped_folds
from dawnchorus.probes.held_out import FOLDS, can_be_scored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.configs import FitConfig, ProbeRunConfig
    from dawnchorus.probes.features import Features
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.probing.embed import EmbeddedClips
    from dawnchorus.probing.labels import LabelledClips
    from dawnchorus.probing.scores import Evaluation

    Rows = NDArray[np.int64]


def curve_of(
    config: ProbeRunConfig,
    probe: FittedProbe,
    clips: LabelledClips,
    embedded: EmbeddedClips,
    evaluation: Evaluation,
) -> list[CurvePoint]:
    """Macro recall (or mean average precision) of windows, by number of clips of each class.

    A clip that is drawn gives all its windows. Scored on the clips of split val, or without them on
    the folds that the score of all clips is of; that score is the last point. Each probe has the
    hyper-parameters that the whole one chose.
    """
    if not config.few_shot:
        return []
    windows = embedded.items(clips, np.ones(len(clips), bool))
    # clips without a window could not be read; `clip` counts the others
    readable, first_window, clip = np.unique(embedded.clip, return_index=True, return_inverse=True)
    scored = clips.take(readable)
    folds = np.where(scored.split == "val", 0, -1)
    if not (folds == 0).any():
        truth, group = np.asarray(windows.y), np.asarray(windows.group)
        # folds of windows, as for the score of all clips; a clip is of one group, so in one fold
        by_window = grouped_folds(truth, group, n_folds=FOLDS, seed=config.fit.seed)
        folds = by_window[first_window]
    scorer = _CurveScorer(config.fit, probe, windows, clip)
    points = learning_curve(
        scorer.score,
        scored.truth,
        scored.group,
        folds,
        counts=config.few_shot,
        seed=config.fit.seed,
    )
    name = "mean_average_precision" if probe.multi_label else "macro_recall"
    nan = float("nan")
    all_clips = CurvePoint(
        n_clips=None, value=evaluation.scores[name].value, low=nan, high=nan, n_draws=1, n_short=0
    )
    return [*points, all_clips]


@dataclass(frozen=True, slots=True)
class _CurveScorer:
    """Fits on some clips and scores on others; ``clip`` is which clip each window is of."""

    config: FitConfig
    probe: FittedProbe
    windows: Features
    clip: Rows

    def score(self, pairs: list[tuple[Rows, Rows]]) -> float:
        """Of the windows of all pairs' tested clips together, as the score of all clips is.

        Args:
            pairs: clips to fit on, and clips to score.

        Raises:
            TaskError: None of the windows can be scored.
        """
        truth = np.asarray(self.windows.y) > 0
        logits, scored = np.zeros(truth.shape), np.zeros(len(truth), bool)
        for train, test in pairs:
            rows = np.flatnonzero(np.isin(self.clip, train))  # all windows of the drawn clips
            fitted = refit(self.config, self.probe, self.windows.take(rows))
            inside = np.isin(self.clip, test) & can_be_scored(fitted, truth)
            logits[inside] = fitted.logits(self.windows.x[inside])
            scored |= inside
        if not scored.any():
            raise TaskError("learning curve: no clip to test on has a class that was trained")
        if self.probe.multi_label:
            return metrics.mean_average_precision(truth[scored], logits[scored])
        label, guess = truth[scored].argmax(axis=1), logits[scored].argmax(axis=1)
        return metrics.macro_recall(label, guess)
