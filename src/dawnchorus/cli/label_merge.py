"""``dawnchorus label merge``: annotation tables of several people into one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dawnchorus.cli import options


def merge(
    tables: Annotated[
        list[str],
        typer.Argument(help="Folders of annotation tables, of one archive; they stay as they are."),
    ],
    *,
    output: Annotated[Path, options.output("Folder of the table that gets all rows.")],
    as_json: options.AsJson = False,
) -> int:
    """Add the rows of tables to one table, which is made if it is not there.

    Every row is kept. Of what one author said of one span, the last counts; what authors say
    against each other is listed by label list --conflicts.

    Example: dawnchorus label merge anns.annotations bobs.annotations -o both.annotations
    """
    from dawnchorus.annotations.annotation_table import AnnotationTable
    from dawnchorus.annotations.imported import merge as merged
    from dawnchorus.cli.label_tables import open_annotations
    from dawnchorus.cli.output import print_json

    others = [open_annotations(name) for name in tables]  # before anything is made
    table = AnnotationTable(output, create=True)
    n_new = merged(table, others)
    n_rows, n_conflicts = len(table.rows()), len(table.conflicts())
    if as_json:
        print_json(
            {"annotations": table.folder, "added": n_new, "rows": n_rows, "conflicts": n_conflicts}
        )
    else:
        print(
            f"{table.folder}: {n_new} rows added; {n_rows} annotations count, {n_conflicts} "
            "contradictions"
        )
    return 0
