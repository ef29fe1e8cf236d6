"""Which windows to label next, on plain arrays: those that teach most, from few recordings each."""

from __future__ import annotations

import itertools
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
FEW_POSITIVES: Final = 4  # under so many a boundary means nothing yet: look down the scores instead
RANDOM_SHARE: Final = 0.2  # of mixed, drawn evenly: the only ones that an estimate may use
POOL_FACTOR: Final = 10  # windows that are looked at for each that is chosen
LEAST_POOL: Final = 200
MOST_COMPARED: Final = 200  # windows of a step of the scores, drawn where it has more


@dataclass(frozen=True, slots=True, eq=False)
class Choosable:
    """The windows of an archive, and what is known of them.

    Attributes:
        scores: ``(n,)`` higher where the label is likelier; None: nothing is known yet.
        boundary: the score at which present and absent are equally likely.
        recordings: ``(n,)`` the recording of each, as a number.
        done: ``(n,)`` labelled or suggested already; not worth choosing again.
        estimated: ``(n,)`` suggested or judged for an estimate already; never drawn again.
        n_positives: that people found so far.
        vectors: of some rows, ``(rows, dim)``.
        thin: ``(n,)`` with too little sound to learn from: drawn evenly as any other, chosen
            when nothing else is left; None: there are none.
    """

    scores: Floats | None
    boundary: float
    recordings: Rows
    done: Flags
    estimated: Flags
    n_positives: int
    vectors: Callable[[Rows], Floats]
    thin: Flags | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Rows to label, in the order to label them.

    Attributes:
        rows: ``(n,)``.
        at_random: ``(n,)`` drawn evenly from all that no estimate has yet.
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
            evenly, the others down the whole range of scores, close together at the top, while
            there are under four positives, and by ``margin`` from then on.
        seed: of what is drawn.

    Raises:
        UsageError: There is no such strategy, ``n`` is under 1, the strategy needs scores and there
            are none, or every window is labelled or suggested.
    """
    if strategy not in STRATEGIES:
        raise UsageError(f"strategy: need one of {', '.join(STRATEGIES)}, got {strategy!r}")
    if not isinstance(n, int | np.integer) or n < 1:
        raise UsageError(f"suggest: need at least 1 window, got {n!r}")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"seed: need a whole number from 0, got {seed!r}")
    if (windows.estimated if strategy == "random" else windows.done).all():
        raise UsageError("every window of these is labelled or suggested already")
    draws = np.random.default_rng(seed)
    n_random = n if strategy == "random" else round(n * RANDOM_SHARE) * (strategy == "mixed")
    # also from what was labelled in order to learn: without the calls that a search has found, what
    # is left would hold too few of them
    random = draws.permutation(np.flatnonzero(~windows.estimated))[:n_random]
    others = np.setdiff1d(np.flatnonzero(~windows.done), random)
    if windows.thin is not None and not windows.thin[others].all():
        others = others[~windows.thin[others]]
    others = _informative(windows, others, n - len(random), strategy, draws)
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
    return _down(windows, best, n, draws)


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


def _down(windows: Choosable, ranked: Rows, n: int, draws: np.random.Generator) -> Rows:
    """One row from each of ``n`` steps of a ranking, each step wider than the one above by a share.

    Of a rare call few windows are near the top, of a common one many are further down, and what
    lies at the bottom says what the rest sounds like. Which it is nobody knows before the first
    labels, so every order of size of rank has as many rows. (The best 200, spread by farthest
    first, were outliers that are no calls where the call is rare.) Of a step that row is taken that
    is least like those above it.
    """
    recordings, counts = windows.recordings[ranked], dict[int, int]()
    free, allowed = np.ones(len(ranked), bool), np.ones(len(ranked), bool)
    chosen: list[int] = []
    above: list[NDArray[np.float64]] = []
    for start, stop in itertools.pairwise(_widening(len(ranked), min(n, len(ranked))).tolist()):
        step = start + np.flatnonzero(allowed[start:stop])
        if not len(step):  # all of recordings that gave enough: the best that is left of others
            step = _first(allowed, start) or _first(allowed, 0) or _first(free, 0)
        step = np.sort(draws.permutation(step)[:MOST_COMPARED])
        at, direction = _least_like(above, _units(windows, ranked[step]))
        above.append(direction)
        taken = int(step[at])
        chosen.append(taken)
        free[taken] = allowed[taken] = False
        recording = int(recordings[taken])
        counts[recording] = counts.get(recording, 0) + 1
        if counts[recording] == PER_RECORDING:
            allowed &= recordings != recording
    return ranked[chosen]


def _first(flags: Flags, start: int) -> list[int]:
    """The first row that is flagged from a row on; nothing where none is."""
    at = int(np.argmax(flags[start:])) + start
    return [at] if flags[at] else []


def _least_like(
    above: list[NDArray[np.float64]], units: NDArray[np.float64]
) -> tuple[int, NDArray[np.float64]]:
    """Which of some directions is least like those above it, the first of equals, and itself."""
    if not above:
        return 0, units[0]
    # rounded: the same choice whatever the last digits of a product are
    at = int(np.argmin(np.round((units @ np.stack(above).T).max(axis=1), 9)))
    return at, units[at]


def _widening(n_rows: int, n: int) -> Rows:
    """Edges of ``n`` steps of a row at least over all rows, each wider than the one before."""
    wanted = np.rint(np.geomspace(1, n_rows + 1, n + 1)).astype(np.int64) - 1
    # a step of no row gets one: it begins as many rows later as there are steps before it
    least = np.maximum.accumulate(wanted - np.arange(n + 1)) + np.arange(n + 1)
    return np.minimum(least, n_rows - np.arange(n, -1, -1))


def _units(windows: Choosable, rows: Rows) -> NDArray[np.float64]:
    """Directions of some rows, ``(rows, dim)``."""
    vectors = np.array(windows.vectors(rows), np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors


def _spread(windows: Choosable, pool: Rows, n: int) -> Rows:
    """Farthest first: each next row is the one least like those chosen before it.

    The first is the first of the pool, so that the best score is always among them.
    """
    pool = _limited(windows, pool, len(pool))[: max(LEAST_POOL, POOL_FACTOR * n)]
    vectors = _units(windows, pool)
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
