"""From a recording and what a list says of it to a job: its lasting name, site and time zone."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from dawnchorus.engine.listing import TIME_ZONE
from dawnchorus.engine.read import Job
from dawnchorus.paths import relative_name
from dawnchorus.store.schema import RECORDING_SCHEMA, recording_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.engine.listing import Carried
    from dawnchorus.engine.plan import Scan
    from dawnchorus.store.read import Store

SITE: Final = "site"


def make_job(path: Path, carried: Carried, root: Path, config: EmbedConfig) -> Job:
    """A recording by its lasting name, not looked at yet.

    Args:
        path: of the file.
        carried: what the user's list says of it.
        root: what its name is relative to.
        config: its ``time_zone`` and ``site_from`` hold where the list says nothing.
    """
    name = relative_name(path, root)
    values = dict(carried)
    own_zone = values.pop(TIME_ZONE, "")
    return Job(
        recording_id=recording_id(name),
        path=path,
        name=name,
        size=None,
        modified_ns=None,
        carried=with_site(tuple(values.items()), name, root, config),
        time_zone=own_zone or config.time_zone,
    )


def with_site(carried: Carried, name: str, root: Path, config: EmbedConfig) -> Carried:
    """A recording's columns, with the site from its path where that was asked for."""
    values = dict(carried)
    if not config.site_from or values.get(SITE):
        return carried
    return tuple({**values, SITE: site_of(name, root, config.site_from)}.items())


def site_of(name: str, root: Path, kind: str) -> str:
    """The folder that names a recording's site.

    Args:
        name: path of the recording from ``root``, or a whole path or URL.
        root: its own name is the site of the recordings that lie directly in it.
        kind: ``folder``: the first folder of the path; ``parent``: the one the recording lies in.
    """
    folders = [
        part
        for part in PurePosixPath(name).parts[:-1]
        if part not in {"..", "/"} and ":" not in part
    ]
    if not folders:
        return root.name
    return folders[0] if kind == "folder" else folders[-1]


def columns_of(scan: Scan, config: EmbedConfig) -> tuple[str, ...]:
    """Names of the user's columns that the recordings of a scan come with."""
    return _and_site([name for name in scan.columns if name != TIME_ZONE], config)


def stored_columns(store: Store, config: EmbedConfig) -> tuple[str, ...]:
    """Names of the user's columns that the recordings of a store have."""
    ours = set(RECORDING_SCHEMA.names)
    names = [name for name in store.recordings().column_names if name not in ours]
    return _and_site(names, config)


def _and_site(names: Sequence[str], config: EmbedConfig) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*names, SITE] if config.site_from else names))
