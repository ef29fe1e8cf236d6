"""Distillation: what a student's embedding must tell of the outputs of other models.

For each teacher the student has a linear head on its pooled tokens. It guesses the teacher's
embedding, standardised by the mean and deviation of all that the teacher has said in the run, and
its logits. Heads and moments are needed in training only; they are part of its checkpoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

L1_SHARE: Final = 0.1  # of the absolute error beside 1 - cosine, which does not see the length
LEAST_STD: Final = 1e-6  # a channel that never moves would be divided by 0
PRIOR: Final = 0.01  # probability that fresh heads give to each of a teacher's classes


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherSpec:
    """What a student must know of a teacher.

    Attributes:
        name: of its losses and tensors.
        dim: of its embedding.
        n_logits: 0 without any.
        embedding_weight: of the loss on its embedding; 0: none.
        logits_weight: of that on its logits; 0: none.
        is_standardised: whether its embeddings come with mean 0 and deviation 1 already.
    """

    name: str
    dim: int
    n_logits: int = 0
    embedding_weight: float = 1.0
    logits_weight: float = 0.0
    is_standardised: bool = False


class TeacherOutputs(NamedTuple):
    """What a teacher says of a batch.

    A tuple, because Fabric looks for tensors inside of it, and takes no frozen dataclass.

    Attributes:
        embedding: ``(batch, dim)`` float32, not standardised.
        logits: ``(batch, classes)`` float32, None without a classifier.
        there: ``(batch,)`` bool, where it says something; None: everywhere.
    """

    embedding: Tensor
    logits: Tensor | None = None
    there: Tensor | None = None


class RunningMoments(nn.Module):
    """Mean and variance of each channel over all rows so far; they change between steps only.

    Within a step every piece of its batch meets the same moments, in whichever process. What the
    pieces hold is put aside, and taken in when the step is done. Source: Chan, Golub and LeVeque,
    Updating formulae for computing sample variances, 1979.
    """

    mean: Tensor
    variance: Tensor
    n_rows: Tensor

    def __init__(self, dim: int) -> None:
        """``dim``: channels."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("variance", torch.zeros(dim))
        self.register_buffer("n_rows", torch.zeros((), dtype=torch.float32))
        self._step = -1
        self._aside: list[tuple[int, Tensor]] = []

    def put_aside(self, rows: Tensor, step: int) -> None:
        """Keep the sums of a piece ``(rows, dim)``; drop those of a step that was skipped."""
        if step != self._step:
            self._step, self._aside = step, []
        # from the mean so far, and from its own: squares of large numbers lose their digits
        apart = rows.detach().float() - self.mean
        centre = apart.mean(0)
        self._aside.append((len(rows), torch.stack([centre, (apart - centre).square().mean(0)])))

    @torch.no_grad()
    def take_in(
        self, mean_over_processes: Callable[[Tensor], Tensor] = lambda x: x, n_processes: int = 1
    ) -> None:
        """Count what was put aside, in all processes alike.

        Args:
            mean_over_processes: of a tensor; each process has equally many rows.
            n_processes: how many there are.
        """
        if not self._aside:
            return
        n_new = n_processes * sum(count for count, _ in self._aside)
        # pieces of one step are equally large, so that plain means are those of all rows
        centres, variances = torch.stack([moments for _, moments in self._aside], 1)
        centre = mean_over_processes(centres.mean(0))
        variance = mean_over_processes((variances + (centres - centre).square()).mean(0))
        share = n_new / (self.n_rows + n_new)
        apart = share * (1 - share) * centre.square()  # of the old rows' mean and the new ones'
        self.variance.copy_((1 - share) * self.variance + share * variance + apart)
        self.mean += share * centre
        self.n_rows += n_new
        self._aside = []

    def standardise(self, rows: Tensor) -> Tensor:
        """Each channel less its mean, over its deviation."""
        return (rows - self.mean) / (self.variance.sqrt() + LEAST_STD)


class TeacherHead(nn.Module):
    """What a student guesses of one teacher, and how wrong it is."""

    def __init__(self, student_dim: int, spec: TeacherSpec) -> None:
        """``student_dim``: of the student's embedding."""
        super().__init__()
        self.spec = spec
        has_logits = spec.n_logits and spec.logits_weight
        self.to_embedding = nn.Linear(student_dim, spec.dim) if spec.embedding_weight else None
        self.to_logits = nn.Linear(student_dim, spec.n_logits) if has_logits else None
        self.moments = None if spec.is_standardised else RunningMoments(spec.dim)
        if self.to_logits is not None:
            # most classes are absent from most sounds: nothing to unlearn
            prior = min(max(PRIOR, 1 / spec.n_logits), 0.5)
            nn.init.constant_(self.to_logits.bias, math.log(prior / (1 - prior)))

    def forward(self, pooled: Tensor, said: TeacherOutputs) -> dict[str, Tensor]:
        """``embedding`` and ``logits``, the losses as means over the batch, and ``cosine``.

        Clips of which the teacher says nothing count as 0, so that parts of a batch can be
        averaged.
        """
        parts: dict[str, Tensor] = {}
        if self.to_embedding is not None:
            guess, wanted = self.to_embedding(pooled).float(), self.wanted(said)
            cosine = functional.cosine_similarity(guess, wanted, dim=1)
            apart = (guess - wanted).abs().mean(1)
            parts["embedding"] = _mean(1 - cosine + L1_SHARE * apart, said.there)
            parts["cosine"] = _mean(cosine.detach(), said.there)
        if self.to_logits is not None and said.logits is not None:
            errors = functional.binary_cross_entropy_with_logits(
                self.to_logits(pooled).float(), said.logits.sigmoid(), reduction="none"
            )
            parts["logits"] = _mean(errors.mean(1), said.there)
        return parts

    def wanted(self, said: TeacherOutputs) -> Tensor:
        """The standardised embedding, ``(batch, dim)``."""
        if self.moments is None:
            return said.embedding
        return self.moments.standardise(said.embedding)


class Distillation(nn.Module):
    """The heads of all teachers."""

    def __init__(self, student_dim: int, specs: Sequence[TeacherSpec]) -> None:
        """``student_dim``: of the student's embedding."""
        super().__init__()
        self.specs = tuple(specs)
        self.heads = nn.ModuleDict({spec.name: TeacherHead(student_dim, spec) for spec in specs})

    def forward(
        self, pooled: Tensor, said: Mapping[str, TeacherOutputs]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of all losses, and each part as ``TEACHER_PART``.

        Args:
            pooled: ``(batch, student_dim)``.
            said: what each teacher says of the same sound, by name.
        """
        total = pooled.new_zeros((), dtype=torch.float32)
        parts: dict[str, Tensor] = {}
        for spec in self.specs:
            found = self.heads[spec.name](pooled, said[spec.name])
            weights = {"embedding": spec.embedding_weight, "logits": spec.logits_weight}
            for part, weight in weights.items():
                if part in found:
                    total = total + weight * found[part]
            parts |= {f"{spec.name}_{part}": value for part, value in found.items()}
        return total, parts

    def moments(self) -> dict[str, RunningMoments]:
        """The moments of each teacher that is standardised here, by name."""
        pairs = ((name, head.moments) for name, head in self.heads.items())
        return {name: moments for name, moments in pairs if isinstance(moments, RunningMoments)}


def _mean(values: Tensor, there: Tensor | None) -> Tensor:
    return values.mean() if there is None else (values * there.to(values.dtype)).mean()
