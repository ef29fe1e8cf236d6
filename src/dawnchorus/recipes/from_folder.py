"""The config of a run on one's own folder of sounds, in which each folder is a label."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.clips.folders import manifest_of_folder
from dawnchorus.clips.manifest import read_manifest, write_manifest
from dawnchorus.clips.split import split_manifest
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.models.eat_config import SIZES, EATConfig
from dawnchorus.models.load import open_model

if TYPE_CHECKING:
    from dawnchorus.clips.manifest import Manifest

MANIFEST: Final = "manifest.parquet"
DEFAULT_MODEL: Final = "dawnchorus_eat_tiny"
VALIDATION_SHARE: Final = 0.2
BATCH: Final = 16  # fewer when there are fewer clips
LOOK_EVERY: Final = (0.1, 10)  # share of the steps between validations, and steps at least
EPOCHS: Final = 30
STEPS: Final = (150, 3000)  # at least and at most, whatever the epochs
# Few steps need high rates. On 10 species of 6 training clips each, the validation mAP (20 clips,
# one seed) was 0.54 with 1e-3, 1e-4 and decay 0.75, 0.75 with 1e-2, 3e-4 and 0.75, 0.82 with these.
HEAD_RATE: Final = 3e-3
RATE: Final = 3e-4
LAYER_DECAY: Final = 0.9
PATCH_KEEP: Final = 0.6  # of the patches, in training: nearly twice as fast, and augmentation
HEAD_SHARE: Final = 0.3  # of the steps, with the encoder frozen


def folder_run_values(
    folder: Path,
    *,
    init_from: str | None = None,
    runs: Path = Path("runs"),
    name: str | None = None,
    steps: int | None = None,
) -> dict[str, Any]:
    """Config of a run that fine-tunes a model on a folder in which each folder is a label.

    The manifest, and with it which files are for validation, is made once and kept in the run's
    folder. Folders ``train``, ``val`` and ``test`` at the top are the split; without
    them a fifth of each label's files is kept for validation.

    Args:
        folder: of the sounds.
        init_from: model to start from; None: the bundled one.
        runs: folder that holds run folders.
        name: of the run; None: the folder's.
        steps: None: `EPOCHS` times through the clips, within `STEPS`.

    Raises:
        TaskError: There is no labelled sound.
        UsageError: The model cannot be fine-tuned.
    """
    name = name or re.sub(r"[^A-Za-z0-9._-]+", "_", folder.resolve().name) or "folder"
    path = runs / name / MANIFEST
    # made once: another split on resuming would validate on clips that were trained on
    manifest = read_manifest(path) if path.is_file() else _new_manifest(folder, path)
    n_train = len(manifest.where(split="train"))
    shape = open_model(init_from or DEFAULT_MODEL).model.config
    # a batch larger than the folder would hold clips twice
    batch = min(BATCH, n_train)
    n_steps = steps or min(max(math.ceil(EPOCHS * n_train / batch), STEPS[0]), STEPS[1])
    head_steps = round(HEAD_SHARE * n_steps)
    look_every = max(round(LOOK_EVERY[0] * n_steps), LOOK_EVERY[1])
    return {
        "kind": "posttrain",
        "name": name,
        "init_from": init_from or DEFAULT_MODEL,
        **_shape_values(shape, init_from or DEFAULT_MODEL),
        "steps": n_steps,
        "head_steps": head_steps,
        "head_learning_rate": HEAD_RATE,
        "head_warmup_steps": head_steps // 10,
        "learning_rate": RATE,
        "warmup_steps": (n_steps - head_steps) // 10,
        "layer_decay": LAYER_DECAY,
        "buckets": [{"crop_s": shape.window_s, "batch_size": batch, "patch_keep": PATCH_KEEP}],
        "data": {
            "root": str(path.parent),
            "manifest": MANIFEST,
            "label_kinds": ["species"],
            "sampling": "class_balanced",
        },
        "noise": {"probability": 0.0},  # nobody has named a folder of noise
        "checkpoint_every": look_every,
        "validate_every": look_every,
        "log_every": max(n_steps // 50, 1),
    }


def _new_manifest(folder: Path, path: Path) -> Manifest:
    made = manifest_of_folder(folder)
    if made.failures:
        first = made.failures[0]
        raise TaskError(
            f"{folder}: {len(made.failures)} files cannot be read, the first is {first.path} "
            f"({first.reason}); "
            f"remove or repair them; dawnchorus doctor {folder} lists them"
        )
    manifest = made.manifest
    if not any(clip.labels for clip in manifest):
        raise TaskError(
            f"{folder}: no file is in a folder named after its label; need {folder}/LABEL/FILE"
        )
    if all(not clip.split for clip in manifest):
        shares = {"train": 1 - VALIDATION_SHARE, "val": VALIDATION_SHARE}
        manifest, _ = split_manifest(manifest, shares)
    write_manifest(manifest, path)
    return read_manifest(path)


def _shape_values(shape: EATConfig, named: str) -> dict[str, Any]:
    """What the config must say so that a model's weights fit."""
    sizes = {dims: size for size, dims in SIZES.items()}
    size = sizes.get((shape.dim, shape.n_layers, shape.n_heads))
    if size is None or shape.normalization == "per_clip" or shape.head_norm_eps is not None:
        raise UsageError(
            f"{named}: fine-tuning takes models of the sizes {', '.join(SIZES)} with fixed input "
            f"statistics and a plain linear head; this one is built differently"
        )
    return {
        "size": size,
        "window_s": shape.window_s,
        "normalization": list(shape.normalization),
        "pad_to_window": shape.padded_frames is not None,
        "pooling": shape.head_pooling,
    }
