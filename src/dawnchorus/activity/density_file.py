"""The table of ``label density``: windows that hold a call, per recorded hour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.text_tables.read import open_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Stratum = tuple[str, str, str, str]  # label, site, date, hour; empty: of all of them

NEEDED: Final = (
    "label", "site", "date", "local_hour", "n_windows", "density", "low", "high",
)  # fmt: skip
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class DensityTable:
    """Densities by what they are of.

    Attributes:
        path: of the file.
        rows: stratum to number of windows, density, low and high; None: there is no number.
    """

    path: str
    rows: Mapping[Stratum, tuple[int, float | None, float | None, float | None]]

    @property
    def strata(self) -> tuple[tuple[str, ...], ...]:
        """By what there are densities, such as ``("site", "hour")``; empty: of all windows."""
        kinds = {
            tuple(
                name for name, value in zip(("site", "date", "hour"), key[1:], strict=True) if value
            )
            for key in self.rows
        }
        return tuple(sorted(kinds, key=lambda kind: (len(kind), kind)))

    @property
    def labels(self) -> tuple[str, ...]:
        """That have a density."""
        return tuple(dict.fromkeys(key[0] for key in self.rows))

    def per_hour(
        self, label: str, of: tuple[str | None, str | None, int | None], hours: float
    ) -> dict[str, float | None]:
        """Windows with the call per recorded hour, with its interval; empty where there is none.

        Args:
            label: of the call.
            of: site, date and hour, None for all of them.
            hours: that were recorded there.
        """
        site, day, hour = of
        key = label, site or "", day or "", "" if hour is None else f"{hour:02d}"
        if key not in self.rows or hours <= 0:
            return {}
        n_windows, *shares = self.rows[key]
        names = ("windows_per_hour", "windows_low", "windows_high")
        return {
            name: None if share is None else float(f"{share * n_windows / hours:.6g}")
            for name, share in zip(names, shares, strict=True)
        }


def read_density(path: Path) -> DensityTable:
    """Read what ``label density -o`` wrote.

    Raises:
        UsageError: It is no such table.
    """
    rows: dict[Stratum, tuple[int, float | None, float | None, float | None]] = {}
    try:
        table = open_table(path)
        missing = [name for name in NEEDED if name not in table.names]
        if missing:
            raise UsageError(
                f"{path}: need the columns of label density, {', '.join(NEEDED)}; missing: "
                f"{', '.join(missing)}"
            )
        for line, row in table.rows():
            key, values = _parsed(row, f"{path}, line {line}")
            if key in rows:
                raise UsageError(f"{path}, line {line}: {_words(key)} is there twice")
            rows[key] = values
    except TaskError as error:
        raise UsageError(str(error)) from error
    return DensityTable(str(path), rows)


def _parsed(row: Mapping[str, str], where: str) -> tuple[Stratum, Any]:
    hour = row["local_hour"]
    # windows of recordings that do not say when they began have a stratum of their own
    if hour and hour != UNKNOWN and not (hour.isdecimal() and int(hour) < 24):
        raise UsageError(f"{where}: local_hour {hour!r}: need an hour from 0 to 23, or nothing")
    key = row["label"], row["site"], row["date"], hour.zfill(2) if hour else ""
    shares = [_share(row[name], where, name) for name in ("density", "low", "high")]
    if not row["n_windows"].isdecimal():
        raise UsageError(f"{where}: n_windows {row['n_windows']!r} is not a count")
    return key, (int(row["n_windows"]), *shares)


def _share(text: str, where: str, name: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"{where}: {name} {text!r}: need a share from 0 to 1, or nothing")
    return value


def _words(key: Stratum) -> str:
    return " ".join(part for part in key if part)
