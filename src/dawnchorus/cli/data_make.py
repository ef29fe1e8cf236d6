"""``dawnchorus data folder | csv | raven | audacity``: manifests of what people have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dawnchorus.clips.folders import Made

Output = Annotated[Path, typer.Option("-o", "--output", help="Manifest to write (.parquet).")]
Kind = Annotated[str, typer.Option(help="Of the labels: species, sound, individual, calltype.")]
Column = Annotated[
    list[str] | None,
    typer.Option(
        help="OURS=THEIRS: path, start_s, stop_s, length_s, labels or any other column of a "
        "manifest, such as labels=Species. Repeatable."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.")]
SHOWN = 20  # of what cannot be read


def folder(
    path: Annotated[Path, typer.Argument(help="Folder with a folder of sounds for each label.")],
    output: Output = Path("manifest.parquet"),
    label_from: Annotated[
        str, typer.Option(help="parent: the folder a file lies in; top: the first one; none.")
    ] = "parent",
    kind: Kind = "species",
    underscores: Annotated[
        bool, typer.Option("--underscores", help="Underscores in labels are spaces.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Make a manifest of folders that are labels; train, val and test at the top are splits.

    Example: dawnchorus data folder calls/ -o calls.parquet --underscores
    """
    from dawnchorus.cli.output import progress
    from dawnchorus.clips.folders import LabelFrom, manifest_of_folder

    known: tuple[LabelFrom, ...] = ("parent", "top", "none")
    chosen = next((name for name in known if name == label_from), None)
    if chosen is None:
        raise UsageError(f"--label-from {label_from!r}; known: {', '.join(known)}")
    with progress(None, "reading headers", quiet=quiet, unit="files") as advance:
        made = manifest_of_folder(
            path, label_from=chosen, kind=kind, underscores=underscores, progress=advance
        )
    return finish(made, output, as_json=as_json)


def csv(
    table: Annotated[Path, typer.Argument(help="CSV or TSV with a line for each clip.")],
    output: Output = Path("manifest.parquet"),
    audio: Annotated[
        Path | None, typer.Option(help="Folder that its paths are relative to; else its own.")
    ] = None,
    column: Column = None,
    separator: Annotated[
        str | None, typer.Option(help="Between several labels in a cell; else a cell is one.")
    ] = None,
    value: Annotated[
        list[str] | None, typer.Option(help="COLUMN=VALUE for every clip; as often as needed.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Make a manifest of a table: BirdNET's, Kaleidoscope's, OpenSoundscape's, your own ...

    Columns with usual names are found, and which was read as what is said. A table of which a
    column that looks like times or labels was not read is refused.

    Example: dawnchorus data csv clips.csv --audio wav/ --column labels=Species -o clips.parquet
    """
    from dawnchorus.cli.output import progress
    from dawnchorus.clips.tables import manifest_of_csv

    with progress(None, "reading headers", quiet=quiet, unit="files") as advance:
        made = manifest_of_csv(
            table,
            audio=audio,
            columns=pairs("--column", column),
            separator=separator,
            values=pairs("--value", value),
            progress=advance,
        )
    return finish(made, output, as_json=as_json)


def raven(
    tables: Annotated[list[Path], typer.Argument(help="Selection tables, or folders of them.")],
    audio: Annotated[Path, typer.Option(help="Folder of the recordings.")],
    output: Output = Path("manifest.parquet"),
    label: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
    column: Column = None,
    kind: Kind = "species",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Make a manifest of Raven selection tables, a clip for each selection.

    Example: dawnchorus data raven selections/ --audio recordings/ --label Species
    """
    from dawnchorus.cli.output import progress
    from dawnchorus.clips.annotations import manifest_of_raven

    with progress(None, "reading headers", quiet=quiet, unit="files") as advance:
        made = manifest_of_raven(
            tables,
            audio=audio,
            label=label,
            columns=pairs("--column", column),
            kind=kind,
            progress=advance,
        )
    return finish(made, output, as_json=as_json)


def audacity(
    tables: Annotated[list[Path], typer.Argument(help="Label files, or folders of them.")],
    audio: Annotated[Path, typer.Option(help="Folder of the recordings.")],
    output: Output = Path("manifest.parquet"),
    kind: Kind = "species",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Make a manifest of Audacity labels, a clip for each label that has a length.

    Example: dawnchorus data audacity labels/ --audio recordings/ -o clips.parquet
    """
    from dawnchorus.cli.output import progress
    from dawnchorus.clips.annotations import manifest_of_audacity

    with progress(None, "reading headers", quiet=quiet, unit="files") as advance:
        made = manifest_of_audacity(tables, audio=audio, kind=kind, progress=advance)
    return finish(made, output, as_json=as_json)


def pairs(option: str, given: Sequence[str] | None) -> dict[str, str]:
    """``A=B`` options as a dict."""
    found = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"{option} {text!r}: need NAME=VALUE")
        found[name.strip()] = value
    return found


def finish(made: Made, output: Path, *, as_json: bool) -> int:
    """Write a new manifest and say what is in it, and what is not."""
    from dawnchorus.cli.output import print_json, say
    from dawnchorus.cli.runs import SOME_FAILED
    from dawnchorus.clips.manifest import write_manifest
    from dawnchorus.clips.summary import summarise

    print_notes(made.notes, say)
    write_manifest(made.manifest, output)
    total = summarise(made.manifest).total
    if as_json:
        bad = [{"path": path, "verdict": word, "message": said} for path, word, said in made.bad]
        facts = {"output": output, "clips": total.n_clips, "files": total.n_files}
        facts |= {"hours": total.hours, "labels": total.n_labels, "notes": made.notes}
        print_json({**facts, "bad": bad})
    else:
        print_bad([message for _, _, message in made.bad], say)
        print(
            f"{output}: {total.n_clips} clips of {total.n_files} files, {total.hours:.2f} h, "
            f"{total.n_labels} labels; {len(made.bad)} left out"
        )
    return SOME_FAILED if made.bad else 0


def print_notes(notes: Sequence[str], say: Callable[[str], None]) -> None:
    """What was read as what, and what to mind; how many more, where there are many."""
    for note in notes[:SHOWN]:
        say(note)
    if len(notes) > SHOWN:
        say(f"... and {len(notes) - SHOWN} more notes (all of them: --json)")


def print_bad(messages: Sequence[str], say: Callable[[str], None]) -> None:
    """The first of what was left out, and how many more."""
    for message in messages[:SHOWN]:
        say(f"left out: {message}")
    if len(messages) > SHOWN:
        say(f"... and {len(messages) - SHOWN} more")
