"""The weights of another model, which a run starts from (``init_from``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.load import load_model

if TYPE_CHECKING:
    from dawnchorus.models.eat_config import EATConfig


def take_weights(model: EAT, name: str) -> None:
    """Take the encoder's weights, and the head's where the labels are the same.

    Raises:
        UsageError: The other model has another shape, keeps its positions another way, or was
            trained with other input statistics.
    """
    start = load_model(name, device="cpu")
    if not isinstance(start, EAT):
        raise UsageError(f"init_from: {name} is not an EAT; only an EAT can be trained further")
    _check_shape(name, model.config, start.config)
    wanted = model.state_dict()
    # a head of the same labels in the same order is a better start than a fresh one
    kept = {
        key: value
        for key, value in start.state_dict().items()
        if not key.startswith("head.") or (start.labels == model.labels and key in wanted)
    }
    unknown = sorted(kept.keys() - wanted.keys())
    if unknown:
        raise UsageError(
            f"init_from: {name} contains {unknown[0]}, which the run's model does not have; "
            f"for positions from a file set pad_to_window: true"
        )
    for key, value in kept.items():
        if value.shape != wanted[key].shape:
            raise UsageError(
                f"init_from: {name} has {key} of shape {tuple(value.shape)}, the run "
                f"{tuple(wanted[key].shape)}; only models of the named sizes can be trained further"
            )
    model.load_state_dict({**wanted, **kept})


def _check_shape(name: str, ours: EATConfig, theirs: EATConfig) -> None:
    for field in ("dim", "n_layers", "n_heads", "mlp_ratio"):
        if getattr(ours, field) != getattr(theirs, field):
            raise UsageError(
                f"init_from: {name} has {field} {getattr(theirs, field)}, the run "
                f"{getattr(ours, field)}; set size to that of {name}"
            )
    # nothing would fail, and the features would be worse by an amount that nobody could explain
    if ours.normalization != theirs.normalization:
        raise UsageError(
            f"init_from: {name} was trained on log-mels normalised with {theirs.normalization} "
            f"(mean, standard deviation), the run has {ours.normalization}: its weights would see "
            "other input than they were trained on. Set normalization: "
            f"{_as_yaml(theirs.normalization)}"
        )


def _as_yaml(normalization: tuple[float, float] | str) -> str:
    if isinstance(normalization, str):
        return f"{normalization}, which training does not offer; start from another model"
    return str(list(normalization))
