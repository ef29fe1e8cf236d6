"""What was heard: rows of label, recording and time, from a table, a store or its annotations."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dawnchorus.annotations.annotation_table import AnnotationTable
from dawnchorus.engine.detections.classify import StoredClassifier
from dawnchorus.engine.detections.label_names import by_name, find_label
from dawnchorus.engine.detections.probe_rules import open_probe
from dawnchorus.engine.predict import predict
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.text_tables.read import open_table
from dawnchorus.text_tables.write import runs_as_formula

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.store.read import Store

CALL_SCHEMA: Final = pa.schema(
    [
        ("label", pa.string()),
        ("path", pa.string()),
        ("start_s", pa.float64()),
        ("stop_s", pa.float64()),
        ("probability", pa.float64()),
    ]
)
NEEDED: Final = ("label", "path", "start_s")
TABLES: Final = (".csv", ".parquet")
MOST_LABELS: Final = 12  # that count where none is named


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Calls, and how they were found.

    Attributes:
        table: columns of `CALL_SCHEMA`; ``probability`` is null where a person says so.
        labels: that were looked for, whether they were heard or not.
        what: a row is, in words.
        settings: what made them, from a name to its value, for a report.
        remarks: what a reader has to know.
    """

    table: pa.Table
    labels: tuple[str, ...]
    what: str
    settings: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()

    def of_recordings(self, paths: Iterable[str]) -> Calls:
        """Only the calls in some recordings."""
        keep = pc.is_in(self.table["path"], pa.array(list(paths), pa.string()))
        return replace(self, table=self.table.filter(keep))

    def of_labels(self, wanted: Sequence[str] | None) -> Calls:
        """Only some labels.

        Args:
            wanted: their names, upper and lower case being the same where that is clear; None: the
                `MOST_LABELS` with most calls.

        Raises:
            UsageError: One was not looked for. That is not the same as "never heard".
        """
        labels = self._most_frequent() if wanted is None else self._known(wanted)
        keep = pc.is_in(self.table["label"], pa.array(labels, pa.string()))
        left_out = len(self.labels) - len(labels)
        remarks = self.remarks
        if wanted is None and left_out:
            remarks = (*remarks, f"{left_out} rarer labels are left out; --label names others")
        return replace(self, table=self.table.filter(keep), labels=labels, remarks=remarks)

    def _most_frequent(self) -> tuple[str, ...]:
        counts = self.table.group_by("label").aggregate([("label", "count")]).to_pylist()
        order = sorted(counts, key=lambda row: (-row["label_count"], row["label"]))
        heard = [row["label"] for row in order[:MOST_LABELS]]
        # a classifier of two labels was asked for both: one that is never heard has zeros
        silent = [label for label in self.labels if label not in heard]
        few = silent if len(self.labels) <= MOST_LABELS else []
        return (*heard, *few)

    def _known(self, wanted: Sequence[str]) -> tuple[str, ...]:
        names = by_name(self.labels)
        found = []
        for name in wanted:
            index = find_label(name, names)
            if index is None:
                some = ", ".join(self.labels[:20]) or "none"
                raise UsageError(
                    f"no call has the label {name!r}, and a label that nobody looked for has no "
                    f"rate; labels there are: {some}"
                )
            found.append(self.labels[index])
        return tuple(dict.fromkeys(found))


def read_calls(path: Path) -> Calls:
    """Detections as `predict` writes them: CSV or Parquet with ``path``, ``start_s``, ``label``.

    Raises:
        UsageError: It is no such table, or of a run that was stopped.
    """
    if path.suffix.lower() not in TABLES:
        raise UsageError(
            f"{path}: need detections as .csv or .parquet, as predict writes them, or a store"
        )
    if path.name.endswith((".partial.csv", ".partial.parquet")):
        raise UsageError(
            f"{path}: is of a run that was stopped; recordings that it did not reach would count "
            "as silent. Let predict finish first"
        )
    read = _read_csv if path.suffix.lower() == ".csv" else _read_parquet
    table = read(path)
    labels = sorted(pc.unique(table["label"]).to_pylist())
    if not labels:
        raise UsageError(f"{path}: holds no detection, so it does not say what was looked for")
    return Calls(table=table, labels=tuple(labels), what=_what(table),
                 settings=(("detections", path.name),))  # fmt: skip


def _what(table: pa.Table) -> str:
    spans = pc.subtract(table["stop_s"], table["start_s"])
    longest, shortest = pc.max(spans).as_py(), pc.min(spans).as_py()
    if longest is None:
        return "a row of the detections"
    if longest - shortest < 1e-6:
        return f"a window of {longest:g} s with the label"
    return "a row of the detections, each with its own length"


def _read_csv(path: Path) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for name in CALL_SCHEMA.names}
    try:
        table = open_table(path)
        _need(path, table.names)
        for line, row in table.rows():
            where = f"{path}, line {line}"
            for name in ("label", "path"):
                columns[name].append(_text(row[name], where, name))
            columns["start_s"].append(_number(row["start_s"], where, "start_s"))
            for name in ("stop_s", "probability"):
                text = row.get(name, "")
                columns[name].append(_number(text, where, name) if text else None)
    except TaskError as error:
        raise UsageError(str(error)) from error
    return pa.table(columns, schema=CALL_SCHEMA)


def _read_parquet(path: Path) -> pa.Table:
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        _need(path, names)
        table = file.read([name for name in CALL_SCHEMA.names if name in names])
        columns = [
            table[field.name].cast(field.type)
            if field.name in names
            else pa.nulls(len(table), field.type)
            for field in CALL_SCHEMA
        ]
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path}: cannot be read as Parquet: {error}") from error
    table = pa.Table.from_arrays(columns, schema=CALL_SCHEMA)
    for name in NEEDED:
        if table[name].null_count:
            raise UsageError(f"{path}: {table[name].null_count} rows have no {name}")
    return table


def _need(path: Path, names: Iterable[str]) -> None:
    there = list(names)
    missing = [name for name in NEEDED if name not in there]
    if missing:
        raise UsageError(
            f"{path}: need the columns {', '.join(NEEDED)}, as predict writes them; found "
            f"{', '.join(there)}"
        )


def _text(cell: str, where: str, name: str) -> str:
    if not cell:
        raise UsageError(f"{where}: {name} is empty")
    # --spreadsheet-safe puts an apostrophe before what a spreadsheet would run
    return cell[1:] if cell.startswith("'") and runs_as_formula(cell[1:]) else cell


def _number(text: str, where: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise UsageError(f"{where}: {name} {text!r} is not a number")
    return value


def stored_calls(store: Store, *, probe: str | Path | None, rule: Mapping[str, Any]) -> Calls:
    """Windows of a store whose scores reach a threshold, as `predict` on the store has them.

    Args:
        store: with scores, or any of the probe's encoder.
        probe: gives the scores instead.
        rule: keywords of `predict`: ``threshold``, ``labels``, ``merge`` and the like.

    Raises:
        UsageError: There are no scores, or no such label.
        WeightsError: The probe is of another encoder.
    """
    opened = None if probe is None else open_probe(probe)
    report = predict(store.path, probe=opened, **rule)
    assert report.table is not None  # noqa: S101  no output was named
    scored = StoredClassifier(store.header, opened).scored.labels
    named = rule.get("labels")
    table = report.table.select(CALL_SCHEMA.names).cast(CALL_SCHEMA)
    merge, threshold = rule.get("merge"), rule.get("threshold")
    usual = "the model's own for each label" if probe is None else "the probe's for each label"
    remarks = [f"{report.model} is a demonstration: do not take its names for identifications"]
    return Calls(
        table=table,
        labels=_canonical(named, scored) if named else tuple(scored),
        what=(
            "a run of windows that follow each other and have the label"
            if merge
            else f"a window of {store.header.window_s:g} s with the label"
        ),
        settings=(
            ("scores", "of the store" if probe is None else f"of the probe {Path(probe).name}"),
            ("threshold", usual if threshold is None else f"{threshold:g}"),
        ),
        remarks=tuple(remarks if report.demonstration else []),
    )


def _canonical(named: Sequence[str], scored: Sequence[str]) -> tuple[str, ...]:
    names = by_name(scored)
    indices = (find_label(name, names) for name in named)
    return tuple(scored[index] for index in indices if index is not None)


def annotated_calls(folder: Path, root_paths: Mapping[str, float]) -> Calls:
    """Spans that people call present.

    A span of one person that shares time with one of the same label by another person is the same
    call; two spans of one person are two calls.

    Args:
        folder: of the annotation table.
        root_paths: the store's recordings, and how long each is.

    Raises:
        UsageError: Nobody calls anything present there.
        StoreError: The table is missing or damaged.
    """
    rows = [row for row in AnnotationTable(folder).rows(state="present") if row.label]
    rows = [row for row in rows if row.path in root_paths]
    if not rows:
        raise UsageError(f"{folder}: no annotation says that something is present in this store")
    kept = _without_echoes(rows)
    columns = {
        "label": [row.label for row in kept],
        "path": [row.path for row in kept],
        "start_s": [row.start_s for row in kept],
        "stop_s": [root_paths[row.path] if row.end_s is None else row.end_s for row in kept],
        "probability": [None] * len(kept),
    }
    return Calls(
        table=pa.table(columns, schema=CALL_SCHEMA),
        labels=tuple(sorted({row.label for row in kept})),
        what="a span that a person calls present",
        settings=(("annotations", folder.name),),
        remarks=(
            "annotations count as if somebody had annotated every recording throughout; where only "
            "chosen windows were judged, label density gives the number",
        ),
    )


def _without_echoes(rows: Sequence[AnnotationRow]) -> list[AnnotationRow]:
    kept: dict[tuple[str, str], list[AnnotationRow]] = defaultdict(list)
    # by author first, so that one person's calls stay whole and another adds what is missing there
    for row in sorted(rows, key=lambda row: (row.author, row.path, row.start_s, row.id)):
        others = kept[row.path, row.label]
        if not any(_is_echo(row, other) for other in others):
            others.append(row)
    both = [row for others in kept.values() for row in others]
    return sorted(both, key=lambda row: (row.path, row.start_s, row.label, row.id))


def _is_echo(row: AnnotationRow, other: AnnotationRow) -> bool:
    if other.author == row.author:
        return False
    ends = [one.end_s if one.end_s is not None else float("inf") for one in (row, other)]
    return min(ends) > max(row.start_s, other.start_s)
