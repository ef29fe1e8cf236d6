"""Which clips a step draws: a pure function of the seed, the step and the row of the batch.

Nothing is kept from step to step, so a resumed run, or another process, needs no more than the
number of the step to continue.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CYCLE_STEPS: Final = 1000  # hold each bucket in proportion to its weight, in shuffled order
# The last number of a generator's seed: what it is for. 0 is left to whoever trains.
CLIP, MIX, NOISE, BUCKET, BATCH, SHARDS = 1, 2, 3, 4, 5, 6
SHARDS_AT_ONCE: Final = 16  # among which clips are shuffled


def generator(seed: int, step: int, row: int, purpose: int) -> np.random.Generator:
    """Random numbers for one purpose of one row of a step's batch."""
    return np.random.default_rng([seed, step, row, purpose])


class BucketOrder:
    """Which bucket a step draws from, and how often each was drawn before."""

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        """``weights``: relative share of the steps of each bucket."""
        self.seed = seed
        # a cycle of so many steps has each bucket as often as its weight says
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


class ClipOrder(Protocol):
    """Which of a bucket's clips a draw takes."""

    def at(self, number: int, chance: float) -> int:
        """Place of the clip among the bucket's.

        Args:
            number: how many clips were drawn from the bucket before.
            chance: a random number in [0, 1) of this draw.
        """
        ...


class Weighted:
    """Clips drawn with replacement, each as often as its weight says."""

    def __init__(self, weights: NDArray[np.float64]) -> None:
        """``weights``: at least 0, at least one of them more."""
        sums = np.cumsum(weights)
        self._sums = sums / sums[-1]

    def at(self, _number: int, chance: float) -> int:
        """Place of the clip that the chance falls on."""
        return int(np.searchsorted(self._sums, chance, side="right"))


class Shuffled:
    """Every clip once an epoch, in an order of its own each time."""

    def __init__(self, n_clips: int, seed: int) -> None:
        """``n_clips``: of the bucket."""
        self.n_clips, self.seed = n_clips, seed

    def at(self, number: int, _chance: float) -> int:
        """Place of the clip."""
        epoch, place = divmod(number, self.n_clips)
        return shuffled_place(place, self.n_clips, (self.seed << 32) + epoch)


class ShuffledByShard:
    """As `Shuffled`, among few shards at a time, so that what is read next lies together.

    Each epoch takes the shards in an order of its own, and shuffles the clips of every
    `SHARDS_AT_ONCE` that follow each other.
    """

    def __init__(self, shards: NDArray[np.integer], seed: int) -> None:
        """``shards``: number of each clip's shard; the clips of one follow each other."""
        self.seed = seed
        starts = np.flatnonzero(np.diff(shards, prepend=shards[0] - 1))
        self._starts = starts
        self._sizes = np.diff([*starts, len(shards)])
        self.n_clips = len(shards)
        self._epoch = lru_cache(2)(self._plan)

    def _plan(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Shards in the epoch's order, and how many clips lie before each, and in all."""
        # shards in an order of the epoch; clips are then shuffled within groups of them
        order = generator(self.seed, epoch, 0, SHARDS).permutation(len(self._sizes))
        return order, np.concatenate([[0], np.cumsum(self._sizes[order])])

    def at(self, number: int, _chance: float) -> int:
        """Place of the clip."""
        epoch, place = divmod(number, self.n_clips)
        order, before = self._epoch(epoch)
        group = (int(np.searchsorted(before, place, side="right")) - 1) // SHARDS_AT_ONCE
        first = group * SHARDS_AT_ONCE
        start, stop = before[first], before[min(first + SHARDS_AT_ONCE, len(order))]
        # another permutation for each group of each epoch
        key = (((self.seed << 32) + epoch) << 32) + group + 1
        place = int(start) + shuffled_place(place - int(start), int(stop - start), key)
        shard = int(np.searchsorted(before, place, side="right")) - 1
        return int(self._starts[order[shard]] + place - before[shard])


def shuffled_place(place: int, n: int, key: int) -> int:
    """Where a place of ``range(n)`` goes in a random permutation, without making the permutation.

    A Feistel network permutes the next power of 4; a place that leaves the range goes through it
    again until it is back. Source: Black and Rogaway, Ciphers with arbitrary finite domains, 2002.
    """
    # two halves of equal width that together hold every place
    half = max((n - 1).bit_length() + 1, 2) // 2
    low = (1 << half) - 1
    while True:
        left, right = place >> half, place & low
        for round_number in range(_ROUNDS):
            left, right = right, left ^ (_scrambled(right, key * _ROUNDS + round_number) & low)
        place = (left << half) | right
        if place < n:
            return place


_ROUNDS: Final = 6
_WORD: Final = (1 << 64) - 1


def _scrambled(value: int, key: int) -> int:
    """64 bits that depend on all bits of both. Source: Steele et al., SplitMix64, OOPSLA 2014."""
    word = value
    while True:
        word = (word + (key & _WORD) * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & _WORD
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
        word ^= word >> 31
        key >>= 64
        if not key:
            return word


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
