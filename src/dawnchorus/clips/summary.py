"""What is in a manifest: hours, clips, labels, rates, licences, per dataset and split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.compute as pc

from dawnchorus.clips.manifest import texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Manifest

UNKNOWN: Final = "unknown"
COMMONEST: Final = 20  # labels and licences that are named
RARE_CLIPS: Final = 10  # a label on fewer is called rare


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One dataset or split.

    Attributes:
        name: of it, ``unknown`` for clips that name none.
        n_clips: rows.
        n_files: different files.
        hours: of clips; where clips overlap, more than the files'.
        n_labels: different labels.
        n_unlabelled: clips without labels.
        n_unknown_length: clips whose length is not known, so not in ``hours``.
        splits: clips in each split.
    """

    name: str
    n_clips: int
    n_files: int
    hours: float
    n_labels: int
    n_unlabelled: int
    n_unknown_length: int
    splits: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A manifest in numbers.

    Attributes:
        total: of everything.
        datasets: each ``dataset``, which is the source where none is named; most hours first.
        splits: train, val, test, and what has no split.
        licences: clips of each; rates: files of each in Hz; kinds: clips of each kind of label.
        labels: clips of the commonest labels.
        n_rare_labels: labels on fewer than 10 clips, n_single_labels: on one.
        length_s: 0, 5, 25, 50, 75, 95 and 100 per cent of the clips are no longer.
    """

    total: SummaryRow
    datasets: tuple[SummaryRow, ...]
    splits: tuple[SummaryRow, ...]
    licences: dict[str, int]
    rates: dict[str, int]
    kinds: dict[str, int]
    labels: dict[str, int]
    n_rare_labels: int
    n_single_labels: int
    length_s: tuple[float, ...]


def summarise(manifest: Manifest) -> Summary:
    """Count everything."""
    table = manifest.table
    labels = _counts(pc.list_flatten(table["labels"]))
    length_s = _length_s(manifest)
    known = length_s[~np.isnan(length_s)]
    percents = np.percentile(known, [0, 5, 25, 50, 75, 95, 100]) if len(known) else np.zeros(0)
    return Summary(
        total=_summary_row(manifest, "all"),
        datasets=tuple(sorted(_summary_rows(manifest, "dataset"), key=lambda part: -part.hours)),
        splits=tuple(_summary_rows(manifest, "split")),
        licences=_top(_column_counts(manifest, "licence")),
        rates=_rates(manifest),
        kinds=_column_counts(manifest, "kind"),
        labels=_top(labels),
        n_rare_labels=sum(n < RARE_CLIPS for n in labels.values()),
        n_single_labels=sum(n == 1 for n in labels.values()),
        length_s=tuple(round(float(value), 3) for value in percents),
    )


def _length_s(manifest: Manifest) -> NDArray[np.float64]:
    return manifest.seconds("stop_s") - manifest.seconds("start_s")


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """How often each value is there, the commonest first."""
    found: Counter[str] = Counter()
    # Arrow counts null as a value of its own; a text "unknown" may stand beside it
    for entry in column.value_counts().to_pylist():
        if entry["values"] != "":
            name = UNKNOWN if entry["values"] is None else str(entry["values"])
            found[name] += entry["counts"]
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def _column_counts(manifest: Manifest, name: str) -> dict[str, int]:
    if name not in manifest.table.column_names:
        return {}
    names = _named(manifest, name)
    return _counts(pc.if_else(pc.equal(names, ""), None, names))


def _named(manifest: Manifest, name: str) -> pa.ChunkedArray:
    return pc.fill_null(texts(manifest.table[name]), "")


def _rates(manifest: Manifest) -> dict[str, int]:
    """Files of each rate, where the manifest knows it."""
    if "sample_rate" not in manifest.table.column_names:
        return {}
    files = manifest.table.group_by("path", use_threads=False).aggregate([("sample_rate", "first")])
    return _counts(files["sample_rate_first"])


def _top(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(list(counts.items())[:COMMONEST])


def _summary_rows(manifest: Manifest, column: str) -> list[SummaryRow]:
    names = _named(manifest, column)
    values = sorted(pc.unique(names).to_pylist())
    return [
        _summary_row(manifest.filter(pc.equal(names, value)), value or UNKNOWN) for value in values
    ]


def _summary_row(manifest: Manifest, name: str) -> SummaryRow:
    lists = manifest.table["labels"]
    length_s = _length_s(manifest)
    return SummaryRow(
        name=name,
        n_clips=len(manifest),
        n_files=int(pc.count_distinct(manifest.table["path"]).as_py()),
        hours=round(float(np.nansum(length_s)) / 3600, 4),
        n_labels=int(pc.count_distinct(pc.list_flatten(lists)).as_py()),
        n_unlabelled=int(np.sum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy() == 0)),
        n_unknown_length=int(np.isnan(length_s).sum()),
        splits=_column_counts(manifest, "split"),
    )
