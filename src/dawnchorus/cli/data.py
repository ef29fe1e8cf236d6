"""``dawnchorus data``: make, join, filter, split, check, compare, sum up and pack manifests."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from dawnchorus.cli.data_make import audacity, csv, folder, raven
from dawnchorus.cli.data_sound import check, duplicates, pack, statistics
from dawnchorus.cli.data_tables import filter_, join, split, summary

subcommands = [
    folder, csv, raven, audacity, join, filter_, split, check, duplicates, summary, pack, statistics
]  # fmt: skip
_SOURCES = "dawnchorus.cli.data_sources"
if find_spec(_SOURCES) is not None:
    subcommands += [getattr(import_module(_SOURCES), name) for name in ("make", "download")]
