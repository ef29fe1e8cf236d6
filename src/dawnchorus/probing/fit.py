"""`probe_fit`: labelled clips to a calibrated probe with thresholds, and what it is worth."""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.configs import ProbeRunConfig
from dawnchorus.engine.encoding.model import DEFAULT_MODEL
from dawnchorus.engine.encoding.workers import one_core_each
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probes.description import DESCRIPTION
from dawnchorus.probes.fit import fit_probe
from dawnchorus.probes.held_out import cross_validated, validated
from dawnchorus.probing.background import with_unannotated
from dawnchorus.probing.embed import embed_clips, from_store
from dawnchorus.probing.scores import Measured, curve_of, measure
from dawnchorus.probing.select import Usable, check_taught, usable
from dawnchorus.store.read import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dawnchorus.clips.build import ImportedClips
    from dawnchorus.models.encoder import Encoder
    from dawnchorus.probes.features import Features
    from dawnchorus.probes.few_shot import CurvePoint
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.probes.held_out import HeldOut
    from dawnchorus.probing.embed import Embedded
    from dawnchorus.probing.labels import LabelledClips

FEW: Final = 5  # clips of a class below which a warning is due
DEFAULT_PRECISION: Final = 0.9  # that thresholds are for where no target is given
USUAL_STRENGTH: Final = 0.1  # C that was chosen on most of the tasks tried, standardised features
DIGITS: Final = 32  # of a file's SHA-256, to know it again
BACKGROUND: Final = frozenset(
    {"background", "noise", "none", "nothing", "other", "silence", "unknown", "empty"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What `probe_fit` did.

    Attributes:
        probe: as it was saved.
        folder: where.
        n_clips, n_windows, n_groups: trained and validated on; a window is what the encoder sees.
        n_cached: clips whose embeddings were there already.
        n_test: clips of split test, which were left alone.
        measured: scores, classes, thresholds and calibration on clips held out; None where there
            was nothing to hold out.
        curve: scores by number of clips, if they were asked for.
        warnings: what to mind.
        bad: clips that could not be read.
        seconds: of encoding, and of everything after it.
    """

    probe: FittedProbe
    folder: Path
    n_clips: int
    n_windows: int
    n_groups: int
    n_cached: int
    n_test: int
    measured: Measured | None
    curve: list[CurvePoint]
    warnings: tuple[str, ...]
    bad: tuple[tuple[str, str, str], ...]
    seconds: dict[str, float]


def probe_fit(
    labels: ImportedClips,
    output: str | Path,
    *,
    model: str | Path | Encoder = DEFAULT_MODEL,
    store: str | Path | None = None,
    config: ProbeRunConfig | None = None,
    cache: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _n: None,
) -> ProbeReport:
    """Fit a probe on labelled clips, calibrate it, find its thresholds, and save it.

    Clips of split val choose hyper-parameters, calibration and thresholds; where there are none,
    that is done by cross-validation over recordings. Clips of split test are never touched.

    Args:
        labels: the clips, as `read_labels` gives them.
        output: folder of the probe.
        model: a model's name, file or folder, or a loaded encoder.
        store: an embedding store whose windows are taken instead of encoding the clips.
        config: everything else.
        cache: folder where embeddings of clips are kept for the next fit, None: nowhere.
        overwrite: replace a probe that is there.
        progress: called with 1 for each clip.

    Raises:
        UsageError: An option is wrong, or the output is there.
        TaskError: The clips cannot teach a probe, or no part of a recording is free of annotations.
    """
    config, folder = config or ProbeRunConfig(), Path(output)
    if (folder / DESCRIPTION).exists() and not overwrite:
        raise UsageError(f"{folder}: there is a probe already; name another folder, or overwrite")
    started = time.perf_counter()
    if config.unannotated:
        labels = with_unannotated(labels, seed=config.fit.seed)
    notes = labels.notes[-1:] if config.unannotated else ()
    found = usable(labels, config)
    clips = found.clips
    if store is None:
        embedded = embed_clips(clips, model, config, cache=cache, progress=progress)
    else:
        embedded = from_store(clips, Store(store))
    encoded = time.perf_counter()
    # matrices this small wait longer for a second core than it would save
    with one_core_each(2):
        probe, measured, curve, why_not = _fitted(found, embedded, config)
    probe.notes = probe.notes.with_(
        **_notes(clips, embedded, measured, model), background=list(found.background)
    )
    probe.save(folder)
    return ProbeReport(
        probe=probe,
        folder=folder,
        n_clips=len(np.unique(embedded.windows.clip)),
        n_windows=len(embedded.windows.vectors),
        n_groups=len(np.unique(clips.group)),
        n_cached=embedded.windows.n_cached,
        n_test=found.n_test,
        measured=measured,
        curve=curve,
        warnings=(
            *notes,
            *found.warnings,
            *_warnings(clips, probe, embedded.windows.vectors),
            *why_not,
        ),
        bad=(*clips.bad, *map(astuple, embedded.windows.failures)),
        seconds={"encoding": encoded - started, "fitting": time.perf_counter() - encoded},
    )


def _fitted(
    found: Usable, embedded: Embedded, config: ProbeRunConfig
) -> tuple[FittedProbe, Measured | None, list[CurvePoint], tuple[str, ...]]:
    """The probe, what it is worth, its learning curve, and what could not be measured."""
    clips = found.clips
    train, validation = _sides(clips, embedded)
    check_taught(clips.manifest.named, clips.classes, train.y, multi_label=found.multi_label)
    config, alone = _without_choice(config, train, validation)
    probe = fit_probe(
        config.fit,
        train,
        validation,
        clips.classes,
        found.multi_label,
        encoder=embedded.encoder,
        readout=embedded.readout,
    )
    held_out, why_not = _held_out(config, probe, train, validation)
    measured = None
    if held_out is not None:
        measured = measure(
            held_out,
            probe,
            clips_of_class(clips),
            calibration=config.calibration,
            precision=_target(config),
            recall=config.target_recall,
            confidence=config.confidence,
            seed=config.fit.seed,
        )
        probe.calibration = measured.calibrated.calibration
        probe.thresholds = {t.label: t.value for t in measured.thresholds if t.value is not None}
    if measured is None:
        return probe, None, [], (*alone, *why_not)
    curve = curve_of(config.fit, probe, clips, embedded, counts=config.few_shot, measured=measured)
    return probe, measured, curve, (*alone, *why_not)


def _without_choice(
    config: ProbeRunConfig, train: Features, validation: Features | None
) -> tuple[ProbeRunConfig, tuple[str, ...]]:
    """One value of each hyper-parameter where nothing can be held out to choose it, and why.

    Raises:
        TaskError: The probe cannot do without clips held out.
    """
    alone = len(np.unique(np.asarray(train.group))) < 2
    single = bool((np.asarray(train.y).sum(axis=0) < 2).all())
    if validation is not None or not (alone or single):
        return config, ()
    why = "all clips are of one recording or group" if alone else "every class has one clip"
    if config.fit.method == "schedule":
        raise TaskError(
            f"{why}, and {config.fit.probe_type} chooses how long it trains on clips of other "
            "recordings: use --probe-type linear or knn, or add clips of others (if they are of "
            "others, say so in a column 'group')"
        )
    one = {"strengths": (USUAL_STRENGTH,), "neighbours": (1,)}
    said = f"{why}, so nothing was chosen on clips held out"
    return config.model_copy(update={"fit": config.fit.model_copy(update=one)}), (said,)


def clips_of_class(clips: LabelledClips) -> dict[str, tuple[int, int]]:
    """Numbers of clips and groups of each class."""
    return {
        name: (int(mine.sum()), len(np.unique(clips.group[mine])))
        for name, mine in zip(clips.classes, clips.truth.T, strict=True)
    }


def _sides(clips: LabelledClips, embedded: Embedded) -> tuple[Features, Features | None]:
    validates = clips.split == "val"
    train = embedded.features(clips, ~validates)
    held = validates[embedded.windows.clip].any()
    shared = np.intersect1d(clips.group[validates], clips.group[~validates])
    if len(shared):
        raise TaskError(
            f"{clips.manifest.named}: {len(shared)} recordings or groups have clips in both train "
            "and val, so scores would be too good; split by group (dawnchorus data split)"
        )
    return train, embedded.features(clips, validates) if held else None


def _target(config: ProbeRunConfig) -> float | None:
    if config.target_recall is not None:
        return None
    return config.target_precision or DEFAULT_PRECISION


def _held_out(
    config: ProbeRunConfig, probe: FittedProbe, train: Features, validation: Features | None
) -> tuple[HeldOut | None, tuple[str, ...]]:
    """Logits of clips held out, or why there are none."""
    if validation is not None:
        return validated(probe, validation), ()
    try:
        return cross_validated(config.fit, probe, train), ()
    except TaskError as error:
        return None, (f"no scores, calibration, thresholds or learning curve: {error}",)


def _notes(
    clips: LabelledClips,
    embedded: Embedded,
    measured: Measured | None,
    model: str | Path | Encoder,
) -> dict[str, Any]:
    named = {"model": str(model)} if isinstance(model, str | Path) else {}
    files = sorted({key.partition(":")[0][:DIGITS] for key in embedded.windows.content if key})
    counts = {
        name: {"n_clips": n_clips, "n_groups": n_groups}
        for name, (n_clips, n_groups) in clips_of_class(clips).items()
    }
    return {
        **named,
        "window_s": embedded.window_s,
        "n_clips": len(clips),
        "classes": counts,
        "files": files,
        **({} if measured is None else measured.notes()),
    }


def _warnings(clips: LabelledClips, probe: FittedProbe, train: NDArray[np.float32]) -> list[str]:
    said = []
    for name, (n_clips, n_groups) in clips_of_class(clips).items():
        if n_clips < FEW:
            said.append(f"{name}: {n_clips} clips; need {FEW} or more, better 20")
        elif n_groups == 1:
            said.append(f"{name}: all {n_clips} clips are of one recording or group")
    unlabelled = any(name.casefold() in BACKGROUND for name in clips.classes)
    if len(train) > 1 and bool((np.ptp(train, axis=0) == 0).all()):
        said.append(
            "the embeddings of all windows are the same, so nothing was learned: are the clips "
            "silent?"
        )
    if not probe.multi_label and not unlabelled:
        said.append(
            f"every clip has one of {len(clips.classes)} labels, so in a recording this probe "
            "gives one of them to any sound, rain and people too; add clips with none of them "
            "under a label of their own, and name it: --background noise"
        )
    return said
