"""Two spellings of one path become one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.text_tables.paths import plain_path

if TYPE_CHECKING:
    from pathlib import Path

PART = st.text("abc. ", min_size=1, max_size=3).filter(lambda p: p.strip() == p and p.strip("."))


@given(st.lists(PART, min_size=1, max_size=4), st.data())
def test_every_spelling_of_a_path_gives_that_path(parts: list[str], data: st.DataObject) -> None:
    path = "/".join(parts)
    signs = [data.draw(st.sampled_from(["/", "//", "/./", "/x/../"])) for _ in parts]
    spelled = data.draw(st.sampled_from(["", "./", ".//"])) + "".join(
        part + sign for part, sign in zip(parts, [*signs[:-1], ""], strict=True)
    )
    assert plain_path(spelled) == path == plain_path(path)
    assert plain_path("../" + spelled) == "../" + path
    if "//" not in spelled[:2]:
        assert plain_path(spelled.replace("/", "\\")) == path


@given(st.text("ab./\\", min_size=1, max_size=12))
def test_a_plain_path_is_plain(text: str) -> None:
    once = plain_path(text)
    assert plain_path(once) == once
    assert "\\" not in once
    assert "/./" not in once


def test_urls_stay_and_windows_paths_become_ours() -> None:
    assert plain_path("s3://bucket//x/./a.wav") == "s3://bucket//x/./a.wav"
    assert plain_path("C:\\sound\\x\\a.wav") == "C:/sound/x/a.wav"
    assert plain_path("\\\\server\\share\\a.wav") == "//server/share/a.wav"


@pytest.mark.skipif(os.sep == "\\", reason="there a name has none")
def test_a_file_with_a_backslash_in_its_name_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "a\\b.wav").touch()
    assert plain_path("a\\b.wav", tmp_path) == "a\\b.wav"
    assert plain_path("a\\c.wav", tmp_path) == "a/c.wav"
