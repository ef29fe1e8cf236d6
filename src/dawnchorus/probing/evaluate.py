"""`probe_evaluate`: a probe on labelled clips that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus.configs import ProbeRunConfig
from dawnchorus.engine.detections.probe_rules import model_for, open_probe
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probing.embed import embed_clips
from dawnchorus.probing.fit import DIGITS
from dawnchorus.probing.scores import evaluated
from dawnchorus.probing.select import scoring_clips
from dawnchorus.progress import NO_PROGRESS

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.clips.build import ImportedClips
    from dawnchorus.failures import Failure
    from dawnchorus.models.encoder import Encoder
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.probing.scores import Evaluation
    from dawnchorus.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """What a probe is worth on given clips.

    Attributes:
        n_clips, n_windows, n_groups: scored.
        n_seen: clips of files that the probe was fitted on; left out, unless they were requested.
        n_unknown: clips that have only labels that the probe does not know. They are left out where
            a clip has one label, and otherwise count as clips of none of its classes.
        unknown: all labels that it does not know.
        evaluation: scores, and what the probe's own thresholds give here.
        failures: clips that could not be read.
    """

    n_clips: int
    n_windows: int
    n_groups: int
    n_seen: int
    n_unknown: int
    unknown: tuple[str, ...]
    evaluation: Evaluation
    failures: tuple[Failure, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays, as plain JSON."""
        counts = ("n_clips", "n_windows", "n_groups", "n_seen", "n_unknown", "unknown")
        return {
            **{name: getattr(self, name) for name in counts},
            **self.evaluation.tables(),
            "calibration": self.evaluation.calibration_errors,
            "bad": [failure.to_json() for failure in self.failures],
        }


def probe_evaluate(
    probe: str | Path | FittedProbe,
    labels: ImportedClips,
    *,
    model: str | Path | Encoder | None = None,
    store: str | Path | None = None,
    config: ProbeRunConfig | None = None,
    seen: bool = False,
    cache: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> EvaluationReport:
    """Score a probe.

    Args:
        probe: a folder, or a probe.
        labels: clips, as `read_labels` gives them.
        model: None: the one that the probe was fitted on, by its name.
        store: an embedding store whose windows are used instead of encoding the clips.
        config: device, workers, ``background`` (beside what the probe knows as background),
            ``unannotated`` and ``group_by``; window and readout are the probe's.
        seen: score clips of files that the probe was fitted on as well.
        cache: folder where embeddings of clips are kept.
        progress: gets a stage that counts clips.

    Raises:
        UsageError: Every clip is of a file that the probe was fitted on.
        TaskError: There is nothing to score.
        WeightsError: The encoder is not the probe's.
    """
    fitted, config = open_probe(probe), config or ProbeRunConfig()
    clips = scoring_clips(labels, fitted, config)
    # other windows or layers would be features that the probe was not fitted on
    window_s = config.window_s or fitted.notes.window_s
    as_fitted = config.model_copy(update={"readout": fitted.readout, "window_s": window_s})
    embedded = embed_clips(
        clips, model_for(fitted, model), as_fitted, store=store, cache=cache, progress=progress
    )
    fitted.check(embedded.encoder)
    # by content, so that a file that was copied or renamed is recognised
    files = set(fitted.notes.files)
    is_seen = np.array([content[:DIGITS] in files for content in embedded.content])
    if is_seen.all() and not seen:
        raise UsageError(
            f"all {len(clips)} clips are of files that this probe was fitted on, so scores would "
            "be too good; use others, or say --seen to score these all the same"
        )
    chosen = np.ones(len(clips), bool) if seen else ~is_seen
    if not fitted.multi_label:
        # a clip of none of the classes cannot be right with a probe that always names one
        chosen &= clips.truth.sum(axis=1) == 1
    has_others = np.array([bool(labels) for labels in clips.other_labels])
    n_seen, n_unknown = int(is_seen.sum()), int((has_others & ~clips.truth.any(axis=1)).sum())
    items = embedded.items(clips, chosen)  # clips that could not be read have no windows
    if not len(items):
        raise TaskError(
            f"{clips.manifest.named}: no clip is left to score: {n_seen} of {len(clips)} were seen "
            f"in fitting, {n_unknown} have only labels that the probe does not know"
        )
    return EvaluationReport(
        n_clips=int(chosen.sum()),
        n_windows=len(items),
        n_groups=len(np.unique(np.asarray(items.group))),
        n_seen=n_seen,
        n_unknown=n_unknown,
        unknown=tuple(sorted({label for labels in clips.other_labels for label in labels})),
        evaluation=evaluated(fitted, items, clips.take(np.flatnonzero(chosen))),
        failures=(*clips.failures, *embedded.failures),
    )
