"""How a probe's network gets its numbers: L-BFGS, AdamW by a schedule, or the items themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import torch
from torch import Tensor, nn

from dawnchorus.configs.probes import TOKEN_PROBES
from dawnchorus.errors import TrainingError
from dawnchorus.models.load import resolve_device
from dawnchorus.nn.seeding import seeded
from dawnchorus.probes.features import mean_and_scale
from dawnchorus.probes.linear import GRADIENT, Solution, Spectrum, item_losses, minimise, solve
from dawnchorus.probes.net import Net, has_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.configs import FitConfig, ScheduleConfig
    from dawnchorus.probes.features import Features
    from dawnchorus.probes.heads import Neighbours

    Watch = Callable[[Net], None]
    Settings = Mapping[str, float]

TRIAL_GRADIENT: Final = 1e-6  # enough to compare values of C; the final fit is exact
LAYERS_GRADIENT: Final = 1e-6  # the shares of layers make long flat valleys; nearer takes for ever


@dataclass(kw_only=True)
class TrainingItems:
    """Training items as tensors, and what is computed of them once for all trials.

    Attributes:
        x, keep: as in `Features`, not standardised.
        y, weights: float64 ``(items, classes)``.
        mean, scale: as in `Net`.
    """

    config: FitConfig
    x: Tensor
    keep: Tensor | None
    y: Tensor
    weights: Tensor
    mean: Tensor
    scale: Tensor
    multi_label: bool
    solution: Solution | None = None  # of the last strength that was tried

    @classmethod
    def of(
        cls, config: FitConfig, train: Features, classes: Sequence[str], *, multi_label: bool
    ) -> TrainingItems:
        """Move to the device; measure mean and spread where features are standardised."""
        device = resolve_device(config.device)
        by_layer = has_layers(config, train.x.ndim - 1)
        mean, scale = mean_and_scale(train.x, train.keep, by_layer=by_layer)
        if not config.standardises:
            mean, scale = np.zeros_like(mean), np.ones_like(scale)
        y = np.asarray(train.y, np.float64)
        weights = class_weights(config, y, classes, multi_label=multi_label)
        return cls(
            config=config,
            x=torch.from_numpy(np.ascontiguousarray(train.x)).to(device),
            keep=None if train.keep is None else torch.from_numpy(train.keep).to(device),
            y=torch.from_numpy(y).to(device),
            weights=torch.from_numpy(weights).to(device),
            mean=torch.from_numpy(mean).to(device),
            scale=torch.from_numpy(scale).to(device),
            multi_label=multi_label,
        )

    @cached_property
    def scaled(self) -> Tensor:
        """Standardised features, float64."""
        return (self.x.double() - self.mean) / self.scale

    @cached_property
    def spectrum(self) -> Spectrum:
        """Standardised features in the eigenvectors of their covariance."""
        return Spectrum.of(self.scaled)

    def net(self, dtype: torch.dtype) -> Net:
        """A network that fits these items, with fresh weights drawn from the config's seed."""
        tokens = self.config.probe_type in TOKEN_PROBES
        shape = [*self.x.shape[1:-2], 0, self.x.shape[-1]] if tokens else [*self.x.shape[1:]]
        with seeded(self.config.seed, self.x.device):
            net = Net(self.config, shape, self.y.shape[1])
        net = net.to(self.x.device, dtype)
        net.mean, net.scale = self.mean.clone(), self.scale.clone()
        return net

    def losses(self, logits: Tensor, items: Tensor | slice = slice(None)) -> Tensor:
        """Weighted loss of items ``(items,)``."""
        y, weights = self.y[items].to(logits.dtype), self.weights[items].to(logits.dtype)
        return item_losses(logits, y, weights, multi_label=self.multi_label)


def class_weights(
    config: FitConfig, y: NDArray[np.float64], classes: Sequence[str], *, multi_label: bool
) -> NDArray[np.float64]:
    """What each item counts in the loss of each class, ``(items, classes)``.

    ``balanced`` gives every class, and in multi-label problems its two sides, the same total.
    Weights by name multiply the positive side of a class.
    """
    weights = np.ones_like(y)
    positive = y.sum(axis=0)
    if config.class_weights == "balanced" and multi_label:
        negative = len(y) - positive
        weights = len(y) / (2 * np.maximum(np.where(y > 0, positive, negative), 1))
    elif config.class_weights == "balanced":
        weights = weights * (len(y) / (y.shape[1] * np.maximum(positive, 1)))
    elif isinstance(config.class_weights, dict):
        given = np.array([config.class_weights.get(name, 1.0) for name in classes])
        weights = np.where(y > 0, given, 1.0) if multi_label else weights * given
    return np.asarray(weights, np.float64)


def settings_of(config: FitConfig) -> list[Settings]:
    """Every setting of the hyper-parameters that is tried."""
    if config.method == "lbfgs":
        return [{"strength": c} for c in sorted(config.strengths)]
    if config.method == "knn":
        return [{"k": float(k)} for k in sorted(config.neighbours)]
    schedule = config.training
    return [
        {"learning_rate": rate, "weight_decay": decay}
        for rate, decay in product(schedule.learning_rates, schedule.weight_decays)
    ]


def train_net(
    data: TrainingItems, settings: Settings, watch: Watch | None = None, n_epochs: int | None = None
) -> Net:
    """Train one network.

    Args:
        data: what it learns from.
        settings: one of `settings_of`.
        watch: is called with the network after each epoch, in evaluation mode.
        n_epochs: stop after so many of the schedule's epochs; None: all.

    Raises:
        TrainingError: It does not converge.
    """
    if data.config.method == "schedule":
        return _by_schedule(data, settings, watch, n_epochs)
    if data.config.method == "knn":
        net = _by_neighbours(data, int(settings["k"]))
    else:
        net = _by_lbfgs(data, settings["strength"], is_trial=watch is not None)
    if watch is not None:
        watch(net)
    return net


def _by_lbfgs(data: TrainingItems, strength: float, *, is_trial: bool) -> Net:
    net = data.net(torch.float64)
    head = cast("nn.Linear", net.head)
    if net.mix is None:
        # a trial begins where the last one ended and need not be exact; the final fit does not
        # depend on what was tried before it
        solution = solve(
            data.spectrum,
            data.y,
            data.weights,
            strength,
            multi_label=data.multi_label,
            start=data.solution if is_trial else None,
            gradient=TRIAL_GRADIENT if is_trial else GRADIENT,
        )
        data.solution = solution
        matrix, bias = solution.in_features(data.spectrum)
        head.weight.data.copy_(matrix)
        head.bias.data.copy_(bias)
        return net.eval()
    # shares of layers make the problem non-convex: from equal shares to the nearest solution
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    layers = list(data.scaled.unbind(dim=1))
    mix = net.mix

    def loss() -> Tensor:
        losses = data.losses(head(mix(layers)))
        return losses.mean() + head.weight.square().sum() / (2 * strength * len(data.y))

    what = f"the linear probe on layers with C={strength:g}"
    minimise(loss, list(net.parameters()), what, gradient=LAYERS_GRADIENT)
    return net.eval()


def _by_neighbours(data: TrainingItems, k: int) -> Net:
    net = data.net(torch.float32)
    head = cast("Neighbours", net.head)
    head.hold(net.standardised(data.x), data.y, k, multi_label=data.multi_label)
    return net.eval()


def _by_schedule(
    data: TrainingItems, settings: Settings, watch: Watch | None, n_epochs: int | None
) -> Net:
    schedule = data.config.training
    net = data.net(torch.float32)
    # tokens are many: they are standardised batch by batch, vectors once
    inputs = data.x if net.reads_tokens else net.standardised(data.x)
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
    )
    # two streams: the order of the items does not depend on how many numbers dropout draws
    order = np.random.default_rng(data.config.seed)
    steps_an_epoch = math.ceil(len(inputs) / schedule.batch_size)
    n_steps = schedule.n_epochs * steps_an_epoch
    step = 0
    with seeded(data.config.seed + 1, data.x.device):
        for epoch in range(n_epochs or schedule.n_epochs):
            net.train()
            shuffled = torch.from_numpy(order.permutation(len(inputs))).to(inputs.device)
            for items in torch.split(shuffled, schedule.batch_size):
                for group in optimizer.param_groups:
                    group["lr"] = settings["learning_rate"] * _share(schedule, step / n_steps)
                _step(net, optimizer, data, inputs, items)
                step += 1
            net.eval()
            if not all(bool(p.isfinite().all()) for p in net.parameters()):
                raise TrainingError(
                    f"the probe diverged in epoch {epoch + 1} at a learning rate of "
                    f"{settings['learning_rate']:g}; give a lower one"
                )
            if watch is not None:
                watch(net)
    return net


def _step(
    net: Net, optimizer: torch.optim.Optimizer, data: TrainingItems, inputs: Tensor, items: Tensor
) -> None:
    keep = None if data.keep is None else data.keep[items]
    forward = net if net.reads_tokens else net.classify
    losses = data.losses(forward(inputs[items], keep), items)
    # the mean over classes too, as the released code has it for multi-label sets
    loss = losses.mean() / (data.y.shape[1] if data.multi_label else 1)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
    optimizer.step()


def _share(schedule: ScheduleConfig, done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done)) if schedule.decay == "cosine" else 1.0
