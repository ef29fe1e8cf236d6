"""The comparison with other packages counts what was lost and what was made up."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = ("peers", "peer_recordings", "embed", "paired")


@pytest.fixture(scope="module")
def peers() -> Iterator[ModuleType]:
    if not (FOLDER / "peers.py").is_file():
        pytest.skip("the scripts of benchmarks/ are not in this copy")
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("peers")
    sys.path.remove(str(FOLDER))
    for name in SCRIPTS:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def made(peers: ModuleType) -> ModuleType:
    return sys.modules[peers.make_set.__module__]


def found(*spans: tuple[float, float], **facts: Any) -> dict[str, Any]:
    return {
        "spans": [list(span) for span in spans],
        "n_bad": 0,
        "told": "",
        "ends_run": False,
    } | facts


def test_sound_in_no_row_is_lost(peers: ModuleType) -> None:
    one = peers.outcome(25.0, found((0, 10), (10, 20)))
    assert (one.lost_s, one.n_invented, one.over_s) == (5.0, 0, 0.0)
    assert one.words == "5 s lost, not told"


def test_a_row_that_begins_after_the_sound_is_made_up(peers: ModuleType) -> None:
    one = peers.outcome(25.0, found((0, 10), (10, 20), (20, 30), (30, 40), told="cut off"))
    assert (one.lost_s, one.n_invented, one.over_s) == (0.0, 1, 15.0)
    assert one.words == "all of it, 1 rows of nothing, told"


def test_a_last_row_that_is_padded_is_not_made_up(peers: ModuleType) -> None:
    one = peers.outcome(4.5, found((0, 3), (3, 6)))
    assert (one.lost_s, one.n_invented, one.over_s) == (0.0, 0, 1.5)


def test_a_recording_without_an_answer_is_lost_and_not_told(peers: ModuleType) -> None:
    assert peers.outcome(60.0, None).words == "60 s lost, not told"


def test_nothing_from_nothing_is_no_loss(peers: ModuleType) -> None:
    assert peers.outcome(0.0, found(told="empty")).words == "nothing, told"


def test_rows_of_no_numbers_are_counted(peers: ModuleType) -> None:
    assert peers.outcome(10.0, found((0, 10), n_bad=1)).words == (
        "all of it, 1 rows not numbers, not told"
    )


def test_what_ends_a_run_is_said_before_all_else(peers: ModuleType) -> None:
    assert peers.outcome(9.0, found(ends_run=True, told="x")).words == "an exception"


def test_the_order_of_sides_is_turned_round(peers: ModuleType) -> None:
    assert peers.turns(["a", "b"], ["1", "2"]) == [("a", "1"), ("b", "1"), ("b", "2"), ("a", "2")]


def test_damaged_recordings_hold_the_sound_that_is_said_of_them(
    made: ModuleType, tmp_path: Path
) -> None:
    assert made.cut_wav(tmp_path / "cut.wav") == 25.0
    assert (tmp_path / "cut.wav").stat().st_size == 44 + 25 * made.RATE * 2
    assert made.unfinished_wav(tmp_path / "unfinished.wav") == 60.0
    content = (tmp_path / "unfinished.wav").read_bytes()
    assert content[40:44] == bytes(4)
    assert len(content) == 44 + 60 * made.RATE * 2
    assert made.not_numbers(tmp_path / "not-numbers.wav") == 60.0
    samples, _ = soundfile.read(tmp_path / "not-numbers.wav")
    assert np.flatnonzero(np.isnan(samples))[[0, -1]].tolist() == [
        30 * made.RATE,
        31 * made.RATE - 1,
    ]


def test_own_recordings_are_dealt_until_there_is_enough(made: ModuleType, tmp_path: Path) -> None:
    own = tmp_path / "own"
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in (own, *folders):
        folder.mkdir()
    for number in range(5):
        soundfile.write(own / f"{number}.wav", np.zeros(8000), 8000)
    made.deal(own, folders, 3.0)
    assert [len(list(folder.iterdir())) for folder in folders] == [2, 1]
    with pytest.raises(SystemExit, match="too few"):
        made.deal(own, folders, 6.0)
