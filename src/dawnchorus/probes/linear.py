"""Logistic regression, solved to convergence.

The problem is the usual one: the mean loss plus ``|W|^2 / (2 C n)``, the intercept not penalised;
softmax over classes, or one binary problem a class, all solved at once. (With two classes the
softmax has a weight vector for each, so C does here what 2 C does in a single binary problem.) It
is written in the eigenvectors of the features' covariance, scaled by the curvature of the loss
there, so that L-BFGS needs tens of steps and not thousands; the solution is the same.

scikit-learn's LogisticRegression finds the same solution, and the tests compare with it. It is an
extra, solves classes of several labels one by one, knows no weight for the positive side of a
class alone, and cannot share the decomposition among the values of C that are tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional as F

from dawnchorus.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

MAX_STEPS: Final = 1000  # tens suffice; the limit ends what does not converge
GRADIENT: Final = 1e-7  # where L-BFGS stops; scikit-learn's default is 1e-4
TOO_FAR: Final = 1e-5  # a gradient above this is not a solution
FLAT: Final = 1e-10  # share of the largest variance below which a direction is only rounding


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Features in the eigenvectors of their covariance.

    Attributes:
        rotated: ``(items, rank)`` float64, centred.
        vectors: ``(dim, rank)``.
        variance: ``(rank,)``.
        mean: ``(dim,)``.
    """

    rotated: Tensor
    vectors: Tensor
    variance: Tensor
    mean: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Spectrum:
        """Decompose ``(items, dim)`` by the smaller of its two products with itself."""
        x = x.double()
        mean = x.mean(dim=0)
        centred = x - mean
        n, dim = centred.shape
        if dim <= n:
            variance, vectors = torch.linalg.eigh(centred.T @ centred / n)
            varies = variance > FLAT * variance[-1].clamp_min(1e-300)
            variance, vectors = variance[varies], vectors[:, varies]
        else:
            variance, left = torch.linalg.eigh(centred @ centred.T / n)
            # fewer items than channels: the (items, items) product has the same spectrum
            varies = variance > FLAT * variance[-1].clamp_min(1e-300)
            variance, left = variance[varies], left[:, varies]
            vectors = centred.T @ (left / (variance * n).sqrt())
        return cls(centred @ vectors, vectors, variance, mean)


def item_losses(logits: Tensor, y: Tensor, weights: Tensor, *, multi_label: bool) -> Tensor:
    """Loss of each item ``(items,)``, summed over classes.

    Args:
        logits: ``(items, classes)``.
        y: ``(items, classes)`` of 0 and 1.
        weights: ``(items, classes)``; for single-label items the weight of the true class counts.
        multi_label: logistic loss of each class; otherwise the cross-entropy of a softmax.
    """
    if multi_label:
        each = F.binary_cross_entropy_with_logits(logits, y, weights, reduction="none")
        return each.sum(dim=1)
    return -(weights * y * F.log_softmax(logits, dim=1)).sum(dim=1)


@dataclass(frozen=True, slots=True)
class Solution:
    """Weights in the eigenvectors of a `Spectrum`.

    Attributes:
        slopes: ``(rank, classes)``.
        offsets: ``(classes,)``, logits of the mean item.
    """

    slopes: Tensor
    offsets: Tensor

    def in_features(self, spectrum: Spectrum) -> tuple[Tensor, Tensor]:
        """Weights ``(classes, dim)`` and intercepts ``(classes,)`` of the features themselves."""
        matrix = (spectrum.vectors @ self.slopes).T
        return matrix, self.offsets - matrix @ spectrum.mean


def solve(
    spectrum: Spectrum,
    y: Tensor,
    weights: Tensor,
    strength: float,
    *,
    multi_label: bool,
    start: Solution | None = None,
    gradient: float = GRADIENT,
) -> Solution:
    """Fit.

    Args:
        spectrum: of the training features.
        y: ``(items, classes)`` of 0 and 1, float64; every class has a 1, and a 0 if multi-label.
        weights: ``(items, classes)`` as in `item_losses`.
        strength: C; the smaller, the smaller the weights.
        multi_label: as in `item_losses`.
        start: the solution for another strength, to begin at; None: at no slope.
        gradient: of the loss, at which the search stops.

    Raises:
        TrainingError: It does not converge.
    """
    penalty = 1.0 / (strength * len(y))
    share = y.mean(dim=0)
    curve = (weights.mean(dim=0) * share * (1 - share)).clamp_min(1e-6)
    if not multi_label:
        # one for all classes: what is added to all logits does not change a softmax, and it has to
        # stay so in the scaled problem
        curve = curve.mean().expand_as(curve)
    # (rank, classes): about one over the root of the curvature, so that every direction is as steep
    scale = (spectrum.variance[:, None] * curve + penalty).rsqrt()
    lift = curve.rsqrt()
    if start is None:
        p = share.clamp(1e-6, 1 - 1e-6)  # without slopes the best offsets are the classes' shares
        start = Solution(torch.zeros_like(scale), p.logit() if multi_label else p.log())
    slopes = (start.slopes / scale).requires_grad_()
    bias = (start.offsets / lift).requires_grad_()

    def loss() -> Tensor:
        real = slopes * scale
        logits = spectrum.rotated @ real + bias * lift
        losses = item_losses(logits, y, weights, multi_label=multi_label)
        return losses.mean() + penalty / 2 * real.square().sum()

    minimise(loss, [slopes, bias], f"the linear probe with C={strength:g}", gradient)
    return Solution((slopes * scale).detach(), (bias * lift).detach())


def minimise(
    loss: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    what: str,
    gradient: float = GRADIENT,
) -> None:
    """Move parameters to where the loss no longer falls: no slope steeper than ``gradient``.

    Raises:
        TrainingError: After a thousand steps the gradient is still large.
    """
    solver = torch.optim.LBFGS(
        list(parameters),
        max_iter=MAX_STEPS,
        max_eval=2 * MAX_STEPS,
        tolerance_grad=gradient,
        tolerance_change=0.0,
        history_size=30,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        solver.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        return value

    solver.step(closure)  # type: ignore[no-untyped-call]  # as above
    closure()
    # features that do not vary have no slopes at all
    gradients = [p.grad.abs().max() for p in parameters if p.grad is not None and p.numel()]
    steepest = max(map(float, gradients))
    if not steepest <= TOO_FAR:
        raise TrainingError(
            f"{what} does not converge: after {MAX_STEPS} steps the gradient is {steepest:.1e}, "
            f"need {TOO_FAR:.0e}; standardise the features or use a smaller C"
        )
