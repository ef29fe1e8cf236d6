"""``dawnchorus data import``: a manifest of labelled clips in whatever form people have them."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dawnchorus.cli import options
from dawnchorus.cli.renamed import renamed, renamed_command
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dawnchorus.clips.build import ImportedClips

# Which forms an option is for; the others are for all.
_ONLY_FOR: Final = {
    "--audio": ("csv", "raven", "audacity"),
    "--column": ("csv", "raven"),
    "--separator": ("csv", "raven"),
    "--value": ("csv", "raven", "audacity"),
    "--kind": ("csv", "raven", "audacity", "folder"),
    "--label-from": ("folder",),
    "--underscores": ("folder",),
}


def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="CSV or TSV, Raven selection tables, Audacity labels (.txt), folders of such "
            "tables, a folder with a folder of sounds for each label, or a manifest."
        ),
    ],
    output: options.NewManifest = Path("manifest.parquet"),
    input_format: options.InputFormat = None,
    audio: options.Audio = None,
    column: options.Columns = None,
    separator: options.Separator = None,
    value: Annotated[
        list[str] | None, typer.Option(help="COLUMN=VALUE: set it for every clip. Repeatable.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="What the labels name: species, sound, individual or calltype. Default: species."
        ),
    ] = None,
    label_from: Annotated[
        str | None,
        typer.Option(
            help="Folder that names the label of a sound: parent (the one it lies in), top (the "
            "first), none. Default: parent."
        ),
    ] = None,
    underscores: Annotated[
        bool, typer.Option("--underscores", help="Read underscores in names of folders as spaces.")
    ] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Make a manifest of labelled clips; what form they have is detected.

    Columns with usual names are found, and which was read as what is reported. A table is refused
    if a column that looks like times or labels would not be read. Of a folder of sounds, train, val
    and test at the top are splits. What cannot be read is named and left out, and the exit code is
    then 3.

    Example: dawnchorus data import clips.csv --audio wav/ --column labels=Species -o clips.parquet
    """
    from dawnchorus.cli.output import watched
    from dawnchorus.clips.folders import LabelFrom, manifest_of_folder
    from dawnchorus.clips.imports import FORMS, form_of, read_labels

    form = next((name for name in FORMS if name == input_format), None)
    if input_format is not None and form is None:
        raise UsageError(f"--input-format {input_format!r}; known: {', '.join(FORMS)}")
    # known before anything is read, so that options can be held against it
    form = form or form_of(paths)
    given = {"--audio": audio, "--column": column, "--separator": separator, "--value": value,
             "--kind": kind, "--label-from": label_from, "--underscores": underscores}  # fmt: skip
    for flag, forms in _ONLY_FOR.items():
        if given[flag] and form not in forms:
            raise UsageError(f"{flag} is for {', '.join(forms)}; this is read as {form}")
    known: tuple[LabelFrom, ...] = ("parent", "top", "none")
    source = next((name for name in known if name == (label_from or "parent")), None)
    if source is None:
        raise UsageError(f"--label-from {label_from!r}; known: {', '.join(known)}")
    with watched(quiet=quiet) as progress:
        if form == "folder" and len(paths) == 1:
            clips = manifest_of_folder(
                paths[0],
                label_from=source,
                kind=kind or "species",
                underscores=underscores,
                progress=progress,
            )
        else:
            clips = read_labels(
                paths,
                form=form,
                audio=audio,
                columns=options.pairs("--column", column),
                separator=separator,
                values=options.pairs("--value", value) | ({"kind": kind} if kind else {}),
                progress=progress,
            )
    return _finish(clips, output, as_json=as_json)


def _finish(clips: ImportedClips, output: Path, *, as_json: bool) -> int:
    """Write the manifest and say what is in it, and what is not."""
    from dawnchorus.cli.findings import failures_as_json, say_left_out, say_notes
    from dawnchorus.cli.output import print_json
    from dawnchorus.cli.runs import SOME_FAILED
    from dawnchorus.clips.manifest import write_manifest
    from dawnchorus.clips.summary import summarise

    say_notes(clips.notes)
    write_manifest(clips.manifest, output)
    total = summarise(clips.manifest).total
    if as_json:
        facts = {"output": output, "clips": total.n_clips, "files": total.n_files}
        facts |= {"hours": total.hours, "labels": total.n_labels, "notes": clips.notes}
        print_json({**facts, "bad": failures_as_json(clips.failures)})
    else:
        say_left_out([failure.message for failure in clips.failures])
        print(
            f"{output}: {total.n_clips} clips of {total.n_files} files, {total.hours:.2f} h, "
            f"{total.n_labels} labels; {len(clips.failures)} left out"
        )
    return SOME_FAILED if clips.failures else 0


def _before(form: str) -> Callable[..., int]:
    """The subcommand that imported one form before there was ``import``."""

    @wraps(import_)
    def command(**given: Any) -> int:
        return import_(**{**given, "input_format": form})

    command.__name__ = form
    return renamed_command("data import")(renamed({"--label": "--column labels="})(command))


folder, csv, raven, audacity = map(_before, ("folder", "csv", "raven", "audacity"))
