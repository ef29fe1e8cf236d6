"""Names that are not UTF-8 become texts that can be stored, are unique, and lead back."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from dawnchorus.errors import AudioError
from dawnchorus.filename_text import escaped_name, is_not_utf8, printable, unescaped_name
from dawnchorus.paths import from_stored_name, relative_name

names = st.binary(min_size=1, max_size=12).map(os.fsdecode) | st.text(r"\x5ce9ab", max_size=9)


def test_a_byte_that_is_not_utf8_is_written_out() -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    assert escaped_name(name) == r"caf\xe9.wav"
    assert is_not_utf8(name)
    assert not is_not_utf8("café.wav")
    assert str(AudioError(f"{name}: gone")) == r"caf\xe9.wav: gone"


@given(names)
@example(r"caf\xe9.wav")
@example(r"a\x5cb")
def test_a_name_comes_back_from_its_text(name: str) -> None:
    text = escaped_name(name)
    text.encode()
    assert unescaped_name(text) == name
    printable(name).encode()


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("Amsel ♂ 1.wav", r"a\b.wav", "caf\u00e9.wav", "a b\nc.wav"):
        assert escaped_name(name) == name


@given(names, names)
@example(os.fsdecode(b"caf\xe9"), r"caf\xe9")
def test_two_names_have_two_texts(one: str, other: str) -> None:
    assert (escaped_name(one) == escaped_name(other)) == (one == other)


def test_a_kept_name_leads_back_to_its_place() -> None:
    root = Path("/disk")
    place = root / os.fsdecode(b"b\xff") / "x.wav"
    assert relative_name(place, root) == r"b\xff/x.wav"
    assert from_stored_name(r"b\xff/x.wav", root) == place
