"""Tables of published collections: long, with columns in any spelling, damaged rows left out.

GBIF's downloads are TAB separated and not quoted; publishers' own archives are mostly comma
separated and name some columns in their own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.text_tables.column_names import column_key
from dawnchorus.text_tables.read import open_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dawnchorus.text_tables.files import TextFile
    from dawnchorus.text_tables.read import OnDamage


class SourceTable:
    """A table whose columns are called by their keys: ``Associated Taxa`` is ``associatedtaxa``.

    Attributes:
        file: where it lies.
        columns: keys of the columns, in the file's order.
    """

    def __init__(
        self, file: TextFile, on_damage: OnDamage, aliases: Mapping[str, str] | None = None
    ) -> None:
        """Read the header.

        Args:
            file: the table.
            on_damage: called for each row that is left out.
            aliases: other keys of columns to the usual ones.

        Raises:
            TaskError: The file is empty or cannot be read.
        """
        self.file = file
        self._table = open_table(file, on_damage=on_damage)
        # "dwc:lifeStage": terms of Darwin Core may stand with their vocabulary before them
        keys = [column_key(name.rpartition(":")[2]) for name in self._table.names]
        self.columns = tuple((aliases or {}).get(key, key) for key in keys)

    def rows(self, wanted: Iterable[str]) -> Iterator[dict[str, str]]:
        """Each row as column to text, stripped; a column that is not there gives ``""``.

        Raises:
            TaskError: The file cannot be read to its end, or most of its rows are damaged.
        """
        wanted = tuple(wanted)
        places = {name: self.columns.index(name) for name in wanted if name in self.columns}
        absent = {name: "" for name in wanted if name not in places}
        for _, cells in self._table.cells():
            yield {name: cells[place].strip() for name, place in places.items()} | absent
