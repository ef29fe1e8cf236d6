"""``dawnchorus data folder | csv | raven | audacity``: manifests of what people have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.cli import options
from dawnchorus.cli.renamed import renamed
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dawnchorus.clips.folders import Made

Kind = Annotated[
    str, typer.Option(help="What the labels name: species, sound, individual or calltype.")
]
SHOWN = 20  # of what cannot be read


def folder(
    path: Annotated[Path, typer.Argument(help="Folder with a folder of sounds for each label.")],
    output: options.NewManifest = Path("manifest.parquet"),
    label_from: Annotated[
        str,
        typer.Option(
            help="Folder that names the label: parent (of the file), top (the first), none."
        ),
    ] = "parent",
    kind: Kind = "species",
    underscores: Annotated[
        bool, typer.Option("--underscores", help="Read underscores in labels as spaces.")
    ] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
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
    output: options.NewManifest = Path("manifest.parquet"),
    audio: options.Audio = None,
    column: options.Columns = None,
    separator: options.Separator = None,
    value: Annotated[
        list[str] | None, typer.Option(help="COLUMN=VALUE: set it for every clip. Repeatable.")
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
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
            columns=options.pairs("--column", column),
            separator=separator,
            values=options.pairs("--value", value),
            progress=advance,
        )
    return finish(made, output, as_json=as_json)


@renamed({"--label": "--column labels="})
def raven(
    tables: Annotated[list[Path], typer.Argument(help="Selection tables, or folders of them.")],
    output: options.NewManifest = Path("manifest.parquet"),
    audio: options.Audio = None,
    column: options.Columns = None,
    kind: Kind = "species",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Make a manifest of Raven selection tables, a clip for each selection.

    Example: dawnchorus data raven selections/ --audio recordings/ --column labels=Species
    """
    from dawnchorus.cli.output import progress
    from dawnchorus.clips.annotations import manifest_of_raven

    with progress(None, "reading headers", quiet=quiet, unit="files") as advance:
        made = manifest_of_raven(
            tables,
            audio=_audio(audio),
            columns=options.pairs("--column", column),
            kind=kind,
            progress=advance,
        )
    return finish(made, output, as_json=as_json)


def audacity(
    tables: Annotated[list[Path], typer.Argument(help="Label files, or folders of them.")],
    output: options.NewManifest = Path("manifest.parquet"),
    audio: options.Audio = None,
    kind: Kind = "species",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Make a manifest of Audacity labels, a clip for each label that has a length.

    Example: dawnchorus data audacity labels/ --audio recordings/ -o clips.parquet
    """
    from dawnchorus.cli.output import progress
    from dawnchorus.clips.annotations import manifest_of_audacity

    with progress(None, "reading headers", quiet=quiet, unit="files") as advance:
        made = manifest_of_audacity(tables, audio=_audio(audio), kind=kind, progress=advance)
    return finish(made, output, as_json=as_json)


def _audio(folder: Path | None) -> Path:
    if folder is None:
        raise UsageError("--audio: need the folder of the recordings")
    return folder


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
