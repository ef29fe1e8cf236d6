"""Results of two recordings never get one name, on any system."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.engine.exports.file_names import LONGEST, apart, legal, same_name
from dawnchorus.engine.exports.table_names import TableNames

NAMES = st.text(st.characters(exclude_characters="/\x00"), min_size=1, max_size=300)


@given(NAMES)
def test_a_name_is_legal_everywhere_and_short_enough(name: str) -> None:
    made = legal(name, behind=".labels.txt")
    assert len(made.encode()) <= LONGEST
    assert not set('<>:"/\\|?*\r\n\x00') & set(made)
    assert not made.startswith((" ", "."))
    assert made.endswith(".labels.txt")


@pytest.mark.parametrize("name", ["con", "NUL", "aux.2024", "Com1", "LPT9"])
def test_names_that_windows_reserves_are_avoided(name: str) -> None:
    assert legal(name) == f"_{name}"
    assert legal(f"x{name}") == f"x{name}"


def test_long_names_that_differ_at_their_end_stay_apart() -> None:
    one, other = (legal("x" * 240 + end, behind=".txt") for end in "ab")
    assert one != other
    assert len(legal("ж" * 200).encode()) <= LONGEST


@given(st.lists(NAMES, max_size=8, unique=True))
def test_all_names_are_apart_and_hang_on_no_order(names: list[str]) -> None:
    wanted = {name: (legal(name), name) for name in names}
    made = apart(wanted)
    assert len({same_name(name) for name in made.values()}) == len(names)
    assert made == apart(dict(reversed(wanted.items())))


def tables(root: Path, *names: str) -> list[str]:
    """The tables of recordings that lie on the disk."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    made = TableNames(Path("out"), root, ".txt")
    return [made.path(root / name).as_posix().removeprefix("out/") for name in names]


def test_recordings_that_differ_in_suffix_or_case_keep_it(tmp_path: Path) -> None:
    assert tables(tmp_path / "1", "s/dawn.wav", "s/dawn.flac", "s/eve.wav") == [
        "s/dawn.wav.txt",
        "s/dawn.flac.txt",
        "s/eve.txt",
    ]
    plain, cased = tables(tmp_path / "2", "dawn.wav", "DAWN.wav")
    assert plain == "dawn.wav.txt"
    assert cased.startswith("DAWN.wav~")


def test_recordings_that_nothing_but_their_folder_tells_apart_get_a_table_each(
    tmp_path: Path,
) -> None:
    first, second = tables(tmp_path / "r", "site/a.wav", "Site/a.wav")
    assert (first, second[:7]) == ("site/a.txt", "Site/a~")
    made = TableNames(Path("out"), tmp_path / "r", ".txt")
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
    outside = [made.path(tmp_path / folder / "b.wav").parts[-2] for folder in "xy"]
    assert [name[:2] for name in outside] == ["x~", "y~"]


def test_a_name_hangs_on_no_order(tmp_path: Path) -> None:
    names = ("dawn.wav", "dawn.flac")
    forth, back = tables(tmp_path, *names), tables(tmp_path, *reversed(names))
    assert forth == back[::-1]


def test_only_names_that_would_meet_get_a_mark() -> None:
    wanted = {1: ("Dawn", "disk1/Dawn"), 2: ("dawn", "disk2/dawn"), 3: ("eve", "disk1/eve")}
    names = apart(wanted)
    assert names[3] == "eve"
    for key, start in ((1, "Dawn~"), (2, "dawn~")):
        assert names[key].startswith(start)
        assert len(names[key]) == len(start) + 8
    assert len({same_name(name) for name in names.values()}) == 3
    assert apart({key: wanted[key] for key in (2, 3)})[2] == "dawn"
