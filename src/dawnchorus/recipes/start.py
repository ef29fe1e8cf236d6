"""What a run starts from: its config, and the weights of another model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dawnchorus.configs import TrainConfig, read_recipe
from dawnchorus.data.loader import Loader
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.load import load_model

if TYPE_CHECKING:
    from dawnchorus.data.batches import BatchSource

ConfigT = TypeVar("ConfigT", bound=TrainConfig)


def as_config(config: ConfigT | str | Path, kind: type[ConfigT]) -> ConfigT:
    """The config itself, or read from its YAML file and those that it builds on."""
    return kind(**read_recipe(Path(config))) if isinstance(config, (str, Path)) else config


def open_loader(source: BatchSource, config: TrainConfig) -> Loader:
    """A loader of this process, one of ``config.devices`` on this machine that share its cores."""
    return Loader(source, workers=config.data.workers, n_processes=config.devices)


def take_weights(model: EAT, name: str) -> None:
    """Take the encoder's weights, and the head's where the labels are the same.

    Raises:
        UsageError: The other model has another shape, or keeps its positions another way.
    """
    start = load_model(name, device="cpu")
    if not isinstance(start, EAT):
        raise UsageError(f"init_from: {name} is not an EAT; only an EAT can be trained further")
    ours, theirs = model.config, start.config
    for field in ("dim", "n_layers", "n_heads"):
        if getattr(ours, field) != getattr(theirs, field):
            raise UsageError(
                f"init_from: {name} has {field} {getattr(theirs, field)}, the run "
                f"{getattr(ours, field)}; set size to that of {name}"
            )
    wanted = model.state_dict()
    kept = {
        key: value
        for key, value in start.state_dict().items()
        if not key.startswith("head.") or (start.labels == model.labels and key in wanted)
    }
    unknown = sorted(kept.keys() - wanted.keys())
    if unknown:
        raise UsageError(
            f"init_from: {name} brings {unknown[0]}, which the run's model has not; "
            f"for positions from a file set pad_to_window: true"
        )
    model.load_state_dict({**wanted, **kept})
