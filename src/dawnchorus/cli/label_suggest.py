"""``dawnchorus label suggest``: what to label next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.cli import options
from dawnchorus.cli.flag_record import WindowFilterFlags, command_of
from dawnchorus.cli.label_flags import OneLabelFlags
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from dawnchorus.annotations.annotation_row import AnnotationRow

SHOWN = 20  # windows on the terminal


@dataclass(frozen=True, kw_only=True)
class SuggestionFlags(OneLabelFlags, WindowFilterFlags):
    """What `label suggest` and `label round` have in common: which windows, and how many."""

    n: Annotated[int, typer.Option("-n", "--count", help="Windows to suggest.")] = 50
    strategy: options.Strategy = "mixed"


@dataclass(frozen=True, kw_only=True)
class SuggestFlags(SuggestionFlags):
    """Flags of ``dawnchorus label suggest``."""

    probe: Annotated[
        Path | None,
        typer.Option(help="Folder of a probe (probe fit), which then gives the labels."),
    ] = None


@command_of(SuggestFlags)
def suggest(flags: SuggestFlags) -> int:
    """Choose windows that are worth labelling next, and add them to the annotations.

    Judge them with label judge, on the page (serve), or in Raven or Audacity (label export). A
    fifth of mixed is drawn evenly, for estimates; under four positives the others lie down
    the whole range of scores, and after that where the scores are least sure.

    Example: dawnchorus label suggest archive.store --label wren --like wren.wav -n 40
    """
    from dawnchorus import suggest_windows
    from dawnchorus.cli.output import print_json, watched

    label = flags.the_label()
    if flags.probe is not None and flags.like:
        raise UsageError("--probe or --like: windows are scored by one of them, not by both")
    with watched(quiet=flags.quiet) as progress:
        suggestions = suggest_windows(
            flags.store,
            label,
            flags.n,
            strategy=flags.strategy,  # type: ignore[arg-type]  # it says which there are
            scorer=flags.vectors() if flags.probe is None else flags.probe,
            annotations=flags.annotations,
            seed=flags.seed,
            progress=progress,
            **flags.filters(),
        )
    if flags.as_json:
        print_json([row.to_dict() for row in suggestions])
    else:
        _show(suggestions)
    return 0


def _show(suggestions: list[AnnotationRow]) -> None:
    from dawnchorus.cli.output import print_table

    cells = [
        [row.path, f"{row.start_s:.2f}", f"{row.end_s or 0:.2f}",
         "" if row.score is None else f"{row.score:.3f}", row.purpose]
        for row in suggestions[:SHOWN]
    ]  # fmt: skip
    print_table(["path", "start_s", "end_s", "score", "purpose"], cells)
    if len(suggestions) > SHOWN:
        print(f"and {len(suggestions) - SHOWN} more")
    print(f"{len(suggestions)} windows to judge")
