"""Filters, joins and summaries against plain searches of the same rows."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.clips.filter import TERMS, filter_manifest, licence_terms
from dawnchorus.clips.join import join_manifests
from dawnchorus.clips.licences import PARTS, LicenceRule, normalise_licence
from dawnchorus.clips.manifest import Manifest
from dawnchorus.clips.summary import COMMONEST, RARE_CLIPS, UNKNOWN, summarise
from dawnchorus.errors import TaskError, UsageError
from random_clips import HERE, as_arrow, manifests, tables

SOME = settings(max_examples=20)
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge
}  # fmt: skip
RULES = [
    *(f"dataset{how}{cell}" for how in ("=", "!=") for cell in ("xc", "xc|inat", "", "none")),
    *(f"labels{how}{cell}" for how in ("=", "!=") for cell in ("wren", "wren|robin", "", "None")),
    "labels~^Fin, ", "dataset~n$", "licence~.", "dataset<inat", "dataset>=unknown", "labels>robin",
    *(f"start_s{how}2.5" for how in ORDER), "latitude>=0", "species_key=", "species_key!=",
    "stop_s!=", "split=train|", " split = train",
]  # fmt: skip


def matches(entry: Any, how: str, value: str) -> bool:
    if how == "=":
        return str(entry) in value.split("|")
    if how == "~":
        return re.search(value, str(entry)) is not None
    return ORDER[how](entry, value if isinstance(entry, str) else float(value))


def plainly(cell: Any, how: str, value: str) -> bool:
    """Whether a cell passes a rule, as the documentation of `filter_manifest` has it."""
    if how == "!=":
        return not plainly(cell, "=", value)
    entries = cell if isinstance(cell, list) else [cell]
    held = [entry for entry in entries if entry is not None]
    if how == "=" and value == "":
        return not held or (not isinstance(cell, list) and held == [""])
    return any(matches(entry, how, value) for entry in held)


def with_all_columns(made: dict[str, Any]) -> Manifest:
    n = len(made["id"])
    columns = ("dataset", "licence", "species_key", "latitude")
    return Manifest(as_arrow({**{name: [None] * n for name in columns}, **made}), HERE)


@settings(max_examples=80)
@given(rule=st.sampled_from(RULES), made=tables())
def test_a_rule_keeps_the_rows_of_a_plain_search(rule: str, made: dict[str, Any]) -> None:
    clips = with_all_columns(made)
    found = re.fullmatch(r"\s*(\w+)\s*(!=|<=|>=|=|<|>|~)(.*)", rule)
    assert found is not None
    name, how, value = found.groups()
    cells = clips.table[name].to_pylist()
    kept, report = filter_manifest(clips, where=[rule])
    wanted = [plainly(cell, how, value) for cell in cells]
    assert kept.table.equals(clips.table.filter(pa.array(wanted, pa.bool_())).combine_chunks())
    assert (report.n_before, report.n_clips) == (len(clips), sum(wanted))
    assert report.dropped == ((rule, len(clips) - sum(wanted)),)


@SOME
@given(made=tables(), rules=st.lists(st.sampled_from(RULES), max_size=3))
def test_rules_may_come_in_any_order_and_twice(made: dict[str, Any], rules: list[str]) -> None:
    clips = with_all_columns(made)
    kept, report = filter_manifest(clips, where=rules, length_s=(0.5, 9.0), n_labels=(1, 2))
    other, _ = filter_manifest(clips, where=rules[::-1], length_s=(0.5, 9.0), n_labels=(1, 2))
    again, unchanged = filter_manifest(kept, where=rules, length_s=(0.5, 9.0), n_labels=(1, 2))
    assert kept.table.equals(other.table)
    assert kept.table.equals(again.table)
    assert all(n == 0 for _, n in unchanged.dropped)
    assert report.n_before - sum(n for _, n in report.dropped) == report.n_clips == len(kept)
    assert all(0.5 <= clip.duration_s <= 9.0 and 1 <= len(clip.labels) <= 2 for clip in kept)
    names = [name for name, _ in report.dropped]
    assert names == [*rules, "length_s >= 0.5", "length_s <= 9", "labels >= 1", "labels <= 2"]


@SOME
@given(made=tables(most=25), least=st.integers(2, 5))
def test_labels_on_few_clips_go_and_the_others_stay_where_they_are(
    made: dict[str, Any], least: int
) -> None:
    clips = Manifest(as_arrow(made), HERE)
    counts = Counter(label for clip in clips for label in clip.labels)
    common = {label for label, n in counts.items() if n >= least}
    wanted = {
        clip.id: tuple(label for label in clip.labels if label in common)
        for clip in clips
        if not clip.labels or common & set(clip.labels)
    }
    kept, report = filter_manifest(clips, min_clips=least)
    assert {clip.id: clip.labels for clip in kept} == wanted
    assert report.n_labels_removed == len(counts) - len(common)


def test_a_label_that_a_clip_has_twice_is_on_one_clip() -> None:
    columns = {"id": ["a", "b"], "path": ["a", "b"], "labels": [["wren", "wren"], ["robin"]]}
    clips = Manifest(pa.table(columns), HERE)
    kept, report = filter_manifest(clips, min_clips=2)
    assert (len(kept), report.n_labels_removed) == (0, 2)
    assert summarise(clips).labels == {"robin": 1, "wren": 1}


def test_an_unknown_licence_term_is_named_with_those_that_are_known() -> None:
    clips = Manifest(pa.table({"id": ["a"], "path": ["a"], "labels": [["x"]]}), HERE, named="mine")
    with pytest.raises(UsageError, match=r"^licence term 'by'; known: nc, nd, sa$"):
        filter_manifest(clips, forbid=["nc", "by"])
    with pytest.raises(UsageError, match=r"^mine: no column 'licence'; columns: id, path, labels"):
        filter_manifest(clips, licensed=True)


NAMES = {"by": "Attribution", "nc": "NonCommercial", "sa": "ShareAlike", "nd": "NoDerivatives"}


@given(more=st.sets(st.sampled_from(PARTS[1:])), version=st.sampled_from(["", "2.5", "4.0"]))
def test_every_spelling_of_a_licence_has_its_terms(more: set[str], version: str) -> None:
    terms = [part for part in PARTS if part in {"by", *more}]
    dashed = "-".join(terms)
    spelled = f"CC {dashed.upper()} {version}".strip()
    long = f"Creative Commons {'-'.join(NAMES[part] for part in terms)} {version}".strip()
    url = f"creativecommons.org/licenses/{dashed}/{version or '4.0'}/"
    for text in (
        spelled,
        dashed,
        f"http://{url}",
        f"//{url}deed.de",
        spelled.replace(" ", "_"),
        long,
    ):
        name = normalise_licence(text)
        assert name is not None
        assert normalise_licence(name) == name  # one spelling, and it is its own
        assert name.split()[:2] == ["CC", dashed.upper()]
        assert licence_terms(text) == licence_terms(name) == set(more) & set(TERMS)
        assert LicenceRule.of((f"CC {dashed.upper()}",)).refusal(name) is None
        refused = LicenceRule().refusal(name)
        assert (refused == "no-derivatives licence") == ("nd" in more)


def spans(clips: Manifest) -> list[tuple[str, float, float | None]]:
    return [
        (
            str(clips.locate(clip.path)),
            clip.start_s,
            None if clip.stop_s != clip.stop_s else clip.stop_s,
        )
        for clip in clips
    ]


@SOME
@given(parts=st.lists(manifests(most=6), min_size=1, max_size=3))
def test_joined_manifests_follow_each_other_and_no_clip_is_lost(parts: list[Manifest]) -> None:
    for number, part in enumerate(parts):
        part.named = f"lists/m{number}.parquet"
    joined, report = join_manifests(parts, HERE, prefix=True)
    assert [clip.id for clip in joined] == [
        f"m{number}/{clip.id}" for number, part in enumerate(parts) for clip in part
    ]
    assert [clip.labels for clip in joined] == [clip.labels for part in parts for clip in part]
    for name in ("note", "latitude", "licence"):
        cells = [
            cell
            for part in parts
            for cell in (
                part.table[name].to_pylist()
                if name in part.table.column_names
                else [None] * len(part)
            )
        ]
        if name in joined.table.column_names:
            assert joined.table[name].to_pylist() == cells
        else:
            assert not any(cells)
    ids = Counter(clip.id for part in parts for clip in part)
    assert report.n_clashing == sum(ids.values()) - len(ids)
    assert report.n_clips == len(joined)


@SOME
@given(parts=st.lists(manifests(most=8), min_size=2, max_size=3))
def test_the_first_clip_of_each_file_and_span_is_kept(parts: list[Manifest]) -> None:
    every, counted = join_manifests(parts, HERE, prefix=True)
    left, report = join_manifests(parts, HERE, prefix=True, drop_duplicates=True)
    first: dict[Any, str] = {}
    again: list[tuple[str, str, str]] = []
    for clip, span in zip(every, spans(every), strict=True):
        if span in first:
            again.append((clip.path, first[span], clip.id))
        first.setdefault(span, clip.id)
    assert [clip.id for clip in left] == list(first.values())
    assert report.n_duplicates == counted.n_duplicates == len(again)
    assert report.duplicates == counted.duplicates == tuple(again[:5])
    assert join_manifests([left], HERE, drop_duplicates=True)[1].n_duplicates == 0


@pytest.mark.parametrize(
    ("named", "names"),
    [
        (["a.parquet", "b.parquet"], ["a", "b"]),
        (["x/a.parquet", "y/a.parquet"], ["a", "a1"]),
        (["manifest.parquet", "index.parquet"], ["sounds", "sounds1"]),
        (["a2.parquet", "a.parquet", "y/a.parquet"], None),  # a number may be a name already
        (["a1.parquet", "a.parquet", "a.parquet", "a.parquet"], None),
        (["", ""], None),
    ],
)
def test_each_manifest_has_a_prefix_of_its_own(named: list[str], names: list[str] | None) -> None:
    columns = {"id": ["c"], "path": ["c.wav"], "labels": [["wren"]]}
    parts = [Manifest(pa.table(columns), HERE, named=name) for name in named]
    joined, report = join_manifests(parts, HERE, prefix=True)
    prefixes = [clip.id.removesuffix("/c") for clip in joined]
    assert len(set(prefixes)) == len(named) == report.n_clashing + 1
    assert all(prefixes)
    assert names is None or prefixes == names


def test_clashing_ids_and_types_are_refused_with_a_way_out() -> None:
    columns: dict[str, Any] = {"id": ["c"], "path": ["c.wav"], "labels": [["wren"]]}
    one = Manifest(pa.table(columns), HERE)
    with pytest.raises(TaskError, match="such as 'c'; join with prefixes, or give the clips other"):
        join_manifests([one, one], HERE)
    worded = Manifest(pa.table({**columns, "id": ["d"], "depth": ["deep"]}), HERE)
    numbered = Manifest(pa.table({**columns, "depth": [[3.5]]}), HERE)
    with pytest.raises(TaskError, match=r"different types in two manifests: .*depth"):
        join_manifests([worded, numbered], HERE)


@SOME
@given(clips=manifests(most=20))
def test_a_summary_is_that_of_a_plain_count(clips: Manifest) -> None:
    found, every = summarise(clips), list(clips)
    labels = Counter(label for clip in every for label in clip.labels)
    known = [clip.duration_s for clip in every if clip.duration_s == clip.duration_s]
    total = found.total
    assert (total.name, total.n_clips, total.n_files) == (
        "all", len(every), len({clip.path for clip in every})
    )  # fmt: skip
    assert total.hours == pytest.approx(sum(known) / 3600, abs=1e-4)
    assert (total.n_labels, total.n_unlabelled) == (len(labels), sum(not c.labels for c in every))
    assert total.n_unknown_length == len(every) - len(known)
    assert found.labels == labels
    assert list(found.labels.values()) == sorted(labels.values(), reverse=True)
    assert found.n_rare_labels == sum(n < RARE_CLIPS for n in labels.values())
    assert found.n_single_labels == sum(n == 1 for n in labels.values())
    percents = np.percentile(known, [0, 5, 25, 50, 75, 95, 100]).round(3) if known else []
    assert found.length_s == pytest.approx(tuple(percents), abs=0.001)
    assert found.kinds == Counter(clip.kind for clip in every)
    assert total.splits == Counter(clip.split or UNKNOWN for clip in every)
    if "licence" in clips.table.column_names:
        cells = clips.table["licence"].to_pylist()
        assert found.licences == Counter(cell or UNKNOWN for cell in cells)


@SOME
@given(clips=manifests(most=20))
def test_the_parts_of_a_summary_add_up(clips: Manifest) -> None:
    found = summarise(clips)
    for parts in (found.datasets, found.splits):
        for name in ("n_clips", "n_unlabelled", "n_unknown_length"):
            assert sum(getattr(part, name) for part in parts) == getattr(found.total, name)
        assert sum(part.hours for part in parts) == pytest.approx(found.total.hours, abs=5e-4)
        for part in parts:
            assert sum(part.splits.values()) == part.n_clips
            assert part.n_files <= part.n_clips
    assert [part.hours for part in found.datasets] == sorted(
        (part.hours for part in found.datasets), reverse=True
    )


def test_what_is_called_unknown_or_none_is_counted_with_what_is_not_known() -> None:
    cells = ["unknown", None, "None", "", "unknown"]
    table = {"id": list("abcde"), "path": list("abcde"), "licence": cells}
    labels = [["None"], ["unknown"], ["None"], [], ["wren"]]
    found = summarise(Manifest(pa.table({**table, "labels": labels}), HERE))
    assert found.licences == {UNKNOWN: 4, "None": 1}
    assert found.labels == {"None": 2, "unknown": 1, "wren": 1}


def test_only_the_commonest_labels_and_licences_are_named() -> None:
    n = COMMONEST + 5
    labels = [[f"label {row:02}", *(["all"] if row % 2 else [])] for row in range(n)]
    licences = [f"licence {row:02}" for row in range(n)]
    ids = [str(row) for row in range(n)]
    table = pa.table({"id": ids, "path": ids, "labels": labels, "licence": licences})
    found = summarise(Manifest(table, Path()))
    assert len(found.labels) == len(found.licences) == COMMONEST
    assert list(found.labels)[:2] == ["all", "label 00"]  # equals in the order of their names
    assert list(found.licences)[-1] == f"licence {COMMONEST - 1:02}"
    assert (found.total.n_labels, found.n_rare_labels) == (n + 1, n)
