"""How good a fit is on items that it has not seen, and which of several is best."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dawnchorus import metrics
from dawnchorus.errors import UsageError
from dawnchorus.probes.linear import item_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.configs import FinetuneConfig, FitConfig
    from dawnchorus.probes.net import Net

    Scores = NDArray[np.float64]
    Measure = Callable[[NDArray[np.generic], Scores], float]


@dataclass(slots=True)
class Trial:
    """One setting of the hyper-parameters and how it did, epoch by epoch.

    Attributes:
        settings: name to value.
        scores: of the held-out items after each epoch; one value for what has no epochs.
        losses: likewise.
        net: the fit after its best epoch, None where it is to be fitted again on more items.
    """

    settings: Mapping[str, float]
    scores: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    net: Net | None = None

    def best(self, ties: str) -> tuple[float, float, int]:
        """Score, negative loss and number of the best epoch."""
        order = [
            # rounded: of scores that differ by rounding alone, the lower loss wins
            (round(score, 9), -loss if ties == "loss" else 0.0, -epoch)
            for epoch, (score, loss) in enumerate(zip(self.scores, self.losses, strict=True))
        ]
        score, loss, epoch = max(order)
        return score, loss, -epoch


def measure_of(config: FitConfig | FinetuneConfig, *, multi_label: bool) -> tuple[str, Measure]:
    """Name of what hyper-parameters are chosen by, and the function; higher is better.

    Raises:
        UsageError: A measure of single labels for multi-label items, or the other way round.
    """
    name = config.select_by or ("mean_average_precision" if multi_label else "macro_recall")
    if name == "loss":
        return name, lambda y, out: -mean_loss(y, out, multi_label=multi_label)
    if name == "mean_average_precision":
        return name, metrics.mean_average_precision
    if multi_label:
        raise UsageError(f"select_by {name!r} needs one label an item; use mean_average_precision")
    single = {"accuracy": metrics.accuracy, "macro_recall": metrics.macro_recall}[name]
    return name, lambda y, out: single(np.asarray(y).argmax(axis=1), out.argmax(axis=1))


def mean_loss(y: NDArray[Any], logits: Scores, *, multi_label: bool) -> float:
    """Mean loss of items, all with weight 1."""
    truth = torch.from_numpy(np.asarray(y, np.float64))
    out = torch.from_numpy(logits)
    losses = item_losses(out, truth, torch.ones_like(truth), multi_label=multi_label)
    return float(losses.mean())


def best_of(trials: Sequence[Trial], ties: str) -> tuple[Trial, int]:
    """The best setting and its best epoch; of equals, the first."""
    ranked = [(*trial.best(ties)[:2], -number) for number, trial in enumerate(trials)]
    chosen = trials[-max(ranked)[2]]
    return chosen, chosen.best(ties)[2]
