"""``dawnchorus label judge``: suggestions judged on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.cli import options
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from dawnchorus.annotations.annotation_table import AnnotationTable
    from dawnchorus.cli.judging_screen import JudgingScreen
    from dawnchorus.labelling.judging import Judging


def judge(
    suggestions: Annotated[
        str,
        typer.Argument(
            help="A store or its annotations, whose suggestions are then judged; or a file that "
            "search or label export wrote (.csv, .parquet, .jsonl).",
        ),
    ],
    label: options.Label = None,
    annotations: options.Annotations = None,
    purpose: options.OfPurpose = None,
    author: options.Author = None,
    audio: options.Audio = None,
    time_zone: options.TimeZone = None,
    context: options.Context = 0.0,
    no_sound: options.NoSound = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Judge suggestions one by one: each is played, and one key says whether the label is heard.

    y present, n absent, u unsure, r again, z undo, s skip, q quit, ? help. Each judgement is saved
    at once, and the next session goes on behind it. Without a terminal the answers are lines of
    standard input. The sound goes to the system's player (ffplay, aplay, paplay, afplay, play).

    Example: dawnchorus label judge archive.store --label wren
    """
    from dawnchorus.annotations.annotation_row import default_author
    from dawnchorus.cli.label_tables import checked, store_of, table_folder
    from dawnchorus.labelling.judging import Judging
    from dawnchorus.labelling.suggestions import asked_of, read_suggestions

    checked(None, purpose)
    author = author or default_author()
    file = _file(suggestions)
    if file is None:
        table = _table(str(annotations or suggestions), create=False)
        rows = asked_of(table, author, label, purpose)
    else:
        if annotations is None:
            raise UsageError(
                f"{file}: where do judgements go? Name the folder: --annotations "
                "archive.annotations"
            )
        table = _table(str(table_folder(str(annotations))), create=True)
        rows = read_suggestions(file, table, label, purpose)
    if not rows:
        what = "" if label is None else f" of {label!r}"
        raise UsageError(
            f"{file or table.folder}: no suggestion{what} to judge; make some with 'dawnchorus "
            "label suggest' or 'dawnchorus search --annotate'"
        )
    judging = Judging(table, rows, author)
    store = store_of(suggestions if file is None else str(annotations))
    screen = judging_screen(
        store, audio or _root(store, file, table), time_zone=time_zone, context_s=context,
        sound=not no_sound, quiet=quiet,
    )  # fmt: skip
    screen.judge(judging)
    _show(judging, as_json=as_json)
    return screen.exit_code()


def judging_screen(
    store: Path | None,
    root: Path,
    *,
    time_zone: str | None,
    context_s: float,
    sound: bool,
    quiet: bool,
) -> JudgingScreen:
    """What asks, with the recordings of a store.

    Raises:
        UsageError: The context is less than nothing.
    """
    from dawnchorus.cli.judged_clips import JudgedClips
    from dawnchorus.cli.judging_screen import JudgingScreen

    if not context_s >= 0:
        raise UsageError(f"--context {context_s:g}: need 0 seconds or more")
    clips = JudgedClips(root, store, time_zone)
    return JudgingScreen(clips, context_s=context_s, sound=sound, quiet=quiet)


def _file(name: str) -> Path | None:
    """The file that is named; None: it is a folder."""
    from dawnchorus.labelling.suggestions import FILE_SUFFIXES
    from dawnchorus.paths import as_path, is_remote

    path = as_path(name)
    if is_remote(path) or path.is_dir():
        return None
    if path.suffix.lower() in FILE_SUFFIXES or path.is_file():
        return path
    return None


def _table(name: str, *, create: bool) -> AnnotationTable:
    from dawnchorus.annotations.annotation_table import AnnotationTable
    from dawnchorus.cli.label_tables import open_annotations

    return AnnotationTable(name, create=True) if create else open_annotations(name)


def _root(store: Path | None, file: Path | None, table: AnnotationTable) -> Path:
    """Where the recordings lie, as far as is known."""
    from dawnchorus.cli.label_tables import stored_root

    root = None if store is None else stored_root(str(store))
    return root or (table.folder if file is None else file).parent


def _show(judging: Judging, *, as_json: bool) -> None:
    from dawnchorus.cli.output import print_json

    if not as_json:
        print_reviewed(judging)
        return
    facts = {"annotations": judging.table.folder, "n_suggestions": len(judging.suggestions)}
    print_json({**facts, "n_reviewed": judging.n_reviewed, **judging.counts})


def print_reviewed(judging: Judging) -> None:
    """Say how far the judging is."""
    counts = judging.counts
    said = ", ".join(f"{counts[state]} {state}" for state in ("present", "absent", "unsure"))
    print(
        f"{judging.table.folder}: reviewed {judging.n_reviewed} of {len(judging.suggestions)}: "
        f"{said}; {judging.n_left} left"
    )
