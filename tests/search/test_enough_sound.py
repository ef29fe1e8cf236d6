"""Which windows may stand for a sound: not the rest of a recording, nothing silent or damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dawnchorus.search.archive import Archive
from dawnchorus.search.enough_sound import enough_sound
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.schema import FLAGS
from dawnchorus.store.write import StoreWriter
from store_samples import DIM, HEADER, row


def archive_of(path: Path, valid_samples: list[int], flags: list[int]) -> Archive:
    """A recording of these windows, of 100 samples each where they are whole."""
    n = len(valid_samples)
    rows = WindowRows(
        window=np.arange(n),
        start_sample=np.arange(n) * 50,
        valid_samples=np.array(valid_samples),
        flags=np.array(flags),
        vectors=np.ones((n, DIM), np.float32),
        scores=None,
    )
    with StoreWriter(path, HEADER) as writer:
        writer.add(row("a.wav"), rows)
        writer.finish(row("a.wav", n, "done"))
    return Archive(path)


@pytest.mark.parametrize(("valid", "enough"), [(100, True), (50, True), (49, False), (1, False)])
def test_the_rest_of_a_recording_needs_half_a_window_of_sound(
    valid: int,
    enough: bool,  # noqa: FBT001  a row of the table
    tmp_path: Path,
) -> None:
    archive = archive_of(tmp_path / "s", [100, 100, valid], [0, 0, 0])
    assert enough_sound(archive).tolist() == [True, True, enough]


def test_a_recording_that_is_shorter_than_a_window_is_a_sound_of_its_own(tmp_path: Path) -> None:
    assert enough_sound(archive_of(tmp_path / "s", [3], [0])).tolist() == [True]


@pytest.mark.parametrize(
    ("flag", "enough"), [("silent", False), ("nonfinite", False), ("gap", False), ("clipped", True)]
)
def test_silence_and_damage_are_no_example_and_a_loud_sound_is(
    flag: str,
    enough: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    archive = archive_of(tmp_path / "s", [100, 100], [0, 1 << FLAGS.index(flag)])
    assert enough_sound(archive).tolist() == [True, enough]
