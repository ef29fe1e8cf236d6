"""``dawnchorus label round``: suggest, judge, fit a probe, say what changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnchorus.cli import options
from dawnchorus.cli.flag_record import command_of
from dawnchorus.cli.label_suggest import SuggestionFlags
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from dawnchorus.labelling.round import Change, RoundReport

WIDTH = 0.05  # of an interval that is narrow enough, where none was asked for


@dataclass(frozen=True, kw_only=True)
class RoundFlags(SuggestionFlags):
    """Flags of ``dawnchorus label round``."""

    n: Annotated[int, typer.Option("-n", "--count", help="Windows to suggest.")] = 40
    output: Annotated[
        Path | None,
        options.output(
            "Folder of the probe, which every round replaces. Default: X.LABEL.probe beside the "
            "store X.store."
        ),
    ] = None
    width: Annotated[
        float,
        typer.Option(
            help="Width of the estimate's interval that is narrow enough: 0.05 is from 10% to 15% "
            "of the windows."
        ),
    ] = WIDTH
    author: options.Author = None
    audio: options.Audio = None
    context: options.Context = 0.0
    no_sound: options.NoSound = False


@command_of(RoundFlags)
def round_(flags: RoundFlags) -> int:
    """Suggest windows, judge them on the terminal, fit a probe, and say what the labels changed.

    Call it again for the next round: it begins with what is left of the last one, and the probe
    then scores the windows. It says when more labels will hardly change anything.

    Example: dawnchorus label round archive.store --label wren --like wren.wav
    """
    from dawnchorus.cli.label_judge import judging_screen
    from dawnchorus.cli.label_tables import store_of, stored_root
    from dawnchorus.cli.output import watched
    from dawnchorus.labelling.round import RoundSettings, label_round

    label, store, width = flags.the_label(), flags.store, flags.width
    if not 0 < width <= 1:
        raise UsageError(f"--width {width:g}: need a share of the windows, above 0 and at most 1")
    root = flags.audio or stored_root(store) or Path()
    screen = judging_screen(
        store_of(store), root, time_zone=flags.time_zone, context_s=flags.context,
        sound=not flags.no_sound, quiet=flags.quiet,
    )  # fmt: skip
    settings: dict[str, Any] = {
        name: getattr(flags, name) for name in ("n", "strategy", "seed", "author")
    }
    with watched(quiet=flags.quiet) as progress:
        report = label_round(
            store,
            label,
            screen.judge,
            settings=RoundSettings(**settings),
            like=flags.vectors(),
            annotations=flags.annotations,
            output=flags.output,
            progress=progress,
            **flags.filters(),
        )
    _show(report, width, as_json=flags.as_json)
    return screen.exit_code()


def _show(report: RoundReport, width: float, *, as_json: bool) -> None:
    from dawnchorus.cli.label_judge import print_reviewed
    from dawnchorus.cli.output import print_json, say

    if as_json:
        print_json(_as_json(report, width))
        return
    print_reviewed(report.judging)
    print(
        f"labels: {report.n_present} present and {report.n_absent} absent to learn from, "
        f"{report.n_estimate} for estimates"
    )
    if report.change is not None:
        print(_change_line(report.change))
    if report.density is not None:
        found = report.density
        print(
            f"estimate: {found.density:.1%} of the windows hold it, {found.low:.1%} to "
            f"{found.high:.1%} (90% interval of {found.n_judged} windows)"
        )
    for note in report.notes:
        say(note)
    if report.probe is not None:
        print(f"probe: {report.probe}")
    if report.may_stop(width):
        print("more labels will hardly change this: it may be time to stop")


def _change_line(change: Change) -> str:
    return (
        f"the last {change.n_last} labels changed {change.share:.2%} of all decisions "
        f"({change.n_changed:,} of {change.n_windows:,} windows, and {change.n_last_changed} of "
        f"those {change.n_last}); present were {change.n_before:,}, now {change.n_now:,}"
    )


def _as_json(report: RoundReport, width: float) -> dict[str, Any]:
    from dataclasses import asdict

    change, density, judging = report.change, report.density, report.judging
    names = ("n_present", "n_absent", "n_estimate", "probe", "notes")
    return {
        "annotations": judging.table.folder,
        "n_suggestions": len(judging.suggestions),
        "n_reviewed": judging.n_reviewed,
        **{name: getattr(report, name) for name in names},
        "change": None if change is None else {**asdict(change), "share": change.share},
        "density": None if density is None else asdict(density),
        "may_stop": report.may_stop(width),
    }
