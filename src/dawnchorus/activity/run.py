"""From calls and recordings to calls per recorded hour."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.activity.activity_table import (
    ACTIVITY_SCHEMA,
    STRATA,
    FlatHours,
    activity_table,
    flat_hours,
)
from dawnchorus.activity.calls import annotated_calls, read_calls, stored_calls
from dawnchorus.activity.density_file import read_density
from dawnchorus.activity.effort import overlap_s
from dawnchorus.activity.grid import UNKNOWN_SITE, locate, site_hours
from dawnchorus.activity.recordings import archive_of_store, recorded_archive
from dawnchorus.configs import EmbedConfig
from dawnchorus.configs.activity import ActivityConfig
from dawnchorus.engine.detections.from_store import store_among
from dawnchorus.errors import UsageError
from dawnchorus.paths import as_path
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.store.files import write_whole
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Unpack

    from dawnchorus.activity.calls import Calls
    from dawnchorus.activity.density_file import DensityTable
    from dawnchorus.activity.grid import SiteHours
    from dawnchorus.activity.recordings import RecordedArchive
    from dawnchorus.configs.activity import ActivityOptions
    from dawnchorus.engine.recordings.find import Inputs
    from dawnchorus.progress import Progress
    from dawnchorus.store.read import Store

SUFFIXES: Final = (".csv", ".parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Calls per recorded hour, and all that it was made from.

    Attributes:
        labels: that were looked for, in the order of rows and pictures.
        sites: recorded hours and calls of each site by local date and hour.
        calls: label, path, start_s, stop_s, probability of each call, and its site and local_time.
        what: a call is, in words.
        settings: what found the calls, from name to value.
        archive: what was recorded.
        density: how many windows hold the calls, None where that is not known.
        warnings: what a reader has to know of these numbers.
    """

    labels: tuple[str, ...]
    sites: tuple[SiteHours, ...]
    calls: pa.Table
    what: str
    settings: tuple[tuple[str, str], ...]
    archive: RecordedArchive
    density: DensityTable | None
    warnings: tuple[str, ...]

    @property
    def table(self) -> pa.Table:
        """A row for each label, site, date and local hour; see `rows`."""
        return self.rows()

    @property
    def recorded_hours(self) -> float:
        """Of all sites."""
        return sum(float(one.hours.sum()) for one in self.sites)

    def rows(self, by: Sequence[str] = STRATA) -> pa.Table:
        """The numbers, for each label and each of ``by``.

        ``n_calls`` and ``calls_per_hour`` are null where nothing was recorded, never 0. ``low`` and
        ``high`` are a 90% interval of calls per hour over days like those recorded, where there are
        five or more in a row. ``windows_per_hour`` and its interval come from a density of just
        these strata.

        Args:
            by: some of ``site``, ``date`` and ``hour`` (local); none: over all of them.

        Raises:
            UsageError: One is unknown.
        """
        return activity_table(self._flat(), by, self.density)

    def _flat(self) -> FlatHours:
        return flat_hours(self.sites, self.labels)

    def write(
        self, path: str | Path, *, by: Sequence[str] = STRATA, spreadsheet_safe: bool = False
    ) -> None:
        """Write `rows` as CSV or Parquet, by the file's suffix, whole or not at all.

        Raises:
            UsageError: The suffix is another one, or ``by`` is unknown.
            StoreError: The file cannot be written.
        """
        target = as_path(path)
        check_suffix(target)
        table = self.rows(by)
        if target.suffix.lower() == ".parquet":
            content = io.BytesIO()
            pq.write_table(table, content)
            write_whole(target, content.getvalue())
            return
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        text = csv_text(ACTIVITY_SCHEMA.names, rows, spreadsheet_safe=spreadsheet_safe)
        write_whole(target, text.encode())


def check_suffix(path: Path) -> None:
    """Refuse a file that cannot be written, before anything is counted.

    Raises:
        UsageError: It ends neither in ``.csv`` nor in ``.parquet``.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: need a file that ends in .csv or .parquet")


def measure_activity(
    calls: str | Path,
    *,
    effort: Inputs | None = None,
    labels: str | Sequence[str] | None = None,
    density: str | Path | None = None,
    config: ActivityConfig | None = None,
    progress: Progress = NO_PROGRESS,
    **options: Unpack[ActivityOptions],
) -> Activity:
    """Count calls per recorded hour, by site, local date and local hour.

    Args:
        calls: a table of detections as `predict` writes it (``.csv``, ``.parquet``), or a store.
        effort: what was recorded: a store, or the recordings, their folder or their list. A store
            of calls knows it itself.
        labels: to count. None: the twelve with most calls.
        density: table of ``label density``, which adds windows that hold the call per hour.
        config: what is a call in a store; time zones, sites and folders.
        progress: is told of the headers that are read.
        options: fields of the config.

    Raises:
        UsageError: Something is missing: recorded hours, times, labels; or detections are of
            recordings that are not among those recorded.
        StoreError: A store is damaged.
    """
    base = config or ActivityConfig()
    labels = (labels,) if isinstance(labels, str) else labels
    # unset fields stay unset; a config's own validators see the whole
    chosen = ActivityConfig(**{**base.model_dump(exclude_unset=True), **options})
    where = EmbedConfig(time_zone=chosen.time_zone, site_from=chosen.site_from)
    path = as_path(calls)
    store = store_among([path]) if path.is_dir() else None
    table = None if density is None else read_density(as_path(density))
    if store is None:
        if chosen.for_stores:
            name = chosen.for_stores[0]
            raise UsageError(f"{path}: is a table of detections; {name} is for stores")
        heard = read_calls(path)
        if effort is None:
            raise UsageError(_no_effort(path))
    if effort is None:
        assert store is not None  # noqa: S101  else refused above
        archive = archive_of_store(store, where, chosen.audio_root)
    else:
        root = chosen.audio_root
        archive = recorded_archive(effort, where, audio_root=root, progress=progress)
    if store is not None:
        heard = _calls_of(store, archive, chosen, labels)
        if effort is None:
            # a run may have added recordings since their hours were read
            heard = heard.of_recordings(one.path for one in archive.recordings)
    return count_calls(heard.of_labels(labels), archive, table)


def _no_effort(path: Path) -> str:
    return (
        f"{path}: says what was heard, not what was recorded. Name what was recorded with --effort:"
        " the store of the recordings, their folder, or their list (.csv with path, start_time, "
        "site)"
    )


def _calls_of(
    store: Store, archive: RecordedArchive, config: ActivityConfig, labels: Sequence[str] | None
) -> Calls:
    if config.annotations is not None:
        lengths = {one.path: one.duration_s for one in archive.recordings}
        return annotated_calls(as_path(config.annotations), lengths)
    if store.header.labels is None and config.probe is None:
        raise UsageError(
            f"{store.path}: holds no scores, so it does not say what was heard; name a probe "
            "(--probe), an annotation table (--annotations), or embed with --predict"
        )
    rule = {
        "threshold": config.threshold,
        "merge": config.merge or None,
        "labels": None if labels is None else tuple(labels),
        "time_zone": config.time_zone,
        "site_from": config.site_from,
    }
    given = {name: value for name, value in rule.items() if value is not None}
    return stored_calls(store, probe=config.probe, rule=given)


def count_calls(
    heard: Calls, archive: RecordedArchive, density: DensityTable | None = None
) -> Activity:
    """Calls and recordings put together.

    Raises:
        UsageError: No recording says when it began, or calls are of other recordings.
    """
    dated = [one for one in archive.recordings if one.start is not None and one.duration_s > 0]
    if not dated:
        raise UsageError(
            f"{archive.source}: no recording says when it began, so there is no hour to count; "
            "give the times in a list with the column start_time (--effort list.csv, or embed "
            "--recordings list.csv)"
        )
    meant = archive.by_path(heard.table["path"].to_pylist())
    places = locate(heard.table, meant)
    labels = heard.table["label"].to_pylist()
    located = [(label, place[0]) for label, place in zip(labels, places, strict=True) if place]
    sites = site_hours(dated, heard.labels, located)
    own_sites = [meant[path].site or UNKNOWN_SITE for path in heard.table["path"].to_pylist()]
    times = [place and place[1] for place in places]
    table = heard.table.append_column("site", pa.array(own_sites, pa.string()))
    table = table.append_column("local_time", pa.array(times, pa.string()))
    return Activity(
        labels=heard.labels,
        sites=sites,
        calls=table,
        what=heard.what,
        settings=heard.settings,
        archive=archive,
        density=density,
        warnings=tuple(_warnings(heard, archive, density, sites)),
    )


def _warnings(
    heard: Calls,
    archive: RecordedArchive,
    density: DensityTable | None,
    sites: Sequence[SiteHours],
) -> list[str]:
    warnings = [*heard.remarks, *archive.warnings]
    undated = archive.undated
    if undated:
        hours = sum(recording.duration_s for recording in undated) / 3600
        warnings.append(
            f"{len(undated)} recordings ({hours:.2f} h) do not say when they began, and are left "
            f"out with their calls, such as {undated[0].path}"
        )
    if any(one.site == UNKNOWN_SITE for one in sites):
        which = "no recording has" if len(sites) == 1 else "some recordings do not have"
        warnings.append(
            f"{which} a site; they count as {UNKNOWN_SITE!r} (--site-from folder takes it from the "
            "path)"
        )
    for site, seconds in overlap_s(archive.recordings).items():
        warnings.append(
            f"{site or UNKNOWN_SITE}: {seconds / 3600:.2f} recorded hours overlap (two recorders, "
            "or copies); each counts, with its calls"
        )
    if density is not None:
        warnings += _about(density, heard.labels, {one.site for one in sites})
    return warnings


def _about(density: DensityTable, labels: Sequence[str], sites: set[str]) -> list[str]:
    others = [label for label in density.labels if label not in labels]
    strange = sorted({key[1] for key in density.rows if key[1]} - sites)
    warnings = []
    if others:
        warnings.append(f"{density.path}: is of {', '.join(others)}, which is not counted here")
    if strange:
        warnings.append(f"{density.path}: has sites that were not recorded here: {strange[0]}")
    return warnings
