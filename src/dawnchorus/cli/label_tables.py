"""What the commands of ``dawnchorus label`` share: which table, whose recordings, which rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.annotations.annotation_table import AnnotationTable


def table_folder(name: str) -> Path:
    """The folder of an annotation table; a store stands for the one beside it."""
    from dawnchorus.annotations.annotation_table import annotations_beside
    from dawnchorus.paths import as_path
    from dawnchorus.store.schema import HEADER_NAME

    path = as_path(name)
    return annotations_beside(name) if (path / HEADER_NAME).exists() else path


def open_annotations(name: str) -> AnnotationTable:
    """The annotation table that is there.

    Raises:
        StoreError: There is none.
    """
    from dawnchorus.annotations.annotation_table import AnnotationTable

    return AnnotationTable(table_folder(name))


def store_of(name: str) -> Path | None:
    """The store that is named, or the one beside a table; None: there is none."""
    from dawnchorus.annotations.annotation_table import SUFFIX
    from dawnchorus.paths import as_path
    from dawnchorus.store.schema import HEADER_NAME

    path = as_path(name)
    beside = path.with_name(f"{path.name.removesuffix(SUFFIX)}.store")
    return next((store for store in (path, beside) if (store / HEADER_NAME).exists()), None)


def audio_folder(name: str) -> Path | None:
    """Where the recordings of a table's store lie, if there is a store and they are there."""
    root = stored_root(name)
    return root if root is not None and root.exists() else None


def stored_root(name: str) -> Path | None:
    """The folder that the paths of a store start at, be it there or not; None without a store."""
    from dawnchorus.paths import from_stored_name
    from dawnchorus.store.schema import read_header

    store = store_of(name)
    return None if store is None else from_stored_name(read_header(store).audio_root)


def checked(state: str | None, purpose: str | None) -> dict[str, Any]:
    """State and purpose as they were given.

    Raises:
        UsageError: One of them is not known.
    """
    from dawnchorus.annotations.annotation_row import PURPOSES, STATES
    from dawnchorus.annotations.annotation_table import SUGGESTED

    for flag, value, known in (
        ("--state", state, (*STATES, SUGGESTED)),
        ("--purpose", purpose, PURPOSES),
    ):
        if value is not None and value not in known:
            raise UsageError(f"{flag} {value!r}; known: {', '.join(known)}")
    given = {"state": state, "purpose": purpose}
    return {name: value for name, value in given.items() if value is not None}


def chosen_rows(
    table: AnnotationTable,
    label: str | None,
    state: str | None,
    purpose: str | None,
    author: str | None,
) -> list[AnnotationRow]:
    """The rows that count and that options ask for, by recording and time.

    Raises:
        UsageError: An option is wrong, or there are no such rows.
    """
    rows = table.rows(label=label, author=author, **checked(state, purpose))
    if not rows:
        what = "such annotation" if table.rows() else "annotation"
        raise UsageError(f"{table.folder}: no {what}; see 'dawnchorus label list'")
    return sorted(rows, key=lambda row: (row.path, row.start_s))
