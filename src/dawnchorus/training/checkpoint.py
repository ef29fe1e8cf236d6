"""Checkpoints: safetensors for tensors, JSON for the rest, complete or not there at all.

Batches, masks and augmentation are functions of the seed and the step, so the step is all of their
state that a checkpoint needs.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dawnchorus.configs.json_file import read_json
from dawnchorus.errors import TrainingError, shown
from dawnchorus.store.files import sync_folder, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

MODEL: Final = "model.safetensors"  # so that a checkpoint's folder is accepted as a model's
OPTIMIZER: Final = "optimizer.safetensors"
STATE: Final = "state.json"
NONE: Final = type(None)
STATE_KINDS: Final[dict[str, tuple[type, ...]]] = {  # of the values that a resumed loop needs
    "step": (int,),
    "best": (int, float, NONE),
    "best_step": (int, NONE),
    "validations_since_best": (int,),
    "skipped": (int,),
    "skipped_in_a_row": (int,),
    "finished": (bool,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a run needs to continue.

    Attributes:
        model: tensors of the module, a teacher's included.
        optimizer: as `optimizer_tensors` gives them.
        state: step, best score and counts; plain JSON.
        beside: small files that make the folder a model's: card, label map.
        metadata: of the file with the model's tensors: card and labels again, for a copy of that
            file alone.
    """

    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    state: Mapping[str, Any]
    beside: Mapping[str, bytes] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


def step_folder(checkpoints: Path, step: int) -> Path:
    """Folder of the checkpoint of a step."""
    return checkpoints / f"step-{step:07d}"


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint under a hidden name, flush it to disk and rename it.

    Raises:
        TrainingError: The disk is full, read-only or gone.
    """
    unfinished = folder.with_name(f".{folder.name}")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        _save(checkpoint.model, unfinished / MODEL, checkpoint.metadata)
        _save(checkpoint.optimizer, unfinished / OPTIMIZER)
        for name, content in checkpoint.beside.items():
            (unfinished / name).write_bytes(content)
        # the sizes are what tells a whole checkpoint from one that a full disk cut short
        sizes = {path.name: path.stat().st_size for path in sorted(unfinished.iterdir())}
        text = json.dumps({**checkpoint.state, "files": sizes}, indent=1)
        (unfinished / STATE).write_text(text, encoding="utf-8")
        # content before names: after a power cut a renamed file may otherwise be empty
        for path in unfinished.iterdir():
            _flush(path)
        sync_folder(unfinished)
        if folder.exists():  # damaged: a whole one is never written again
            shutil.rmtree(folder)
        unfinished.replace(folder)
        sync_folder(folder.parent)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{folder}: the checkpoint cannot be written: {error}") from error


def _save(
    tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """As `save_file`, which makes files that only their owner may read; a group shares runs."""
    path.touch()
    mode = path.stat().st_mode
    save_file(dict(tensors), path, dict(metadata) if metadata else None)
    path.chmod(mode)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        TrainingError: It is damaged.
    """
    try:
        state = read_json(folder / STATE, nan=True)
        _check_state(state)
    except (OSError, ValueError) as error:
        raise _unreadable(folder / STATE, error) from error
    return Checkpoint(
        model=load_tensors(folder / MODEL), optimizer=load_tensors(folder / OPTIMIZER), state=state
    )


def _check_state(state: Any) -> None:
    """Refuse a state that no run has.

    Raises:
        ValueError: A key is missing, or its value is of another kind.
    """
    if not isinstance(state, dict):
        raise ValueError(f"need an object, found {shown(state)}")
    for name, kinds in STATE_KINDS.items():
        value = state.get(name, ...)
        # bool is a kind of int in Python, and True is no step
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ValueError(f"{name}: {'missing' if value is ... else shown(value)}")
        if name != "best" and isinstance(value, int) and value < 0:
            raise ValueError(f"{name}: {shown(value)} is below 0")


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of one file of a checkpoint.

    Raises:
        TrainingError: It is damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> TrainingError:
    return TrainingError(
        f"{path}: this checkpoint cannot be read ({error}); remove {path.parent} to "
        f"continue from the one before"
    )


def latest_checkpoint(checkpoints: Path) -> tuple[Path | None, list[Path]]:
    """The whole checkpoint of the highest step, and later ones that are not whole.

    Raises:
        TrainingError: There are checkpoints, and none of them is whole.
    """
    passed_over: list[Path] = []
    for folder in sorted(checkpoints.glob("step-*"), reverse=True):
        if _is_whole(folder):
            return folder, passed_over
        passed_over.append(folder)
    if passed_over:
        raise TrainingError(
            f"{passed_over[0]}: files are missing or cut short, and no earlier checkpoint is whole;"
            f" remove {checkpoints} to start again"
        )
    return None, []


def _is_whole(folder: Path) -> bool:
    try:
        sizes = read_json(folder / STATE, nan=True)["files"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def prune_checkpoints(checkpoints: Path, keep: int) -> None:
    """Remove all but the last ``keep`` checkpoints, and what a killed run left half-written."""
    for leftover in checkpoints.glob(".step-*"):
        shutil.rmtree(leftover)
    for old in sorted(checkpoints.glob("step-*"))[:-keep]:
        # first out of sight, so that a kill in between leaves no half of it
        hidden = old.with_name(f".{old.name}")
        old.replace(hidden)
        shutil.rmtree(hidden)


def save_best(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the best model, file by file: the weights are the old ones or the new ones, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{MODEL}"  # beside it, so that a rename is enough
    _save(checkpoint.model, unfinished, checkpoint.metadata)
    _flush(unfinished)
    unfinished.replace(folder / MODEL)
    for name, content in checkpoint.beside.items():
        write_whole(folder / name, content)
    write_whole(folder / STATE, json.dumps(dict(checkpoint.state), indent=1).encode())
