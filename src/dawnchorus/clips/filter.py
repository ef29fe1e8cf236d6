"""Clips of a manifest chosen by rules, with a count of what each rule left out."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.clips.licences import LONG_WORDS, normalise_licence
from dawnchorus.clips.manifest import texts
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Manifest

# the column may have blanks and dots; the two-letter signs come before the one-letter ones
_RULE: Final = re.compile(r"(?P<column>[\w .-]+?)(?P<how>!=|<=|>=|=|<|>|~)(?P<value>.*)", re.DOTALL)
_ORDER: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge
}  # fmt: skip
TERMS: Final = ("nc", "nd", "sa")  # what a licence may forbid or ask for


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterReport:
    """What was left out: each rule, and how many clips it took away from those before it.

    Attributes:
        n_before: clips.
        dropped: rule and number of clips, in order.
        n_labels_removed: labels that are on too few clips, taken away from all of them.
        n_clips: that are left.
    """

    n_before: int
    dropped: tuple[tuple[str, int], ...]
    n_labels_removed: int
    n_clips: int


def filter_manifest(
    manifest: Manifest,
    *,
    where: Sequence[str] = (),
    forbid: Sequence[str] = (),
    licensed: bool = False,
    length_s: tuple[float | None, float | None] = (None, None),
    n_labels: tuple[int | None, int | None] = (None, None),
    min_clips: int = 0,
) -> tuple[Manifest, FilterReport]:
    """Keep the clips that every rule lets through.

    Args:
        manifest: the clips.
        where: ``COLUMN=VALUE``, also with ``!=``, ``<``, ``<=``, ``>``, ``>=``, or ``~`` for a
            regular expression that occurs in it. ``A|B`` is either value of ``=`` and ``!=``, no
            value is an empty cell. Of a column of lists any entry may match.
        forbid: licence terms that are not wanted: ``nc``, ``nd``, ``sa``.
        licensed: leave out clips without a licence.
        length_s: shortest and longest clip; a clip of unknown length is kept by neither.
        n_labels: fewest and most labels on a clip.
        min_clips: a label on fewer clips is removed; a clip that loses its last label is left out.

    Raises:
        UsageError: A rule cannot be understood, or asks for a column that is not there.
    """
    rules: list[tuple[str, Callable[[Manifest], NDArray[np.bool_]]]] = [
        (text, _rule(text)) for text in where
    ]
    unknown = sorted(set(forbid) - set(TERMS))
    if unknown:
        raise UsageError(f"licence term {unknown[0]!r}; known: {', '.join(TERMS)}")
    rules += [(f"licence without {term}", _without_term(term)) for term in forbid]
    # a licence that is not stated may forbid anything
    if licensed or forbid:
        rules.append(("licence known", lambda m: ~_is_empty(_column(m, "licence"))))
    rules += _limits("length_s", _length_s, length_s)
    rules += _limits("labels", _n_labels, n_labels)
    kept, dropped = manifest, []
    for name, rule in rules:
        before = len(kept)
        kept = kept.filter(rule(kept))
        dropped.append((name, before - len(kept)))
    n_removed = 0
    if min_clips > 1:
        before = len(kept)
        kept, n_removed = _without_rare_labels(kept, min_clips)
        dropped.append((f"labels on at least {min_clips} clips", before - len(kept)))
    return kept, FilterReport(
        n_before=len(manifest),
        dropped=tuple(dropped),
        n_labels_removed=n_removed,
        n_clips=len(kept),
    )


def licence_terms(licence: str) -> set[str]:
    """Which of nc, nd and sa a licence has, whatever its spelling: code, URL or long name."""
    spelled = normalise_licence(licence) or ""
    found = set(re.split(r"[^a-z]+", spelled.lower()))
    # also in terms of its own, since what is forbidden must not slip through
    found |= {short for words, short in LONG_WORDS if re.search(words, licence.lower())}
    return found & set(TERMS)


def _column(manifest: Manifest, name: str) -> pa.ChunkedArray:
    if name not in manifest.table.column_names:
        known = ", ".join(manifest.table.column_names)
        raise UsageError(f"{manifest.named}: no column {name!r}; columns: {known}")
    return texts(manifest.table[name])


def _rule(text: str) -> Callable[[Manifest], NDArray[np.bool_]]:
    found = _RULE.fullmatch(text)
    if found is None:
        raise UsageError(f"rule {text!r}: need COLUMN=VALUE, or != < <= > >= ~ in place of =")
    name, how, value = found["column"].strip(), found["how"], found["value"]

    def matches(manifest: Manifest) -> NDArray[np.bool_]:
        column = _column(manifest, name)
        if how == "!=":
            return ~_any(column, lambda entries: _equal(entries, value), value)
        if how == "=":
            return _any(column, lambda entries: _equal(entries, value), value)
        if how == "~":
            return _any(column, lambda entries: _contains(entries, value, text))
        return _any(column, lambda entries: _compared(entries, how, value, text))

    return matches


def _any(
    column: pa.ChunkedArray,
    test: Callable[[pa.ChunkedArray], pa.ChunkedArray],
    value: str | None = None,
) -> NDArray[np.bool_]:
    """Where a test holds, for any entry of a list; an empty ``value`` asks for empty cells."""
    if value == "":
        return _is_empty(column)
    if not pa.types.is_list(column.type):
        return _plain(test(column))
    counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    owner = np.repeat(np.arange(len(column)), counts)
    # a list matches where at least one of its entries does
    hits = np.bincount(owner[_plain(test(pc.list_flatten(column)))], minlength=len(column))
    found: NDArray[np.bool_] = hits > 0
    return found


def _plain(mask: pa.ChunkedArray) -> NDArray[np.bool_]:
    plain: NDArray[np.bool_] = pc.fill_null(mask, False).to_numpy()
    return plain


def _is_empty(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    if pa.types.is_list(column.type):
        return ~_plain(pc.greater(pc.list_value_length(column), 0))
    if pa.types.is_string(column.type):
        return ~_plain(pc.greater(pc.utf8_length(column), 0))
    return ~_plain(pc.is_valid(column))


def _equal(entries: pa.ChunkedArray, value: str) -> pa.ChunkedArray:
    return pc.is_in(entries.cast(pa.string()), pa.array(value.split("|")))


def _contains(entries: pa.ChunkedArray, pattern: str, text: str) -> pa.ChunkedArray:
    try:
        return pc.match_substring_regex(entries.cast(pa.string()), pattern)
    except pa.ArrowInvalid as error:
        raise UsageError(f"rule {text!r}: not a regular expression: {error}") from error


def _compared(entries: pa.ChunkedArray, how: str, value: str, text: str) -> pa.ChunkedArray:
    if pa.types.is_string(entries.type):  # dates compare as texts do
        values = np.array(entries.to_pylist(), object)
        found = [None if entry is None else bool(_ORDER[how](entry, value)) for entry in values]
        return pa.chunked_array([pa.array(found, pa.bool_())])
    try:
        limit = float(value)
    except ValueError as error:
        raise UsageError(f"rule {text!r}: {value!r} is not a number") from error
    numbers = pc.fill_null(entries.cast(pa.float64()), float("nan")).to_numpy()
    return pa.chunked_array([pa.array(_ORDER[how](numbers, limit))])


def _without_term(term: str) -> Callable[[Manifest], NDArray[np.bool_]]:
    def free(manifest: Manifest) -> NDArray[np.bool_]:
        column = _column(manifest, "licence")
        unique = pc.unique(column)
        forbidden = [text for text in unique.to_pylist() if text and term in licence_terms(text)]
        return ~_plain(pc.is_in(column, pa.array(forbidden, pa.string())))

    return free


def _limits(
    name: str,
    measure: Callable[[Manifest], NDArray[np.float64]],
    limits: tuple[float | None, float | None],
) -> list[tuple[str, Callable[[Manifest], NDArray[np.bool_]]]]:
    lowest, highest = limits
    rules: list[tuple[str, Callable[[Manifest], NDArray[np.bool_]]]] = []
    if lowest is not None:
        rules.append((f"{name} >= {lowest:g}", lambda m: measure(m) >= lowest))
    if highest is not None:
        rules.append((f"{name} <= {highest:g}", lambda m: measure(m) <= highest))
    return rules


def _length_s(manifest: Manifest) -> NDArray[np.float64]:
    return manifest.seconds("stop_s") - manifest.seconds("start_s")


def _n_labels(manifest: Manifest) -> NDArray[np.float64]:
    counts = pc.fill_null(pc.list_value_length(manifest.table["labels"]), 0)
    return np.asarray(counts.to_numpy(), np.float64)


def _without_rare_labels(manifest: Manifest, min_clips: int) -> tuple[Manifest, int]:
    lists = manifest.table["labels"]
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    owner = np.repeat(np.arange(len(manifest)), counts)
    flat = pc.list_flatten(lists).combine_chunks()
    tallies = flat.value_counts()
    common = tallies.filter(pc.greater_equal(pc.struct_field(tallies, "counts"), min_clips))
    keep = pc.is_in(flat, pc.struct_field(common, "values"))
    left = np.bincount(owner[_plain(pa.chunked_array([keep]))], minlength=len(manifest))
    # lists are built from their ends: Arrow has no filter within lists
    offsets = np.concatenate([[0], np.cumsum(left)]).astype(np.int32)
    other = pa.ListArray.from_arrays(pa.array(offsets), flat.filter(keep))
    at = manifest.table.column_names.index("labels")
    table = manifest.table.set_column(at, "labels", other)
    fewer = manifest.with_table(table)
    return fewer.filter((left > 0) | (counts == 0)), len(tallies) - len(common)
