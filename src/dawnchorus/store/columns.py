"""Names of columns: the user's beside ours, none lost and none twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTED: Final = "list_"  # before the name of a user's column that has a name of ours


def distinct(names: Iterable[str], taken: Iterable[str], prefix: str = LISTED) -> list[str]:
    """Names for the user's columns beside those that are taken.

    ``label`` becomes ``list_label`` where there is a ``label`` already. Names that differ in case
    alone count as one: DuckDB and SQLite read them so.

    Args:
        names: wanted, in order; each gets one name.
        taken: names that are there already.
        prefix: what is put before a name until it is free.
    """
    used = {name.casefold() for name in taken}
    chosen = []
    for name in names:
        new = name
        while new.casefold() in used:
            new = prefix + new
        used.add(new.casefold())
        chosen.append(new)
    return chosen
