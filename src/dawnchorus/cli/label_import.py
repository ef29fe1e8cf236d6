"""``dawnchorus label import``: people's tables to rows of an annotation table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dawnchorus.cli import options
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.annotations.annotation import AnnotationList
    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.clips.imports import Form
    from dawnchorus.failures import Failure

# forms in which a box may stay without a name
_DRAWN: Final = {"raven", "audacity"}
_SCORES: Final = {"confidence", "probability", "score", "logit"}  # keys, see `column_key`


def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Raven selection tables, Audacity labels (.txt), CSV or TSV of Kaleidoscope or "
            "any other program, or folders of such tables."
        ),
    ],
    annotations: options.Annotations = None,
    input_format: options.InputFormat = None,
    audio: options.Audio = None,
    column: options.Columns = None,
    separator: options.Separator = None,
    state: options.OfState = None,
    purpose: options.OfPurpose = None,
    author: options.Author = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Add what tables say to an annotation table, which is made if it is not there.

    What is there already is not added again. A table that label export wrote knows its rows: what
    was changed in it is added as the judgement of --author. What cannot be read is named and left
    out, and the exit code is then 3.

    Example: dawnchorus label import night.selections.txt --annotations archive.annotations
    """
    from dawnchorus.annotations.annotation_row import default_author
    from dawnchorus.annotations.annotation_table import SUGGESTED, AnnotationTable
    from dawnchorus.annotations.imported import add_new, rows_of
    from dawnchorus.annotations.row_reader import ReadOptions
    from dawnchorus.cli.label_tables import audio_folder, checked, table_folder

    if annotations is None:
        raise UsageError("where to? name the folder: --annotations archive.annotations")
    said: dict[str, Any] = {**checked(state, purpose), "author": author or default_author()}
    said["state"] = None if state == SUGGESTED else state or "present"
    form = _form(paths, input_format)
    folder = audio or audio_folder(str(annotations))
    found = _read(
        paths,
        form,
        folder,
        ReadOptions(columns=options.pairs("--column", column), separator=separator, keep=True),
    )
    rows, failures = rows_of(found, unnamed="unsure" if form in _DRAWN else "present", **said)
    table = AnnotationTable(table_folder(str(annotations)), create=True)
    n_new = add_new(table, rows)
    if state is None:
        found.remarks += _scored(found)
    found.remarks += _not_in_store(str(annotations), rows)
    return _finish(found, rows, [*found.failures, *failures], n_new, table.folder, as_json, quiet)


def _scored(found: AnnotationList) -> list[str]:
    """A remark on lines that a program seems to have written, and that nobody has judged."""
    from dawnchorus.text_tables.column_names import column_key

    foreign = [one for one in found.annotations if one.stored is None and not one.state]
    names = dict.fromkeys(name for one in foreign for name, _ in one.extra)
    score = next((name for name in names if column_key(name) in _SCORES), None)
    if score is None:
        return []
    return [
        f"{score!r} is a program's score, it seems, and the lines are taken for a person's word "
        "(present); to judge them yourself, say --state suggested"
    ]


def _not_in_store(annotations: str, rows: Sequence[AnnotationRow]) -> list[str]:
    """Remarks on rows that the store beside the table, if there is one, will never meet."""
    from dawnchorus.annotations.imported import not_in_store
    from dawnchorus.cli.label_tables import store_of
    from dawnchorus.store.read import Store

    store = store_of(annotations)
    if store is None:
        return []
    table = Store(store).recordings()
    lengths = zip(table["recording_id"].to_pylist(), table["duration_s"].to_pylist(), strict=True)
    return not_in_store(rows, dict(lengths), store)


def _form(paths: Sequence[Path], name: str | None) -> Form:
    from dawnchorus.clips.imports import FORMS, form_of

    form = next((form for form in FORMS if form == name), None) if name else form_of(paths)
    if form not in {"csv", "raven", "audacity"}:
        raise UsageError(
            f"{paths[0]}: {form or name} is not a form of annotations; need csv, raven or audacity"
        )
    return form


def _read(
    paths: Sequence[Path], form: Form, folder: Path | None, read_options: Any
) -> AnnotationList:
    from dawnchorus.clips.imports import read_tables

    beside = paths[0] if paths[0].is_dir() else paths[0].parent
    return read_tables(paths, form, folder or beside, read_options)


def _finish(
    found: AnnotationList,
    rows: Sequence[AnnotationRow],
    failures: Sequence[Failure],
    n_new: int,
    folder: Path,
    as_json: bool,
    quiet: bool,
) -> int:
    from dawnchorus.cli.findings import failures_as_json, say_left_out, say_notes
    from dawnchorus.cli.output import print_json
    from dawnchorus.cli.runs import SOME_FAILED

    if as_json:
        facts = {"annotations": folder, "rows": len(rows), "added": n_new, "notes": found.notes()}
        print_json({**facts, "bad": failures_as_json(failures)})
    else:
        say_notes([] if quiet else found.notes())
        say_left_out([failure.message for failure in failures])
        print(
            f"{folder}: {n_new} annotations added, {len(rows) - n_new} were there; "
            f"{len(failures)} left out"
        )
    return SOME_FAILED if failures else 0
