"""A manifest split into train, val and test: by group, with each label's clips in proportion.

Rows that share a file, a recordist, an individual or whatever columns are named are one group, and
a group lies on one side whole: what a model was trained on must not come back in its test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.clips.manifest import SPLITS, texts, with_column
from dawnchorus.errors import TaskError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Manifest

DEFAULT_GROUPS: Final = ("group", "recordist", "individual")  # those of them that are there
Existing = Literal["refuse", "keep", "replace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSide:
    """One side of a split; ``missing``: labels that no clip on it has."""

    name: str
    n_clips: int
    n_groups: int
    hours: float
    n_labels: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReport:
    """The sides, and by which columns clips were held together."""

    columns: tuple[str, ...]
    n_groups: int
    largest_group: int
    sides: tuple[SplitSide, ...]


def split_manifest(
    manifest: Manifest,
    shares: Mapping[str, float],
    *,
    by: Sequence[str] | None = None,
    seed: int = 0,
    existing: Existing = "refuse",
    cover: bool = True,
) -> tuple[Manifest, SplitReport]:
    """Fill the column ``split``.

    Labels are dealt out from the rarest on, a group at a time, to the side that lacks most clips of
    the label. Source: Sechidis et al., On the stratification of multi-label data, 2011, on groups.

    Args:
        manifest: the clips.
        shares: side to its share of the clips, relative; train, val and test are the sides.
        by: columns whose equal values hold clips together, beside the file; None: those of
            `DEFAULT_GROUPS` that are there. An empty cell holds nothing together.
        seed: of the order in which equal groups are taken.
        existing: what to do when clips have a split already: ``refuse``; ``keep``: their groups
            stay on their side; ``replace``: split again.
        cover: give every side a group of each label that has as many groups as there are sides.
            A group goes where its rarest label is wanted, so a label that never is the rarest of
            its groups may still lack a side; the report's ``missing`` names it.

    Raises:
        UsageError: A share or column is wrong.
        TaskError: There is a split already, or one that has a group on two sides is to be kept.
    """
    shares_of = _checked_shares(shares)
    columns = _columns(manifest, by)
    group = group_numbers(manifest, columns)
    n_groups = int(group.max()) + 1 if len(group) else 0
    fixed = _existing_sides(manifest, group, n_groups, existing, list(shares_of))
    sides = _assign_sides(
        manifest, group, shares_of, fixed, np.random.default_rng(seed), cover=cover
    )
    names = pa.array(list(shares_of), pa.string())
    column = pa.DictionaryArray.from_arrays(pa.array(sides[group], pa.int32()), names)
    split_clips = manifest.with_table(with_column(manifest.table, "split", column))
    report = SplitReport(
        columns=("path", *columns),
        n_groups=n_groups,
        largest_group=int(np.bincount(group).max()) if n_groups else 0,
        sides=tuple(_split_side(split_clips, name, group) for name in shares_of),
    )
    return split_clips, report


def _checked_shares(shares: Mapping[str, float]) -> dict[str, float]:
    unknown = sorted(set(shares) - set(SPLITS))
    if unknown:
        raise UsageError(f"split {unknown[0]!r}; the sides are {', '.join(SPLITS)}")
    shares_of = {name: shares[name] for name in SPLITS if shares.get(name, 0) != 0}
    if len(shares_of) < 2 or min(shares_of.values()) < 0:
        raise UsageError(f"need shares above 0 of at least two sides, got {dict(shares)}")
    total = sum(shares_of.values())
    return {name: share / total for name, share in shares_of.items()}


def _columns(manifest: Manifest, by: Sequence[str] | None) -> tuple[str, ...]:
    there = manifest.table.column_names
    if by is None:
        return tuple(name for name in DEFAULT_GROUPS if name in there)
    missing = [name for name in by if name not in there]
    if missing:
        raise UsageError(f"{manifest.named}: no column {missing[0]!r}; columns: {there}")
    return tuple(by)


def group_numbers(manifest: Manifest, columns: Sequence[str]) -> NDArray[np.int64]:
    """Number of each row's group, from 0: rows that are joined, also by way of others."""
    # every row begins as a group of its own and takes the lowest number it is tied to
    group = np.arange(len(manifest))
    keys = [_codes(manifest.table[name]) for name in ("path", *columns)]
    while True:
        before = group
        for key in keys:
            lowest = np.full(int(key.max(initial=0)) + 1, len(group))
            held = key >= 0
            np.minimum.at(lowest, key[held], group[held])
            group = group.copy()
            group[held] = lowest[key[held]]
        # a row may be tied to a third by way of a second: until nothing changes any more
        if np.array_equal(before, group):
            return np.unique(group, return_inverse=True)[1].reshape(-1)


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each different value, -1 where there is none."""
    values = texts(column).cast(pa.string())
    unique = pc.unique(values).drop_null()
    codes = pc.fill_null(pc.index_in(values, unique.filter(pc.not_equal(unique, ""))), -1)
    return np.asarray(codes.to_numpy(), np.int64)


def _existing_sides(
    manifest: Manifest,
    group: NDArray[np.int64],
    n_groups: int,
    existing: Existing,
    names: list[str],
) -> NDArray[np.int64]:
    """The side on which each group is already, -1 where on none."""
    sides = np.full(n_groups, -1)
    split = texts(manifest.table["split"])
    if existing == "replace" or split.null_count == len(split):
        return sides
    if existing == "refuse":
        raise TaskError(
            f"{manifest.named}: {len(split) - split.null_count} clips have a split already; keep "
            "it or replace it, but never to bring clips of a test into training"
        )
    found = pc.fill_null(pc.index_in(split, pa.array(names)), -1).to_numpy()
    lost = np.flatnonzero((found < 0) & pc.is_valid(split).to_numpy())
    if len(lost):
        row = int(lost[0])
        raise TaskError(
            f"clip {manifest[row].id!r} is in {manifest[row].split}, which has no share"
        )
    for side in range(len(names)):
        groups = np.unique(group[found == side])
        clash = groups[sides[groups] >= 0]
        if len(clash):
            row = int(np.flatnonzero(group == clash[0])[0])
            raise TaskError(
                f"{manifest.named}: the group of clip {manifest[row].id!r} is on two sides already"
            )
        sides[groups] = side
    return sides


def _assign_sides(
    manifest: Manifest,
    group: NDArray[np.int64],
    shares_of: Mapping[str, float],
    fixed: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    cover: bool,
) -> NDArray[np.int64]:
    """The side of each group."""
    n_groups, shares = len(fixed), np.array(list(shares_of.values()))
    # a line for each label that a group has, sorted by group
    pairs = _label_counts(manifest, group)  # group, label, clips
    n_labels = int(pairs[:, 1].max(initial=-1)) + 1
    in_groups = np.bincount(pairs[:, 1], minlength=n_labels)
    # how many clips of each label each side still lacks; below 0 it has too many
    lacking = shares[:, None] * np.bincount(pairs[:, 1], pairs[:, 2], minlength=n_labels)
    size = np.bincount(group, minlength=n_groups)
    lacking_all = shares * size.sum()
    seen = np.zeros((len(shares), n_labels), bool)
    bounds = np.searchsorted(pairs[:, 0], np.arange(n_groups + 1))
    sides = fixed.copy()

    def put(number: int, side: int) -> None:
        sides[number] = side
        own = pairs[bounds[number] : bounds[number + 1]]
        lacking[side, own[:, 1]] -= own[:, 2]
        lacking_all[side] -= size[number]
        seen[side, own[:, 1]] = True

    for number in np.flatnonzero(fixed >= 0).tolist():
        put(number, int(fixed[number]))
    for number in _dealing_order(pairs, bounds, in_groups, rng).tolist():
        if sides[number] >= 0:
            continue
        labels = pairs[bounds[number] : bounds[number + 1], 1]
        need = lacking_all
        if len(labels):
            # a rare label decides where a group goes: later groups make up for common ones
            rarest = labels[np.argmin(in_groups[labels])]
            need = lacking[:, rarest] + 1e-9 * lacking_all  # which decides between equals
            if cover and in_groups[rarest] >= len(shares) and not seen[:, rarest].all():
                need = np.where(seen[:, rarest], -np.inf, need)
        put(number, int(np.argmax(need)))
    return sides


def _label_counts(manifest: Manifest, group: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(pairs, 3)``: group, label, and on how many clips of the group it is; sorted by group."""
    lists = manifest.table["labels"]
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    label = _codes(pc.list_flatten(lists))
    pair = np.stack([np.repeat(group, counts), label], axis=1)[label >= 0]
    unique, n_clips = np.unique(pair, axis=0, return_counts=True)
    return np.concatenate([unique.reshape(-1, 2), n_clips.reshape(-1, 1)], axis=1)


def _dealing_order(
    pairs: NDArray[np.int64],
    bounds: NDArray[np.int64],
    in_groups: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Groups in the order in which they are dealt: by their rarest label, large ones first."""
    n_groups = len(bounds) - 1
    # a group without labels comes last
    rarity = np.full(n_groups, np.iinfo(np.int64).max)
    np.minimum.at(rarity, pairs[:, 0], in_groups[pairs[:, 1]])
    n_clips = np.zeros(n_groups, np.int64)
    np.maximum.at(n_clips, pairs[:, 0], pairs[:, 2])
    order: NDArray[np.int64] = np.lexsort([rng.permutation(n_groups), -n_clips, rarity])
    return order


def _split_side(manifest: Manifest, name: str, group: NDArray[np.int64]) -> SplitSide:
    chosen = pc.equal(texts(manifest.table["split"]), name).to_numpy()
    part = manifest.filter(chosen)
    labels: set[Any] = set(pc.unique(pc.list_flatten(part.table["labels"])).to_pylist())
    everywhere: set[Any] = set(pc.unique(pc.list_flatten(manifest.table["labels"])).to_pylist())
    length_s = part.seconds("stop_s") - part.seconds("start_s")
    return SplitSide(
        name=name,
        n_clips=len(part),
        n_groups=len(np.unique(group[chosen])),
        hours=round(float(np.nansum(length_s)) / 3600, 3),
        n_labels=len(labels - {None}),
        missing=tuple(sorted(everywhere - labels - {None})),
    )
