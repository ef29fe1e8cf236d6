"""The counting behind retrieval: exact ranks of all pairs, in blocks of bounded memory, by torch.

Every cosine becomes an integer whose lowest bit says whether the item is relevant. One plain sort
of integers, several times faster than a sort that carries indices, then gives all that is needed:
the places of the odd numbers are the ranks of the relevant items, and two neighbours that differ in
the lowest bit alone are a tie between a relevant and an irrelevant item.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dawnchorus.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    Counted = NDArray[np.int64]
    Pairs = Callable[[slice], Tensor]

SCALE: Final = 2.0**30  # of cosines as integers; their lowest bit is the label's: steps of 2^-29
EXCLUDED: Final = 2**31 - 2  # above every cosine, and even: not relevant
BLOCK_PAIRS: Final = 2**24  # multiplied at once: some 150 MB
CACHED_PAIRS: Final = 2**19  # sorted and counted at once on a CPU: what its cache holds


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Queries, or the gallery.

    Attributes:
        unit: ``(items, dim)`` of length 1.
        labels: ``(items, classes)``.
        groups: ``(items,)``; a query does not see items of its own group.
    """

    unit: NDArray[np.floating[Any]]
    labels: NDArray[np.bool_]
    groups: NDArray[Any] | None


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What each query's ranking comes to, all ``(queries,)``.

    Attributes:
        n_relevant: items of its gallery that share a label.
        n_irrelevant: the others.
        doubled_wins: pairs of a nearer relevant and a farther irrelevant item, twice, and ties.
        n_nearest: items that tie for the nearest.
        n_nearest_relevant: of these.
    """

    n_relevant: Counted
    n_irrelevant: Counted
    doubled_wins: Counted
    n_nearest: Counted
    n_nearest_relevant: Counted


def counts(queries: Side, gallery: Side, device: str) -> Counts:
    """Rank the gallery for every query.

    Raises:
        DeviceError: There is no such device.
    """
    place = _device(device)
    distinct, which = _distinct(gallery.unit)
    scaled = torch.from_numpy(queries.unit * SCALE).to(place)  # a power of two: exact
    theirs = torch.from_numpy(distinct).to(place).T
    index = None if which is None else torch.from_numpy(which).to(place)
    relevant, excluded = _relevance(queries, gallery, place), _exclusion(queries, gallery, place)
    n_gallery = len(gallery.unit)
    cached = CACHED_PAIRS if place.type == "cpu" else BLOCK_PAIRS
    found = []
    with _full_precision(), ThreadPoolExecutor(torch.get_num_threads()) as threads:
        for block in _slices(0, len(scaled), BLOCK_PAIRS // n_gallery):
            near = scaled[block] @ theirs
            for piece in _slices(block.start, block.stop, cached // n_gallery):
                part = near[piece.start - block.start : piece.stop - block.start]
                part = part if index is None else part[:, index]
                keys = part.to(torch.int32).bitwise_and_(-2).bitwise_or_(relevant(piece))
                n_seen = _hide(keys, excluded(piece)) if excluded else _all_of(keys)
                found.append(_count(_sorted(keys, threads), n_seen).cpu().numpy())
    return Counts(*np.concatenate(found, axis=1))


def _relevance(queries: Side, gallery: Side, device: torch.device) -> Pairs:
    """From a slice of the queries to ``(queries, gallery)``: do they share a label?"""
    if all((side.labels.sum(axis=1) <= 1).all() for side in (queries, gallery)):
        mine = _codes(queries.labels, -1, device)
        theirs = _codes(gallery.labels, -2, device)  # no label is not shared with no label
        return partial(_equal, mine, theirs)
    hot, their_hot = (
        torch.from_numpy(side.labels.astype(np.float32)).to(device) for side in (queries, gallery)
    )
    return lambda rows: (hot[rows] @ their_hot.T) > 0


def _exclusion(queries: Side, gallery: Side, device: torch.device) -> Pairs | None:
    """From a slice of the queries to ``(queries, gallery)``: are they of one group?"""
    if queries.groups is None or gallery.groups is None:
        return None
    _, code = np.unique(np.concatenate([queries.groups, gallery.groups]), return_inverse=True)
    codes = torch.from_numpy(code.astype(np.int32)).to(device)
    n = len(queries.groups)
    return partial(_equal, codes[:n], codes[n:])


def _equal(mine: Tensor, theirs: Tensor, rows: slice) -> Tensor:
    return mine[rows, None] == theirs


def _codes(labels: NDArray[np.bool_], none: int, device: torch.device) -> Tensor:
    code = np.where(labels.any(axis=1), labels.argmax(axis=1), none)
    return torch.from_numpy(code.astype(np.int32)).to(device)


def _hide(keys: Tensor, excluded: Tensor) -> Tensor:
    """Send pairs to the end of the order, in place; how many remain of each row."""
    keys.masked_fill_(excluded, EXCLUDED)
    return keys.shape[1] - excluded.sum(dim=1)


def _all_of(keys: Tensor) -> Tensor:
    return torch.full((len(keys),), keys.shape[1], device=keys.device)


def _sorted(keys: Tensor, threads: ThreadPoolExecutor) -> Tensor:
    """Each row ascending. On a CPU by numpy, whose sort of plain integers is vectorised."""
    if keys.device.type != "cpu":
        return torch.sort(keys, dim=1).values
    parts = np.array_split(keys.numpy(), torch.get_num_threads())
    list(threads.map(partial(np.ndarray.sort, axis=1), parts))
    return keys


def _count(keys: Tensor, n_seen: Tensor) -> Tensor:
    """``(5, queries)`` in the order of `Counts`, of rows in ascending order."""
    bits = keys & 1
    n_relevant = bits.sum(dim=1)
    places = torch.arange(keys.shape[1], dtype=torch.int32, device=keys.device)
    sum_of_places = bits.mul_(places).sum(dim=1)
    # A relevant item's place: irrelevant items below or level with it, and relevant ones below.
    wins = 2 * sum_of_places - n_relevant * (n_relevant - 1) - _tied_pairs(keys)
    top = keys.gather(1, (n_seen - 1).clamp(min=0)[:, None]) & -2
    first, first_relevant = torch.searchsorted(keys, torch.cat([top, top + 1], dim=1)).T
    return torch.stack(
        [n_relevant, n_seen - n_relevant, wins, n_seen - first, n_seen - first_relevant]
    )


def _tied_pairs(keys: Tensor) -> Tensor:
    """``(queries,)`` pairs of a relevant and an irrelevant item that are equally near."""
    rows, columns = ((keys[:, 1:] ^ keys[:, :-1]) == 1).nonzero(as_tuple=True)
    tied = torch.zeros(len(keys), dtype=torch.int64, device=keys.device)
    if not len(rows):
        return tied
    n_runs = torch.bincount(rows, minlength=len(keys))
    slot = torch.arange(len(rows), device=keys.device) - (n_runs.cumsum(0) - n_runs)[rows]
    irrelevant = keys.new_full((len(keys), int(n_runs.max())), EXCLUDED)
    irrelevant[rows, slot] = keys[rows, columns]
    start = torch.searchsorted(keys, irrelevant)[rows, slot]
    stop = torch.searchsorted(keys, irrelevant + 1, right=True)[rows, slot]
    middle = columns + 1  # irrelevant items of a tie come first
    return tied.index_add_(0, rows, (middle - start) * (stop - middle))


def _distinct(
    unit: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.floating[Any]], NDArray[np.intp] | None]:
    """Gallery without repeats and where each item is in it.

    A matrix product may round two equal columns differently; computed once, equal vectors tie.
    """
    plain = np.ascontiguousarray(unit + 0.0)  # no negative zeros
    as_bytes = plain.view(np.dtype((np.void, plain.itemsize * plain.shape[1]))).ravel()
    _, first, which = np.unique(as_bytes, return_index=True, return_inverse=True)
    return (plain, None) if len(first) == len(plain) else (plain[first], which)


def _slices(start: int, stop: int, size: int) -> Iterator[slice]:
    size = max(1, size)
    for at in range(start, stop, size):
        yield slice(at, min(at + size, stop))


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products of float32 as they are, whatever the program asked of torch for its training."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"no device is called {name!r}; use cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"device {name!r} was asked for, and torch sees no CUDA device here")
    return device
