"""`probe_evaluate`: a probe on labelled clips that it has not seen."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus.configs import ProbeRunConfig
from dawnchorus.engine.detections.probe_rules import model_for, open_probe
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probes.held_out import HeldOut
from dawnchorus.probes.reliability import figures
from dawnchorus.probes.thresholds import ClassThreshold, at_threshold
from dawnchorus.probing.background import background_labels, is_background, with_unannotated
from dawnchorus.probing.embed import embed_clips, from_store
from dawnchorus.probing.fit import DIGITS, clips_of_class
from dawnchorus.probing.labels import LabelledClips, labelled
from dawnchorus.probing.scores import ClassScore, by_class, overall, plain
from dawnchorus.store.read import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus import metrics
    from dawnchorus.clips.build import ImportedClips
    from dawnchorus.models.encoder import Encoder
    from dawnchorus.probes.fitted import FittedProbe


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """What a probe is worth on given clips.

    Attributes:
        n_clips, n_windows, n_groups: scored.
        n_seen: clips of files that the probe was fitted on; left out, unless they were asked for.
        n_unknown: clips of labels that the probe does not know; left out where a clip has one
            label, else they count as clips of nothing.
        unknown: those labels.
        scores: name to score and interval.
        classes: a row each.
        thresholds: what the probe's own thresholds give here.
        calibration: errors of its scores.
        truth, probabilities: ``(windows, classes)``.
        bad: clips that could not be read.
    """

    n_clips: int
    n_windows: int
    n_groups: int
    n_seen: int
    n_unknown: int
    unknown: tuple[str, ...]
    scores: dict[str, metrics.Interval]
    classes: list[ClassScore]
    thresholds: list[ClassThreshold]
    calibration: dict[str, float]
    truth: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    bad: tuple[tuple[str, str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays."""
        counts = ("n_clips", "n_windows", "n_groups", "n_seen", "n_unknown", "unknown")
        return {
            **{name: getattr(self, name) for name in counts},
            "scores": {
                name: plain({"value": f.value, "low": f.low, "high": f.high, "reason": f.reason})
                for name, f in self.scores.items()
            },
            "by_class": [row.to_json() for row in self.classes],
            "thresholds": [found.to_json() for found in self.thresholds],
            "calibration": self.calibration,
            "bad": [{"path": p, "verdict": v, "message": m} for p, v, m in self.bad],
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
    progress: Callable[[int], None] = lambda _n: None,
) -> EvaluationReport:
    """Score a probe.

    Args:
        probe: a folder, or a probe.
        labels: clips, as `read_labels` gives them.
        model: None: the one that the probe was fitted on, by its name.
        store: an embedding store whose windows are taken instead of encoding the clips.
        config: device, workers, ``nothing`` (beside what the probe knows as background),
            ``unannotated`` and ``group_by``; window and readout are the probe's.
        seen: score clips of files that the probe was fitted on as well.
        cache: folder where embeddings of clips are kept.
        progress: called with 1 for each clip.

    Raises:
        UsageError: Every clip is of a file that the probe was fitted on.
        TaskError: There is nothing to score.
        WeightsError: The encoder is not the probe's.
    """
    held, config = open_probe(probe), config or ProbeRunConfig()
    clips, unknown, is_strange = _clips(labels, held, config)
    if store is None:
        window_s = config.window_s or held.notes.window_s
        own = {"readout": held.readout, "window_s": window_s}
        embedded = embed_clips(
            clips,
            model_for(held, model),
            config.model_copy(update=own),
            cache=cache,
            progress=progress,
        )
    else:
        embedded = from_store(clips, Store(store))
    held.check(embedded.encoder)
    fitted_on = set(held.notes.files)
    is_seen = np.array([key[:DIGITS] in fitted_on for key in embedded.windows.content])
    chosen = np.ones(len(clips), bool) if seen else ~is_seen
    if not held.multi_label:
        chosen &= clips.truth.sum(axis=1) == 1
    if is_seen.all() and not seen:
        raise UsageError(
            f"all {len(clips)} clips are of files that this probe was fitted on, so scores would "
            "be too good; bring others, or say --seen to have them all the same"
        )
    found = embedded.features(clips, chosen)
    if not len(found.x):
        raise TaskError(
            f"{clips.manifest.named}: no clip is left to score: {int(is_seen.sum())} of "
            f"{len(clips)} were seen in fitting, {int(is_strange.sum())} have only labels that the "
            "probe does not know"
        )
    truth, group = np.asarray(found.y) > 0, np.asarray(found.group)
    scores = held.probabilities(found.x)
    part = clips.take(np.flatnonzero(chosen))
    held_out = HeldOut(
        logits=held.logits(found.x), truth=truth, group=group, how=clips.manifest.named
    )
    return EvaluationReport(
        n_clips=int(chosen.sum()),
        n_windows=len(truth),
        n_groups=len(np.unique(group)),
        n_seen=int(is_seen.sum()),
        n_unknown=int(is_strange.sum()),
        unknown=unknown,
        scores=overall(truth, scores, group, multi_label=held.multi_label),
        classes=by_class(
            held_out, scores, held.classes, clips_of_class(part), multi_label=held.multi_label
        ),
        thresholds=[
            at_threshold(name, scores[:, k], truth[:, k], group, held.thresholds[name])
            if name in held.thresholds
            else ClassThreshold(
                label=name,
                value=None,
                n_positive=int(truth[:, k].sum()),
                n_groups=len(np.unique(group[truth[:, k]])),
                reason="the probe has no threshold for it",
            )
            for k, name in enumerate(held.classes)
        ],
        calibration=figures(scores, truth),
        truth=truth,
        probabilities=scores,
        bad=(*clips.bad, *map(astuple, embedded.windows.failures)),
    )


def _clips(
    labels: ImportedClips, probe: FittedProbe, config: ProbeRunConfig
) -> tuple[LabelledClips, tuple[str, ...], NDArray[np.bool_]]:
    """Clips by the probe's classes; labels it does not know; which clips have only such."""
    if config.unannotated:
        labels = with_unannotated(labels, seed=config.fit.seed)
    nothing = background_labels(config.nothing, labels.manifest)
    nothing = (*nothing, *probe.notes.background)
    clips = labelled(labels, nothing=nothing, by=config.group_by, classes=probe.classes)
    strange = [
        [n for n in clip.labels if n not in probe.classes and not is_background(n, nothing)]
        for clip in clips.manifest
    ]
    names = tuple(sorted({name for found in strange for name in found}))
    only = np.array([bool(found) for found in strange]) & ~clips.truth.any(axis=1)
    return clips, names, only
