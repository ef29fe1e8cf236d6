"""Which windows to label next, on plain arrays: those that teach most, from few recordings each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Floats = NDArray[np.floating]
    Flags = NDArray[np.bool_]

Strategy = Literal["mixed", "margin", "high", "diverse", "random"]
STRATEGIES: Final[tuple[Strategy, ...]] = get_args(Strategy)
PER_RECORDING: Final = 2  # windows of one recording are much alike
FEW_POSITIVES: Final = 10  # under so many a boundary means nothing yet: look at the best instead
RANDOM_SHARE: Final = 0.2  # of mixed, drawn evenly: the only ones that an estimate may use
POOL_FACTOR: Final = 10  # windows that are looked at for each that is chosen
LEAST_POOL: Final = 200


@dataclass(frozen=True, slots=True, eq=False)
class Choosable:
    """The windows of an archive, and what is known of them.

    Attributes:
        scores: ``(n,)`` higher where the label is likelier; None: nothing is known yet.
        boundary: the score at which present and absent are equally likely.
        recordings: ``(n,)`` the recording of each, as a number.
        done: ``(n,)`` labelled or suggested already; never chosen again.
        n_positives: that people found so far.
        vectors: of some rows, ``(rows, dim)``.
    """

    scores: Floats | None
    boundary: float
    recordings: Rows
    done: Flags
    n_positives: int
    vectors: Callable[[Rows], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Rows to label, in the order to label them.

    Attributes:
        rows: ``(n,)``.
        at_random: ``(n,)`` drawn evenly from all that were left.
    """

    rows: Rows
    at_random: Flags


def choose(windows: Choosable, n: int, strategy: Strategy, seed: int = 0) -> Chosen:
    """Choose windows to label next.

    Args:
        windows: among which.
        n: how many; fewer where there are not so many left.
        strategy: ``high``: the best scores; ``margin``: those nearest to the boundary; ``diverse``:
            those least like each other; ``random``: drawn evenly; ``mixed``: a fifth drawn
            evenly, the others by ``high``, spread, while there are under ten positives, and by
            ``margin`` from then on.
        seed: of what is drawn.

    Raises:
        UsageError: There is no such strategy, ``n`` is under 1, the strategy needs scores and there
            are none, or every window is labelled or suggested.
    """
    if strategy not in STRATEGIES:
        raise UsageError(f"strategy: need one of {', '.join(STRATEGIES)}, got {strategy!r}")
    if n < 1:
        raise UsageError(f"suggest: need at least 1 window, got {n}")
    if windows.done.all():
        raise UsageError("every window of these is labelled or suggested already")
    draws = np.random.default_rng(seed)
    n_random = n if strategy == "random" else round(n * RANDOM_SHARE) * (strategy == "mixed")
    left = np.flatnonzero(~windows.done)
    random = draws.permutation(left)[:n_random]
    others = _informative(windows, np.setdiff1d(left, random), n - len(random), strategy, draws)
    rows = np.concatenate([others, random])
    at_random = np.arange(len(rows)) >= len(others)
    # the evenly drawn ones lie among the others: who judges must not know which they are
    order = draws.permutation(len(rows)) if strategy == "mixed" else np.arange(len(rows))
    return Chosen(rows[order], at_random[order])


def _informative(
    windows: Choosable, left: Rows, n: int, strategy: Strategy, draws: np.random.Generator
) -> Rows:
    """Rows by what they teach, the most first."""
    if n < 1 or not len(left):
        return np.empty(0, np.int64)
    scores = windows.scores
    if scores is None:
        if strategy in ("high", "margin"):
            raise UsageError(
                f"{strategy} needs scores: name a probe, a sound that is alike, or label a few "
                "windows first"
            )
        pool = draws.permutation(left)[: max(LEAST_POOL, POOL_FACTOR * n)]
        return _spread(windows, pool, n)
    if strategy == "diverse":
        pool = draws.permutation(left)[: max(LEAST_POOL, POOL_FACTOR * n)]
        return _spread(windows, pool, n)
    if strategy == "margin" or (strategy == "mixed" and windows.n_positives >= FEW_POSITIVES):
        return _limited(
            windows, left[np.argsort(np.abs(scores[left] - windows.boundary), kind="stable")], n
        )
    best = left[np.argsort(-scores[left], kind="stable")]
    if strategy == "high":
        return _limited(windows, best, n)
    return _spread(windows, best[: max(LEAST_POOL, POOL_FACTOR * n)], n)


def _limited(windows: Choosable, ranked: Rows, n: int) -> Rows:
    """The first ``n`` with at most `PER_RECORDING` of a recording, then the rest in order."""
    recordings = windows.recordings[ranked]
    by_recording = np.argsort(recordings, kind="stable")
    starts = np.flatnonzero(np.diff(recordings[by_recording], prepend=-1))
    sizes = np.diff(starts, append=len(ranked))
    place = np.empty(len(ranked), np.int64)
    place[by_recording] = np.arange(len(ranked)) - np.repeat(starts, sizes)
    few = place < PER_RECORDING
    return np.concatenate([ranked[few], ranked[~few]])[:n]


def _spread(windows: Choosable, pool: Rows, n: int) -> Rows:
    """Farthest first: each next row is the one least like those chosen before it.

    The first is the first of the pool, so that the best score is always among them.
    """
    pool = _limited(windows, pool, len(pool))[: max(LEAST_POOL, POOL_FACTOR * n)]
    vectors = np.asarray(windows.vectors(pool), np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    counts: dict[int, int] = {}
    nearest = np.full(len(pool), -np.inf)  # cosine to the nearest that was chosen
    free = np.ones(len(pool), bool)
    chosen: list[int] = []
    while len(chosen) < min(n, len(pool)):
        # rounded: the same choice whatever the last digits of a product are
        at = int(np.argmin(np.where(free, np.round(nearest, 9), np.inf)))
        chosen.append(at)
        free[at] = False
        recording = int(windows.recordings[pool[at]])
        counts[recording] = counts.get(recording, 0) + 1
        if counts[recording] == PER_RECORDING:
            same = windows.recordings[pool] == recording
            if (free & ~same).sum() >= min(n, len(pool)) - len(chosen):
                free &= ~same
        np.maximum(nearest, vectors @ vectors[at], out=nearest)
    return pool[chosen]
