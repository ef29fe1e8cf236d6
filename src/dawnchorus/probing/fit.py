"""`probe_fit`: labelled clips to a calibrated probe with thresholds, and what it is worth.

The walk goes down once: `training_clips`, `embed_clips`, `_fitted`, `calibrated`, `curve_of`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.configs import ProbeRunConfig
from dawnchorus.engine.encoding.model import DEFAULT_MODEL
from dawnchorus.engine.encoding.workers import one_core_each
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probes.description import DESCRIPTION
from dawnchorus.probes.fit import fit_probe, without_choice
from dawnchorus.probes.held_out import HeldOut, cross_validated, validated
from dawnchorus.probing.curve import curve_of
from dawnchorus.probing.embed import embed_clips
from dawnchorus.probing.scores import calibrated
from dawnchorus.probing.select import check_classes, training_clips
from dawnchorus.progress import NO_PROGRESS

if TYPE_CHECKING:
    from dawnchorus.clips.build import ImportedClips
    from dawnchorus.configs import FitConfig
    from dawnchorus.failures import Failure
    from dawnchorus.models.encoder import Encoder
    from dawnchorus.probes.features import Features
    from dawnchorus.probes.few_shot import CurvePoint
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.probing.embed import EmbeddedClips
    from dawnchorus.probing.labels import LabelledClips
    from dawnchorus.probing.scores import Evaluation
    from dawnchorus.progress import Progress

FEW: Final = 5  # clips of a class; fewer give a warning
DIGITS: Final = 32  # of a file's SHA-256 that a probe keeps, to recognise the file later
# names that people give to clips in which nothing of interest is heard
BACKGROUND_NAMES: Final = frozenset(
    {"background", "noise", "none", "nothing", "other", "silence", "unknown", "empty"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What `probe_fit` did.

    Attributes:
        probe: as it was saved.
        folder: where.
        n_clips, n_windows, n_groups: trained and validated on; a window is what the encoder sees.
        n_cached: clips whose embeddings were in the cache or the store.
        n_test: clips of split test, which were left alone.
        evaluation: scores, thresholds and calibration on clips held out; None where none could be
            held out.
        curve: scores by number of clips, if they were requested.
        warnings: what to watch out for.
        failures: clips that could not be read.
        seconds: of encoding, and of everything after it.
    """

    probe: FittedProbe
    folder: Path
    n_clips: int
    n_windows: int
    n_groups: int
    n_cached: int
    n_test: int
    evaluation: Evaluation | None
    curve: list[CurvePoint]
    warnings: tuple[str, ...]
    failures: tuple[Failure, ...]
    seconds: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Counts, warnings, failures and the notes of the probe as plain JSON."""
        names = ("n_clips", "n_windows", "n_groups", "n_cached", "n_test", "warnings", "seconds")
        return {
            "probe": str(self.folder),
            **{name: getattr(self, name) for name in names},
            "bad": [failure.to_json() for failure in self.failures],
            "notes": self.probe.notes.to_json(),
        }


def probe_fit(
    labels: ImportedClips,
    output: str | Path,
    *,
    model: str | Path | Encoder = DEFAULT_MODEL,
    store: str | Path | None = None,
    config: ProbeRunConfig | None = None,
    cache: Path | None = None,
    overwrite: bool = False,
    progress: Progress = NO_PROGRESS,
) -> ProbeReport:
    """Fit a probe on labelled clips, calibrate it, find its thresholds, and save it.

    Clips of split val choose hyper-parameters, calibration and thresholds; where there are none,
    that is done by cross-validation over recordings. Clips of split test are never used.

    Args:
        labels: the clips, as `read_labels` gives them.
        output: folder of the probe.
        model: a model's name, file or folder, or a loaded encoder.
        store: an embedding store whose windows are used instead of encoding the clips.
        config: everything else.
        cache: folder where embeddings of clips are kept for the next fit, None: nowhere.
        overwrite: replace a probe that is there.
        progress: gets a stage that counts clips.

    Raises:
        UsageError: An option is wrong, or the output exists.
        TaskError: A class cannot be learned from the clips, or no part of a recording is free of
            annotations.
    """
    config, folder = config or ProbeRunConfig(), Path(output)
    if (folder / DESCRIPTION).exists() and not overwrite:
        raise UsageError(f"{folder}: there is a probe already; name another folder, or overwrite")
    started = time.perf_counter()
    clips = training_clips(labels, config)  # raises before minutes of encoding, not after
    embedded = embed_clips(clips, model, config, store=store, cache=cache, progress=progress)
    encoded = time.perf_counter()
    # matrices this small wait longer for a second core than it would save
    with one_core_each(2):
        probe, held_out, warnings = _fitted(clips, embedded, config)
        evaluation, curve = None, []
        if held_out is not None:
            probe, evaluation = calibrated(probe, held_out, clips, config)
            curve = curve_of(config, probe, clips, embedded, evaluation)
    probe.notes = probe.notes.with_(**_notes(clips, embedded, evaluation, model))
    probe.save(folder)
    return ProbeReport(
        probe=probe,
        folder=folder,
        n_clips=len(np.unique(embedded.clip)),
        n_windows=len(embedded.vectors),
        n_groups=len(np.unique(clips.group)),
        n_cached=embedded.n_cached,
        n_test=sum(clip.split == "test" for clip in labels.manifest),
        evaluation=evaluation,
        curve=curve,
        warnings=(*clips.warnings, *_warnings(clips, embedded), *warnings),
        failures=(*clips.failures, *embedded.failures),
        seconds={"encoding": encoded - started, "fitting": time.perf_counter() - encoded},
    )


def _fitted(
    clips: LabelledClips, embedded: EmbeddedClips, config: ProbeRunConfig
) -> tuple[FittedProbe, HeldOut | None, tuple[str, ...]]:
    """The probe; logits of clips held out, None where there are none; what could not be done."""
    train, validation = _sides(clips, embedded)
    # again: clips that could not be read are gone now
    check_classes(clips.manifest.named, clips.classes, train.y, multi_label=clips.multi_label)
    fit_config, warnings = _without_choice(config, train, validation)
    probe = fit_probe(
        fit_config,
        train,
        validation,
        clips.classes,
        clips.multi_label,
        encoder=embedded.encoder,
        readout=embedded.readout,
    )
    if validation is not None:
        return probe, validated(probe, validation), warnings
    try:
        return probe, cross_validated(fit_config, probe, train), warnings
    except TaskError as error:
        why = f"no scores, calibration, thresholds or learning curve: {error}"
        return probe, None, (*warnings, why)


def _sides(clips: LabelledClips, embedded: EmbeddedClips) -> tuple[Features, Features | None]:
    """Windows to train on, and windows of split val."""
    is_val = clips.split == "val"
    shared = np.intersect1d(clips.group[is_val], clips.group[~is_val])
    if len(shared):
        raise TaskError(
            f"{clips.manifest.named}: {len(shared)} recordings or groups have clips in both train "
            "and val, so scores would be too good; split by group (dawnchorus data split)"
        )
    # clips of val may all be unreadable, which is as if there were none
    has_val = is_val[embedded.clip].any()
    return embedded.items(clips, ~is_val), embedded.items(clips, is_val) if has_val else None


def _without_choice(
    config: ProbeRunConfig, train: Features, validation: Features | None
) -> tuple[FitConfig, tuple[str, ...]]:
    """One value of each hyper-parameter where nothing can be held out to choose it, and why.

    Raises:
        TaskError: The probe cannot do without clips held out.
    """
    one_group = len(np.unique(np.asarray(train.group))) < 2
    one_clip_each = bool((np.asarray(train.y).sum(axis=0) < 2).all())
    if validation is not None or not (one_group or one_clip_each):
        return config.fit, ()
    why = "all clips are of one recording or group" if one_group else "every class has one clip"
    if config.fit.method == "schedule":
        raise TaskError(
            f"{why}, and {config.fit.probe_type} chooses how long it trains on clips of other "
            "recordings: use --probe-type linear or knn, or add clips of others (if they are of "
            "others, say so in a column 'group')"
        )
    return without_choice(config.fit), (f"{why}, so nothing was chosen on clips held out",)


def _notes(
    clips: LabelledClips,
    embedded: EmbeddedClips,
    evaluation: Evaluation | None,
    model: str | Path | Encoder,
) -> dict[str, Any]:
    """What the probe remembers of its clips, and what was measured."""
    files = sorted({content.partition(":")[0][:DIGITS] for content in embedded.content if content})
    return {
        # a loaded encoder cannot be loaded again by its name
        **({"model": str(model)} if isinstance(model, str | Path) else {}),
        "window_s": embedded.window_s,
        "n_clips": len(clips),
        "classes": {
            name: {"n_clips": n_clips, "n_groups": n_groups}
            for name, (n_clips, n_groups) in clips.counts.items()
        },
        "files": files,
        **({} if evaluation is None else evaluation.notes()),
        "background": list(clips.background),
    }


def _warnings(clips: LabelledClips, embedded: EmbeddedClips) -> list[str]:
    warnings = []
    for name, (n_clips, n_groups) in clips.counts.items():
        if n_clips < FEW:
            warnings.append(f"{name}: {n_clips} clips; need {FEW} or more, better 20")
        elif n_groups == 1:
            warnings.append(f"{name}: all {n_clips} clips are of one recording or group")
    vectors = embedded.vectors
    if len(vectors) > 1 and bool((np.ptp(vectors, axis=0) == 0).all()):
        warnings.append(
            "the embeddings of all windows are the same, so nothing was learned: are the clips "
            "silent?"
        )
    has_background = any(name.casefold() in BACKGROUND_NAMES for name in clips.classes)
    if not clips.multi_label and not has_background:
        warnings.append(
            f"every clip has one of {len(clips.classes)} labels, so in a recording this probe "
            "gives one of them to any sound, rain and people too; add clips with none of them "
            "under a label of their own, and name it: --background noise"
        )
    return warnings
