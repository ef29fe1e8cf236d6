"""``dawnchorus store``: look into a store, or check every byte of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dawnchorus.store.read import CheckReport, Store

StorePath = Annotated[Path, typer.Argument(help="Folder of the store.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def info(path: StorePath, as_json: AsJson = False) -> int:
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
        **store.header.model_dump(),
    }


def check(path: StorePath, as_json: AsJson = False) -> int:
    """Read every part of a store and hold it against its seal; exit code 1 if one is damaged.

    Example: dawnchorus store check archive.store
    """
    from dataclasses import asdict

    from dawnchorus.cli.output import print_json
    from dawnchorus.store.read import Store

    report = Store(path).check()
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


subcommands = [info, check]
