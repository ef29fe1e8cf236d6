"""``dawnchorus data``: manifests imported, made, joined, filtered, split, checked and packed."""

from __future__ import annotations

from dawnchorus.cli import data_make
from dawnchorus.cli.data_download import download
from dawnchorus.cli.data_import import audacity, csv, folder, import_, raven
from dawnchorus.cli.data_sound import check, duplicates, pack, statistics
from dawnchorus.cli.data_tables import filter_, join, split, summary

subcommands = [
    import_, download, folder, csv, raven, audacity, join, filter_, split, check, duplicates,
    summary, pack, statistics,
]  # fmt: skip
groups = {"make": data_make.subcommands}
