"""The one strict loader: a model that is filled exactly, or an error.

Every tensor of the model must come from the file, every tensor of the file must be used or be one
that encoding does not need, and shapes must agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from dawnchorus.errors import WeightsError
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import MAX_TIME_STEPS, N_BAND_STEPS
from dawnchorus.models.layouts import expected_shapes
from dawnchorus.nn.patches import PATCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from dawnchorus.models.eat_config import EATConfig
    from dawnchorus.models.layouts import Shape

RANDOM: Final = frozenset({nn.init.kaiming_uniform_, nn.init.uniform_})  # of torch's layers
READABLE: Final = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})


def build(config: EATConfig, name: str, shapes: Mapping[str, Shape], source: str) -> EAT:
    """A model that the tensors of a file fit exactly, allocated only where they do.

    Args:
        config: of the model; a shorter or longer table of positions in the file is taken.
        name: of the model.
        shapes: of the file's tensors, by our names.
        source: the file, for messages.

    Raises:
        WeightsError: A tensor is missing, unknown or of another shape.
    """
    if "positions" in shapes and config.stored_positions:
        config = _fit_positions(config, shapes["positions"], source)
    want = expected_shapes(config)
    wrong = sorted(key for key in shapes.keys() | want.keys() if shapes.get(key) != want.get(key))
    if wrong:
        shown = "; ".join(f"{n}: {shapes.get(n)}, need {want.get(n)}" for n in wrong[:3])
        raise WeightsError(
            f"{source}: does not fit {name}: {len(wrong)} of {len(want)} tensors are "
            f"missing, unknown or of another shape ({shown})"
        )
    with _WithoutNumbers():
        return EAT(config, name=name, initialise=False)


class _WithoutNumbers(TorchFunctionMode):
    """Layers that are made inside hold whatever lies in memory: `fill` replaces all of it."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # Any: as torch has it
        # drawing them takes longer than reading the file
        return None if func in RANDOM else func(*args, **(kwargs or {}))


def fill(model: EAT, tensors: Mapping[str, Tensor], source: str) -> None:
    """Fill a model that `build` made, in float32 whatever precision the file has.

    Args:
        model: as `build` made it.
        tensors: by our names.
        source: the file, for messages.

    Raises:
        WeightsError: A value is not a finite number, or of a type that weights do not have.
    """
    # integers and booleans would become floats without a word, and complex numbers lose a part
    types = {value.dtype for value in tensors.values()} - READABLE
    if types:
        raise WeightsError(
            f"{source}: holds numbers of the type {types.pop()}; need one of "
            f"{', '.join(sorted(str(dtype).removeprefix('torch.') for dtype in READABLE))}"
        )
    broken = sorted(name for name, value in tensors.items() if not torch.isfinite(value).all())
    if broken:
        raise WeightsError(
            f"{source}: {len(broken)} tensors hold values that are not finite: {broken[:3]}"
        )
    # assign: the tensors become the parameters, so a large model is not in memory twice
    model.load_state_dict({name: value.float() for name, value in tensors.items()}, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_()


def _fit_positions(config: EATConfig, shape: Shape, source: str) -> EATConfig:
    """Old checkpoints carry shorter tables; any that covers the model's window will do."""
    padded = config.padded_frames
    needed = (padded // PATCH if padded else 1) * N_BAND_STEPS
    fits = len(shape) == 3 and shape[2] == config.dim and shape[1] % N_BAND_STEPS == 0
    if not fits or not needed <= shape[1] <= MAX_TIME_STEPS * N_BAND_STEPS:
        raise WeightsError(
            f"{source}: the position table has shape {shape}, need (1, rows, {config.dim}) "
            f"with {needed} to {MAX_TIME_STEPS * N_BAND_STEPS} rows"
        )
    return config.model_copy(update={"max_time_steps": shape[1] // N_BAND_STEPS})
