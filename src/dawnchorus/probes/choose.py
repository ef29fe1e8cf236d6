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
    """Mean loss of items, all weights 1."""
    truth = torch.from_numpy(np.asarray(y, np.float64))
    out = torch.from_numpy(logits)
    losses = item_losses(out, truth, torch.ones_like(truth), multi_label=multi_label)
    return float(losses.mean())


def best_of(trials: Sequence[Trial], ties: str) -> tuple[Trial, int]:
    """The best setting and its best epoch; of equals, the first."""
    ranked = [(*trial.best(ties)[:2], -number) for number, trial in enumerate(trials)]
    chosen = trials[-max(ranked)[2]]
    return chosen, chosen.best(ties)[2]


def cut_lone_groups(
    y: NDArray[np.generic], group: NDArray[Any]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Make every item of a group a group of its own where some class is in no other group.

    Held out whole, such a group would take its class out of what is learned from, and every setting
    would score alike. Cut, its class can be scored, though flatteringly.

    Args:
        y: ``(items, classes)`` of 0 and 1.
        group: ``(items,)``.

    Returns:
        A number for the group of each item, and the names of the groups that were cut.
    """
    names, owner = np.unique(group, return_inverse=True)
    counts = np.zeros((len(names), np.asarray(y).shape[1]))
    np.add.at(counts, owner, np.asarray(y, np.float64))
    is_lone = (counts > 0).sum(axis=0) == 1
    lone = counts[:, is_lone].max(axis=1, initial=0) > 0
    cut = lone[owner]
    alone = len(names) + np.arange(len(owner))
    return np.where(cut, alone, owner), tuple(str(name) for name in names[lone])


def folds(y: NDArray[np.generic], group: NDArray[Any] | None, n: int, seed: int) -> list[
    NDArray[np.int64]
]:  # fmt: skip
    """Cut items into folds; a group stays in one, and classes are spread as evenly as they can be.

    Groups are dealt out from the one with the rarest class on, each to the fold that has the
    least of its classes; equal ones in an order drawn from the seed.

    Args:
        y: ``(items, classes)`` of 0 and 1.
        group: ``(items,)``; None: every item alone.
        n: how many; fewer where there are fewer groups.
        seed: of the order.

    Returns:
        Items of each fold, ascending.

    Raises:
        UsageError: All items belong to one group.
    """
    truth = np.asarray(y, np.float64)
    _, owner = np.unique(np.arange(len(truth)) if group is None else group, return_inverse=True)
    n_groups = int(owner.max()) + 1
    n = min(n, n_groups)
    if n < 2:
        raise UsageError(
            "without validation items, hyper-parameters are chosen by cross-validation over "
            "groups, and all items belong to one group; give validation items or a single value"
        )
    counts = np.zeros((n_groups, truth.shape[1]))
    np.add.at(counts, owner, truth)
    sizes = np.bincount(owner, minlength=n_groups)
    rarity = 1.0 / np.maximum((counts > 0).sum(axis=0), 1)
    rarest = (np.where(counts > 0, rarity, 0.0)).max(axis=1, initial=0.0)
    shuffled = np.random.default_rng(seed).permutation(n_groups)
    held, filled = np.zeros((n, truth.shape[1])), np.zeros(n)
    fold_of = np.zeros(n_groups, np.int64)
    for number in shuffled[np.argsort(-rarest[shuffled], kind="stable")]:
        crowded = (held * rarity) @ (counts[number] > 0)
        fold = min(range(n), key=lambda k: (round(float(crowded[k]), 9), filled[k], k))
        fold_of[number] = fold
        held[fold] += counts[number]
        filled[fold] += sizes[number]
    of_item = fold_of[owner]
    return [np.flatnonzero(of_item == fold) for fold in range(n) if (of_item == fold).any()]
