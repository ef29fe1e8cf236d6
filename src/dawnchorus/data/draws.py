"""Which clips a step draws: a pure function of the seed, the step and the row of the batch.

Nothing is kept from step to step, so a resumed run, or another process, needs no more than the
number of the step to go on.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CYCLE_STEPS: Final = 1000  # hold each bucket in proportion to its weight, in shuffled order
# The last number of a generator's seed: what it is for. 0 is left to whoever trains.
CLIP, MIX, NOISE, BUCKET, BATCH = 1, 2, 3, 4, 5


def generator(seed: int, step: int, row: int, purpose: int) -> np.random.Generator:
    """Random numbers for one purpose of one row of a step's batch."""
    return np.random.default_rng([seed, step, row, purpose])


class BucketOrder:
    """Which bucket a step draws from, and how often each was drawn before."""

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        """``weights``: relative share of the steps of each bucket."""
        self.seed = seed
        shares = np.array(weights, float) / sum(weights) * CYCLE_STEPS
        counts = np.maximum(shares.astype(int), 1)
        # largest remainders; a bucket that is nearly never drawn is drawn once a cycle all the same
        for number in np.argsort(counts - shares, kind="stable"):
            if counts.sum() < CYCLE_STEPS:
                counts[number] += 1
        self._once = np.repeat(np.arange(len(counts)), counts)
        self._counts = counts
        self._cycle = lru_cache(4)(self._shuffled)

    def _shuffled(self, cycle: int) -> NDArray[np.int64]:
        return generator(self.seed, cycle, 0, BUCKET).permutation(self._once)

    def at(self, step: int) -> tuple[int, int]:
        """Number of the step's bucket, and how many steps before this one had the same."""
        cycle, place = divmod(step, len(self._once))
        order = self._cycle(cycle)
        number = int(order[place])
        before = cycle * int(self._counts[number]) + int(np.sum(order[:place] == number))
        return number, before


def rows_of_part(batch_size: int, part: int, n_parts: int) -> range:
    """Rows of the global batch that a part holds.

    Raises:
        UsageError: The batch cannot be cut into so many equal parts, or there is no such part.
    """
    if not 0 <= part < n_parts:
        raise UsageError(f"part {part} of {n_parts}: need 0 <= part < n_parts")
    if batch_size % n_parts:
        raise UsageError(
            f"a batch of {batch_size} clips cannot be cut into {n_parts} equal parts; choose a "
            "batch_size that devices x accumulated pieces divide"
        )
    share = batch_size // n_parts
    return range(part * share, (part + 1) * share)
