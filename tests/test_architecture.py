"""The map of docs/ARCHITECTURE.md is true: what it names is there, and what is there it names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "dawnchorus"
MAP = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")


def layers() -> list[list[str]]:
    """Rows of rooms that do not know each other, the highest first, as import-linter holds them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    rows = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    return [
        [room.strip(" ()").removeprefix("dawnchorus.") for room in row.split("|")] for row in rows
    ]


def rooms() -> set[str]:
    """Packages and modules directly below dawnchorus."""
    packages = {folder.parent.name for folder in PACKAGE.glob("*/__init__.py")}
    return packages | {file.stem for file in PACKAGE.glob("[a-z]*.py")}


def test_every_path_on_the_map_exists() -> None:
    named = set(re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.py)`", MAP))
    assert named
    missing = [
        name
        for name in sorted(named)
        if not any((base / name).exists() for base in (PACKAGE, ROOT, ROOT / "docs"))
    ]
    assert missing == []


def test_every_room_has_a_line_on_the_map() -> None:
    table = MAP[MAP.index("## Rooms") : MAP.index("## The import rule")]
    named = set(
        re.findall(
            r"`([a-z_]+)`",
            "\n".join(line.split("|")[1] for line in table.split("\n") if line.startswith("|")),
        )
    )
    assert rooms() - named == set()


def test_every_room_is_held_to_the_import_rule() -> None:
    held = {room for row in layers() for room in row}
    assert rooms() - held == set()
    assert held - rooms() == set()


def test_the_import_rule_on_the_map_is_the_one_that_is_checked() -> None:
    block = re.search(r"## The import rule\n.*?```\n(.*?)```", MAP, re.DOTALL)
    assert block is not None
    rows = [
        sorted(re.split(r"\s*\|\s*", row.strip()))
        for row in re.split(r"\n*->|\n", block[1])
        if row.strip()
    ]
    assert rows == [sorted(row) for row in layers()]
