"""What the loop needs to know of what it trains, and all that it knows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from dawnchorus.training.schedule import Stage

BatchT = TypeVar("BatchT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainable(Generic[BatchT]):
    """Weights, batches, losses and scores of a run, as functions that the loop calls.

    Attributes:
        module: everything that has weights, a teacher's included; all of it goes into checkpoints.
        draw: ``(step, part, n_parts)`` to one of the equal parts of the step's batch, a function of
            nothing else; called from another thread, ahead of time. A part for each process and
            each accumulated piece: together they are the batch that one process would have drawn.
        losses: module (as it is wrapped for several devices) and batch to named losses, ``loss``
            among them; each is a mean over the clips, so that parts can be averaged.
        describe: names of a batch's clips, for error messages.
        size: clips in a batch.
        validate: named scores; the first one, higher is better, chooses the best checkpoint. Called
            in every process, which may share the work; all must come to the same scores.
        after_step: called with the number of steps done, after each step of the optimiser. On a GPU
            also after one that changed nothing, since its loss was no number: nobody knows yet.
        watch: called with each step, from 0, and its named losses, the means over all processes; on
            a GPU some steps later. It may end the run.
        stages: parts of the run with an optimiser and schedule of their own; none: the config's
            schedule from beginning to end.
        beside: small files that make a folder with ``module``'s weights a model's.
        metadata: what the header of the file with ``module``'s weights says.
    """

    module: nn.Module
    draw: Callable[[int, int, int], BatchT]
    losses: Callable[[Any, BatchT], Mapping[str, Tensor]]
    describe: Callable[[BatchT], list[str]]
    size: Callable[[BatchT], int]
    validate: Callable[[], Mapping[str, float]]
    after_step: Callable[[int], None] = lambda _step: None
    watch: Callable[[int, Mapping[str, float]], None] = lambda _step, _losses: None
    stages: Sequence[Stage] = ()
    beside: Mapping[str, bytes] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
