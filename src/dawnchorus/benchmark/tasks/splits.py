"""How clips come into train, val and test: as published, or so that no group is torn."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from dawnchorus.clips.manifest import Manifest
from dawnchorus.clips.split import split_manifest
from dawnchorus.errors import DependencyError, TaskError
from dawnchorus.paths import as_path

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from dawnchorus.benchmark.tasks.base import Split

SEED: Final = 42
SHARES: Final = (0.6, 0.2, 0.2)
FEWEST_GROUPS: Final = 3  # of a class, so that it can be in train, val and test


def stratified(labels: Sequence[Hashable], *, stratify: bool = True) -> list[Split]:
    """Train, val and test 6:2:2, clip by clip, as BEANS cuts them.

    Source: BEANS repository, scripts: ``train_test_split`` twice, ``test_size`` 0.4 and then 0.5,
    ``random_state`` 42, stratified by label.

    Raises:
        TaskError: A class has too few clips for it.
    """
    strata = labels if stratify else None
    # two draws, as the published scripts make them: another order would be another split
    rest, train = _drawn_and_kept(range(len(labels)), strata, 0.4)
    test, val = _drawn_and_kept(rest, strata, 0.5)
    return _as_list(len(labels), {"train": train, "val": val, "test": test})


def train_and_val(labels: Sequence[Hashable], *, val: float = 0.2) -> list[Split]:
    """Train and val 8:2, clip by clip and stratified, ``random_state`` 42.

    Labels that occur once make scikit-learn refuse; those clips stay in train.
    """
    drawn, _ = _drawn_and_kept(_repeated(range(len(labels)), labels), labels, val)
    return _as_list(len(labels), {"val": drawn})


def grouped(
    labels: Sequence[Sequence[str]],
    groups: Sequence[str],
    shares: tuple[float, float, float] = SHARES,
) -> list[Split]:
    """Train, val and test by whole groups, each label's clips in proportion.

    A label of three groups or more is on every side whose share is above 0. The same input gives
    the same split, in whatever order it comes.
    """
    # sorted first, so that a folder that is listed in another order is split alike
    order = sorted(range(len(groups)), key=lambda i: (groups[i], tuple(labels[i])))
    table = pa.table(
        {
            "id": [str(i) for i in range(len(order))],
            "path": [groups[i] for i in order],
            "labels": pa.array([list(labels[i]) for i in order], pa.list_(pa.string())),
        }
    )
    names: tuple[Split, ...] = ("train", "val", "test")
    share_of: dict[str, float] = {}
    share_of |= {name: share for name, share in zip(names, shares, strict=True) if share > 0}
    clips = Manifest(table, as_path("."), named="clips to be split")
    dealt, _ = split_manifest(clips, share_of, by=(), seed=SEED)
    splits: list[Split] = ["train"] * len(order)
    for at, split in zip(order, dealt.table["split"].to_pylist(), strict=True):
        splits[at] = split
    return splits


def shares_of_clips(labels: Sequence[Hashable], shares: tuple[float, float, float]) -> list[Split]:
    """Train, val and test by clip, each label in proportion; labels of one clip stay in train."""
    # scikit-learn refuses a class of one clip, so those never leave train
    several = _repeated(range(len(labels)), labels)
    # rounded, since 1 - 0.8 is 0.19999999999999996 and could draw a clip fewer
    rest, _ = _drawn_and_kept(several, labels, round(1 - shares[0], 9))
    test, _ = _drawn_and_kept(_repeated(rest, labels), labels, shares[2] / (shares[1] + shares[2]))
    return _as_list(len(labels), {"val": rest, "test": test})  # test is drawn from the rest


def by_key(keys: Sequence[str]) -> list[Split]:
    """Train, val and test 8:1:1 inside each key; keys of fewer than three clips stay in train.

    Source: earthspecies/alp-data, conversion of the zebra finches: at least one clip of a key is in
    val and one in test. Its order of files is that of a folder's listing, ours is by name.
    """
    clips_of: dict[str, list[int]] = {}
    for at, key in enumerate(keys):
        clips_of.setdefault(key, []).append(at)
    members: dict[Split, list[int]] = {"val": [], "test": []}
    for indices in clips_of.values():
        if len(indices) >= FEWEST_GROUPS:  # fewer cannot be on three sides
            n_val, n_test = _tenths(len(indices))
            rest, _ = _drawn_and_kept(indices, keys, n_val + n_test)
            test, val = _drawn_and_kept(rest, keys, n_test)
            members["val"] += val
            members["test"] += test
    return _as_list(len(keys), members)


def _tenths(n: int) -> tuple[int, int]:
    """Clips of val and test among ``n``, each at least one."""
    n_train, n_val = max(1, int(n * 0.8)), max(1, int(n * 0.1))
    n_test = n - n_train - n_val
    # of up to five clips rounding leaves none for test: then train gives one up
    return (n_val, n_test) if n_test >= 1 else (max(1, n_val - 1), 1)


def thin_classes(labels: Sequence[str], groups: Sequence[str]) -> dict[str, int]:
    """Classes of too few groups to be trained, chosen and tested on, with how many they have."""
    groups_of: dict[str, set[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        groups_of.setdefault(label, set()).add(group)
    counts = {label: len(its_groups) for label, its_groups in sorted(groups_of.items())}
    return {label: n for label, n in counts.items() if n < FEWEST_GROUPS}


def _drawn_and_kept(
    indices: Sequence[int], labels: Sequence[Hashable] | None, share: float | int
) -> tuple[list[int], list[int]]:
    """The share of the indices that scikit-learn draws, stratified by label, and the others."""
    split = _train_test_split()
    codes = None if labels is None else _codes([labels[i] for i in indices])
    try:
        kept, drawn = split(list(indices), test_size=share, random_state=SEED, stratify=codes)
    except ValueError as error:
        raise TaskError(
            f"{len(indices)} clips cannot be split by class: {error}; is part of the set missing?"
        ) from error
    return list(drawn), list(kept)


def _repeated(indices: Sequence[int], labels: Sequence[Hashable]) -> list[int]:
    """Those whose label another of them has too; scikit-learn stratifies no others."""
    counts = Counter(labels[i] for i in indices)
    return [i for i in indices if counts[labels[i]] > 1]


def _codes(labels: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Labels as numbers in their sorted order, which is what decides the draw."""
    order = {label: at for at, label in enumerate(sorted(set(labels)))}
    return np.array([order[label] for label in labels])


def _train_test_split() -> Any:
    try:
        from sklearn.model_selection import train_test_split  # noqa: PLC0415
    except ImportError as error:
        raise DependencyError(
            "scikit-learn", "benchmark", "splitting a set as published"
        ) from error
    return train_test_split


def _as_list(n: int, members: dict[Split, list[int]]) -> list[Split]:
    splits: list[Split] = ["train"] * n
    for split, indices in members.items():
        for at in indices:
            splits[at] = split
    return splits
