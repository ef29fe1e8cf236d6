"""Checkpoints: safetensors for tensors, JSON for the rest, complete or not there at all."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dawnchorus.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import nn

MODEL, OPTIMIZER, STATE = "objective.safetensors", "optimizer.safetensors", "state.json"


def save_checkpoint(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]
) -> None:
    """Write a checkpoint beside its place and rename it there; ``state`` is plain JSON.

    Batches and random numbers are functions of the seed and the step, so the step is all the state
    they need.
    """
    beside = folder.with_name(f".{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_file({k: v.contiguous() for k, v in module.state_dict().items()}, beside / MODEL)
    tensors, rest = _flatten(optimizer.state_dict())
    save_file(tensors, beside / OPTIMIZER)
    (beside / STATE).write_text(json.dumps({**state, "optimizer": rest}), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    beside.replace(folder)


def load_checkpoint(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put a checkpoint's tensors in place and return its state.

    Raises:
        TrainingError: A file is missing or damaged, or the tensors are of another model.
    """
    try:
        state: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
        module.load_state_dict(load_file(folder / MODEL))
        optimizer.load_state_dict(_unflatten(load_file(folder / OPTIMIZER), state.pop("optimizer")))
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise TrainingError(
            f"{folder}: this checkpoint cannot be resumed ({error}); "
            f"remove it to go on from the one before"
        ) from error
    return state


def latest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of the highest step in ``checkpoints/``; half-written ones do not count."""
    found = sorted(folder.glob("step-*"))
    return found[-1] if found else None


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the last ``keep`` checkpoints."""
    for old in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(old)


def _flatten(state: Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    tensors = {
        f"{index}.{name}": value.contiguous()
        for index, values in state["state"].items()
        for name, value in values.items()
    }
    return tensors, {"param_groups": state["param_groups"]}


def _unflatten(tensors: Mapping[str, torch.Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    return {"state": state, "param_groups": rest["param_groups"]}
