"""AdamW over named parameters, and its state by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.distributed.tensor import DTensor, distribute_tensor

from dawnchorus.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from dawnchorus.configs import TrainConfig


def make_optimizer(
    module: nn.Module, config: TrainConfig, scale: Callable[[str], float] = lambda _name: 1.0
) -> torch.optim.AdamW:
    """AdamW over what is trained; each group keeps its share of the learning rate as ``scale``.

    Weights decay in matrices and kernels only (``weight_decay_on: matrices``, as in EAT), or all
    parameters do, as in the released post-training.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            # of one dimension are biases and norms, which EAT does not decay
            decayed = config.weight_decay_on == "all" or parameter.ndim >= 2
            key = (config.weight_decay if decayed else 0.0, scale(name))
            groups.setdefault(key, []).append(parameter)
    if not groups:
        raise TrainingError("nothing is left to train: every parameter is frozen")
    options = [
        {"params": parameters, "weight_decay": decay, "scale": share}
        for (decay, share), parameters in groups.items()
    ]
    fused = can_fuse(module)
    return torch.optim.AdamW(options, lr=config.learning_rate, betas=config.betas, fused=fused)


def can_fuse(module: nn.Module) -> bool:
    """Whether the step can be one kernel for all parameters: on CUDA, and on a CPU unless spread.

    On two cores of a CPU it takes a third (tiny) to a sixth (base) of a loop over the parameters.
    """
    one = next(module.parameters())
    return one.is_cuda or (one.device.type == "cpu" and not isinstance(one, DTensor))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give each group its share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def optimizer_tensors(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's whole state on the CPU, as ``PARAMETER.moment``; every process takes part."""
    return {
        f"{name}.{kind}": whole(value)
        for name, parameter in module.named_parameters()
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer(
    module: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Put such a state back, over however many processes the parameters are spread now.

    Raises:
        KeyError: The state is of other parameters.
    """
    fused = any(group.get("fused") for group in optimizer.param_groups)
    of: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, kind = key.rsplit(".", 1)
        of.setdefault(name, {})[kind] = value
    trained = {p for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in module.named_parameters():
        if parameter in trained and of:
            optimizer.state[parameter] = {
                kind: _like(parameter, value) if value.ndim or fused else value.clone()
                for kind, value in of[name].items()
            }


def whole(value: Tensor) -> Tensor:
    """A tensor on the CPU, gathered from all processes if it is spread over them."""
    if isinstance(value, DTensor):
        value = value.full_tensor()
    return value.detach().cpu().contiguous()


def module_tensors(module: nn.Module) -> dict[str, Tensor]:
    """A module's whole state on the CPU; every process takes part."""
    return {name: whole(value) for name, value in module.state_dict().items()}


def gradient_norm(module: nn.Module, clip_to: float | None) -> Tensor:
    """Norm of all gradients together, which are scaled down to ``clip_to`` if it is more.

    It stays on the device: whoever reads it waits for the whole step.
    """
    trained = [p for p in module.parameters() if p.grad is not None]
    norm: Any = torch.nn.utils.clip_grad_norm_(trained, clip_to or float("inf"))
    whole_norm: Tensor = norm.full_tensor() if isinstance(norm, DTensor) else norm
    return whole_norm


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    value = value.to(parameter.device)
    if isinstance(parameter, DTensor) and value.ndim:
        return distribute_tensor(value, parameter.device_mesh, parameter.placements)
    return value.clone()
