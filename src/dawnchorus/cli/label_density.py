"""``dawnchorus label density``: how many windows hold a call, without choosing a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnchorus.cli import options
from dawnchorus.cli.flag_record import command_of
from dawnchorus.cli.label_flags import OneLabelFlags
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from dawnchorus.labelling.run_density import DensityReport

HEADINGS = ("site", "date", "hour", "windows", "judged", "density", "low", "high", "method")
POINT_HEADINGS = ("threshold", "windows above", "precision", "low", "high", "recall", "low", "high")
BIN_HEADINGS = ("bin", "scores from", "windows", "judged", "with the call")


@dataclass(frozen=True, kw_only=True)
class DensityFlags(OneLabelFlags):
    """Flags of ``dawnchorus label density``."""

    output: Annotated[Path | None, options.output("CSV to write.")] = None
    probe: options.Probe = None
    judge: Annotated[
        int | None,
        typer.Option(
            "--judge",
            help="Draw this many windows to judge and add them to the annotations as suggestions. "
            "Default: estimate from what was judged.",
        ),
    ] = None
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            help="Also estimate for each site, date, hour (local) or several of these, such as "
            "site,hour. Repeatable.",
        ),
    ] = None
    thresholds: Annotated[
        bool,
        typer.Option("--thresholds", help="Also print precision and recall by threshold."),
    ] = False
    picture: options.Picture = None

    def scorer(self) -> dict[str, Any]:
        """What scores the windows, as keywords of `call_density` and `draw_judgements`.

        Raises:
            UsageError: There are two.
        """
        from dawnchorus.search.archive import Archive
        from dawnchorus.search.query import direction_of

        if self.probe is not None and self.like:
            raise UsageError("--probe or --like: windows are scored by one of them, not by both")
        vectors = self.vectors()
        direction = None if vectors is None else direction_of(Archive(self.store), vectors)
        return {"probe": self.probe, "query": direction}


@command_of(DensityFlags)
def density(flags: DensityFlags) -> int:
    """Estimate how many windows hold a call, with a 90% interval, from windows judged at random.

    First draw windows (--judge 200), then judge them like any suggestion, then call it again. The
    windows are put in bins by the scores of a probe, by how much they sound like --like, or by
    the scores that the store holds.

    Example: dawnchorus label density archive.store --label wren --probe wren.probe --by site,hour
    """
    from dawnchorus.annotations.annotation_table import annotations_beside
    from dawnchorus.cli.output import print_json, watched
    from dawnchorus.figures import picture_format
    from dawnchorus.labelling.density import Settings
    from dawnchorus.labelling.density_files import plot_density, write_density
    from dawnchorus.labelling.draw_judgements import draw_judgements
    from dawnchorus.labelling.run_density import call_density

    if flags.output is not None and flags.output.suffix.lower() != ".csv":
        raise UsageError(f"{flags.output}: need a file that ends in .csv")
    if flags.picture is not None:
        picture_format(flags.picture)
    label, store = flags.the_label(), flags.store
    given = flags.scorer()
    folder = flags.annotations or annotations_beside(store)
    with watched(quiet=flags.quiet) as progress:
        if flags.judge is not None:
            rows = draw_judgements(
                store, label, flags.judge, annotations=folder, seed=flags.seed, progress=progress,
                **given,
            )  # fmt: skip
            if flags.as_json:
                print_json({"annotations": str(folder), "n_to_judge": len(rows)})
            else:
                print(f"{len(rows)} windows to judge are in {folder}; estimates come from these")
            return 0
        report = call_density(
            store, label, annotations=folder, by=[text.split(",") for text in flags.by or ()],
            settings=Settings(seed=flags.seed), progress=progress, **given,
        )  # fmt: skip
    if flags.output is not None:
        write_density(report, flags.output)
    if flags.picture is not None:
        plot_density(report, flags.picture)
    _show(report, thresholds=flags.thresholds, as_json=flags.as_json)
    if not flags.quiet:
        _remarks(report)
    return 0


def _show(report: DensityReport, *, thresholds: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from dawnchorus.cli.output import print_json, print_table
    from dawnchorus.labelling.density_files import COLUMNS, number, table_rows

    points = [
        {n: number(v) if isinstance(v, float) else v for n, v in asdict(point).items()}
        for point in report.points
    ]
    if as_json:
        rows = [dict(zip(COLUMNS, cells, strict=True)) for cells in table_rows(report)]
        facts = {"scored_by": report.scored_by, "n_unsure": report.n_unsure,
                 "n_waiting": report.n_waiting}  # fmt: skip
        print_json({"densities": rows, **facts, "bins": report.bins, "thresholds": points})
        return
    shown = [[_cell(cell) for cell in row[1:10]] for row in table_rows(report)]
    print_table(HEADINGS, [["all" if not any(r[:3]) else r[0], *r[1:]] for r in shown])
    if thresholds:
        print()
        print_table(POINT_HEADINGS, [[_cell(v) for v in point.values()] for point in points])
        print()
        rows_of_bins = [(n, *one) for n, one in enumerate(report.bins, 1)]
        print_table(BIN_HEADINGS, [[_cell(cell) for cell in row] for row in rows_of_bins])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _remarks(report: DensityReport) -> None:
    from dawnchorus.cli.output import say

    if report.n_waiting:
        say(f"{report.n_waiting} windows that were drawn are not judged yet")
    if report.n_unsure:
        say(f"{report.n_unsure} judged windows are left out: somebody is unsure, or people differ")
    notes = dict.fromkeys(row.density.note for row in report.rows if row.density.note)
    for note in notes:
        n_rows = sum(row.density.note == note for row in report.rows)
        say(f"{n_rows} rows: {note}")
