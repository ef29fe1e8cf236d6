"""Who may write a store, and parts that are none of ours."""

from __future__ import annotations

import errno
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dawnchorus.errors import StoreError
from dawnchorus.paths import as_path
from dawnchorus.store import locks, parts
from dawnchorus.store.locks import StoreLocks, one_writer
from dawnchorus.store.schema import recording_id

ONE, OTHER = (recording_id(name) for name in ("a.wav", "b.wav"))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a lock, and two slots are all."""
    for name in ("SLOT_WAIT_S", "HEADER_WAIT_S", "POLL_S"):
        monkeypatch.setattr(locks, name, 1e-3)


@pytest.mark.usefixtures("hasty")
def test_only_the_first_writer_is_alone_and_the_others_come_in_when_it_lets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "N_SLOTS", 2)
    with ExitStack() as stack:
        first = StoreLocks(tmp_path / ".lock")
        stack.callback(first.close)
        assert first.alone
        with pytest.raises(StoreError, match="2 runs are writing this store; wait until one ends"):
            StoreLocks(tmp_path / ".lock")
        first.open_to_others()
        assert not first.alone
        second = StoreLocks(tmp_path / ".lock")
        stack.callback(second.close)
        assert not second.alone
        with pytest.raises(StoreError, match="2 runs are writing"):
            StoreLocks(tmp_path / ".lock")
        second.close()
        third = StoreLocks(tmp_path / ".lock")
        stack.callback(third.close)
        assert not third.alone
    again = StoreLocks(tmp_path / ".lock")
    assert again.alone
    again.close()


def test_a_recording_has_one_holder_until_it_is_released_or_its_holder_ends(
    tmp_path: Path,
) -> None:
    first = StoreLocks(tmp_path / ".lock")
    first.open_to_others()
    second = StoreLocks(tmp_path / ".lock")
    assert first.claim(ONE)
    assert not second.claim(ONE)
    assert second.claim(OTHER)
    first.release(ONE)
    assert second.claim(ONE)
    assert not first.claim(OTHER)
    second.close()
    assert first.claim(ONE)
    assert first.claim(OTHER)
    first.close()


@pytest.mark.usefixtures("hasty")
def test_while_one_makes_the_store_another_does_not_and_a_hang_is_said(
    tmp_path: Path,
) -> None:
    first = StoreLocks(tmp_path / ".lock")
    first.open_to_others()
    second = StoreLocks(tmp_path / ".lock")
    with (
        first.header(),
        pytest.raises(StoreError, match="another run hangs while it makes the store"),
        second.header(),
    ):
        raise AssertionError("two writers at once")
    with second.header():
        pass
    first.close()
    second.close()


def test_one_writer_keeps_others_out_and_lets_them_in_after_an_error(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    with (
        one_writer(lock),
        pytest.raises(StoreError, match=r"another program has been writing here for 0\.001 s"),
        one_writer(lock, wait_s=0.001),
    ):
        raise AssertionError("two writers at once")
    with pytest.raises(ZeroDivisionError), one_writer(lock):
        _ = 1 / 0
    with one_writer(lock, wait_s=0.0):
        pass
    with (
        one_writer(as_path("memory://nowhere/x.lock")),
        one_writer(as_path("memory://nowhere/x.lock")),
    ):
        pass  # behind a URL nobody waits


def test_a_folder_that_takes_no_lock_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file: cannot write in this folder"):
        StoreLocks(tmp_path / "file" / ".lock")
    with (
        pytest.raises(StoreError, match="file: cannot write in this folder"),
        one_writer(tmp_path / "file" / ".lock"),
    ):
        raise AssertionError("no lock was taken")


@pytest.mark.parametrize("number", sorted(locks.NO_LOCKS))
def test_a_disk_without_locks_lets_everybody_in_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: int) -> bool:
        raise OSError(number, "no locks here")

    monkeypatch.setattr(locks, "_lock", refuse)
    for _ in range(2):
        its = StoreLocks(tmp_path / ".lock")
        assert not its.supported
        assert not its.alone  # or it would clear up under another one's feet
        assert its.claim(ONE)
        its.close()
    with one_writer(tmp_path / "x.lock"), one_writer(tmp_path / "x.lock", wait_s=0.0):
        pass


def test_a_lock_that_fails_for_another_reason_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(locks, "_lock", refuse)
    with pytest.raises(StoreError, match=r"\.lock: cannot be locked: .*Input/output error"):
        StoreLocks(tmp_path / ".lock")
    with pytest.raises(StoreError, match=r"cannot be locked"), one_writer(tmp_path / "x.lock"):
        raise AssertionError("no lock was taken")


# --- parts that are none --------------------------------------------------------------------------

SCHEMA = pa.schema([("window", pa.int32()), ("vector", pa.list_(pa.float32(), 2))])
TABLE = pa.table({"window": [0, 1], "vector": [[1.0, 2.0], [3.0, 4.0]]}, SCHEMA)


def test_a_part_cut_anywhere_is_named_and_never_read(tmp_path: Path) -> None:
    part = parts.write_part(tmp_path, TABLE)
    whole = (tmp_path / part.name).read_bytes()
    assert parts.read_windows(tmp_path / part.name, SCHEMA).equals(TABLE)
    cut = tmp_path / "part-cut.parquet"
    for n_bytes in range(0, len(whole), 7):
        cut.write_bytes(whole[:n_bytes])
        with pytest.raises(StoreError, match=r"part-cut\.parquet: damaged part .*store check"):
            parts.read_windows(cut, SCHEMA)
        with pytest.raises(StoreError, match="its bytes are not the ones that were written"):
            parts.read_sealed(cut, {part.sha256}, SCHEMA)


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"RIFF\0\0\0\0WAVEfmt ", b"window,vector\n0,1\n", b"\0" * 4096]
)
def test_a_foreign_file_under_the_name_of_a_part_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "part-x.parquet"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"part-x\.parquet: damaged part \("):
        parts.read_part(path)


def test_what_is_larger_than_any_part_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = parts.write_part(tmp_path, TABLE)
    monkeypatch.setattr(parts, "MAX_ROWS", 1)
    with pytest.raises(StoreError, match=r"2 rows of .* a part has at most 1 of"):
        parts.read_part(tmp_path / part.name)
    monkeypatch.setattr(parts, "MAX_ROWS", 2)
    assert len(parts.read_part(tmp_path / part.name)) == 2
    monkeypatch.setattr(parts, "MAX_BYTES", 10)
    with pytest.raises(StoreError, match="a part has at most 2 of 10"):
        parts.read_part(tmp_path / part.name)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["window", "window"])
    pq.write_table(twice, tmp_path / "part-x.parquet")
    with pytest.raises(StoreError, match="two of its columns have one name"):
        parts.read_part(tmp_path / "part-x.parquet")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (TABLE.drop_columns(["vector"]), "no column 'vector'"),
        (TABLE.set_column(0, "window", pa.array([0.0, 1.0])), "'window' is of type 'double'"),
        (TABLE.set_column(0, "window", pa.array([0, None], pa.int32())), "gaps in column 'window'"),
        (
            TABLE.set_column(1, "vector", pa.array([[1.0], [2.0]], pa.list_(pa.float32(), 1))),
            r"store\.json promises fixed_size_list<.*>\[2\]",
        ),
        (
            TABLE.set_column(
                1, "vector", pa.array([[1.0, None], [3.0, 4.0]], pa.list_(pa.float32(), 2))
            ),
            "gaps in column 'vector'",
        ),
    ],
)
def test_a_part_of_other_columns_than_the_header_promises_is_refused(
    tmp_path: Path, change: pa.Table, said: str
) -> None:
    part = parts.write_part(tmp_path, change)
    with pytest.raises(StoreError, match=said):
        parts.read_sealed(tmp_path / part.name, {part.sha256}, SCHEMA)
    with pytest.raises(StoreError, match="SHA-256 differs"):
        parts.read_sealed(tmp_path / part.name, {part.sha256, "0" * 64}, SCHEMA)


def test_names_of_parts_are_those_that_a_writer_gives_and_no_others(tmp_path: Path) -> None:
    ours = parts.write_part(tmp_path, TABLE, number="0003")
    assert ours.name.startswith("part-0003")
    for name in ("part-.parquet", "part-a.parquet.damaged", ".part-a.parquet", "part-a b.parquet"):
        (tmp_path / name).touch()
    assert parts.part_names(tmp_path) == {ours.name}
    assert parts.part_names(tmp_path / "not there") == set()
