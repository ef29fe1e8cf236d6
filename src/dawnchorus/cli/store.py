"""``dawnchorus store``: look into a store, or check every byte of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnchorus.cli import options
from dawnchorus.cli.flag_record import WindowFilterFlags, command_of

if TYPE_CHECKING:
    from dawnchorus.store.check import CheckReport
    from dawnchorus.store.read import Store


def info(path: options.StorePath, as_json: options.AsJson = False) -> int:
    """Say what a store holds and which model and settings made it.

    Example: dawnchorus store info archive.store
    """
    from dawnchorus.cli.output import print_json
    from dawnchorus.store.read import Store

    facts = describe(Store(path))
    if as_json:
        print_json(facts)
        return 0
    for key, value in facts.items():
        print(f"{key:18}{value}")
    return 0


def describe(store: Store) -> dict[str, Any]:
    """Header and counts of a store."""
    import pyarrow.compute as pc

    rows = store.recordings()
    counts = {
        entry["values"]: entry["counts"] for entry in rows["status"].value_counts().to_pylist()
    }
    done = rows.filter(pc.equal(rows["status"], "done"))
    n_bytes = sum(file.stat().st_size for file in store.path.rglob("*") if file.is_file())
    return {
        "recordings": ", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "none",
        "windows": pc.sum(done["n_windows"]).as_py() or 0,
        "hours": round((pc.sum(done["duration_s"]).as_py() or 0.0) / 3600, 3),
        "megabytes": round(n_bytes / 1e6, 1),
        **store.header.model_dump(exclude={"labels"}),
        "labels": None if store.header.labels is None else len(store.header.labels),
    }


def check(
    path: options.StorePath,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Set damaged parts aside. The next embed then computes them again."
        ),
    ] = False,
    as_json: options.AsJson = False,
) -> int:
    """Read every part of a store and hold it against its seal; exit code 1 if one is damaged.

    Example: dawnchorus store check archive.store --repair
    """
    from dataclasses import asdict

    from dawnchorus.cli.output import print_json, say
    from dawnchorus.store.check import set_aside
    from dawnchorus.store.read import Store

    store = Store(path)
    report = store.check()
    if repair and report.damages:
        paths = set_aside(store.path, report)
        say(f"set aside; {len(paths)} recordings are to be embedded again with the same command")
    if as_json:
        print_json(asdict(report))
    else:
        _print_check(report)
    return 1 if report.damages else 0


def _print_check(report: CheckReport) -> None:
    for damage in report.damages:
        print(f"DAMAGED {damage.part}: {damage.problem}; recordings: {', '.join(damage.paths)}")
    verdict = f"{len(report.damages)} damaged" if report.damages else "all as written"
    print(
        f"{report.n_recordings} recordings, {report.n_windows} windows in {report.n_parts} parts: "
        f"{verdict}"
    )


def merge(
    sources: Annotated[list[str], typer.Argument(help="Stores with the same model and settings.")],
    target: Annotated[str, options.output("Store to make or add to.")],
    as_json: options.AsJson = False,
) -> int:
    """Make one store of several, in few and large parts; the sources stay as they are.

    Example: dawnchorus store merge disk1.store disk2.store -o all.store
    """
    from dataclasses import asdict

    from dawnchorus.cli.output import print_json
    from dawnchorus.store.merge import merge_stores

    report = merge_stores(sources, target)
    if as_json:
        print_json(asdict(report))
    else:
        print(
            f"{report.n_merged} recordings with {report.n_windows} windows merged, "
            f"{report.n_duplicates} were there already"
        )
    return 0


@dataclass(frozen=True, kw_only=True)
class ExportFlags(WindowFilterFlags):
    """Flags of ``dawnchorus store export``."""

    path: options.StorePath
    output: Annotated[Path, options.output("File to write: .npz, .csv, .parquet or .sqlite.")]
    columns: Annotated[
        str | None,
        typer.Option(help="Columns to write, such as path,start_s,local_time,site. Default: all."),
    ] = None
    no_vectors: Annotated[
        bool, typer.Option("--no-vectors", help="Leave the embedding vectors out.")
    ] = False
    scores: Annotated[
        bool,
        typer.Option(
            "--scores", help="Write the probabilities of the labels too (needs embed --predict)."
        ),
    ] = False
    label: options.Label = None
    min_score: Annotated[
        float, typer.Option(help="With --label: keep windows where it is at least this probable.")
    ] = 0.5
    spreadsheet_safe: options.SpreadsheetSafe = False


@command_of(ExportFlags)
def export(flags: ExportFlags) -> int:
    """Write windows and vectors to one file for other programs.

    Times of day, dates and the column local_time are local: an offset that a recording gives itself
    is kept; --time-zone, or that of embed, holds for recordings that say UTC or no zone.

    Example: dawnchorus store export archive.store -o dawn.npz --time-of-day 04:00-07:00
    """
    from dawnchorus.cli.output import say
    from dawnchorus.store.export import export_store
    from dawnchorus.store.read import Store

    filters = flags.filters()
    if flags.label:
        filters |= {"label": flags.label, "min_score": flags.min_score}
    n_windows = export_store(
        Store(flags.path),
        flags.output,
        options.names(flags.columns),
        vectors=not flags.no_vectors,
        scores=flags.scores,
        spreadsheet_safe=flags.spreadsheet_safe,
        **filters,
    )
    if flags.time_of_day or flags.dates:
        zone = flags.time_zone or "as embedded"
        say(f"chosen by local time; UTC and clocks without a zone: {zone}")
    print(f"{flags.output}: {n_windows} windows")
    return 0


subcommands = [info, check, merge, export]
