"""A file is there whole or not at all, and neither failures nor kills leave anything for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dawnchorus.errors import StoreError
from dawnchorus.store.files import whole_file, write_whole

WRITE_AND_WAIT = """
import sys
from pathlib import Path
from dawnchorus.errors import StoreError
from dawnchorus.store.files import whole_file, write_whole
with whole_file(Path(sys.argv[1])) as unfinished:
    unfinished.write_text("half")
    print("half", flush=True)
    sys.stdin.read()
"""


def test_a_block_that_ends_well_leaves_the_file_and_one_that_fails_leaves_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    with whole_file(path) as unfinished:
        unfinished.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"

    def fail() -> None:
        with whole_file(path) as unfinished:
            unfinished.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]
    assert path.read_text() == "whole"


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_what_a_killed_run_left_is_removed_by_the_next_and_what_a_live_one_writes_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        with whole_file(path) as unfinished:
            unfinished.write_text("mine")
        assert len(list(tmp_path.iterdir())) == 2  # the other's is not touched
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    with whole_file(path) as unfinished:
        unfinished.write_text("mine again")
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_what_is_wrong_with_a_name_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder, need the name of a file"):
        write_whole(tmp_path, b"x")
    with pytest.raises(StoreError, match=r"cannot be written, its folder .*new is not there"):
        write_whole(tmp_path / "new" / "a.csv", b"x")
    assert list(tmp_path.iterdir()) == []
