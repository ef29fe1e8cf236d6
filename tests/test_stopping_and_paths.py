"""How a run is stopped, where its faults are kept, and how a place becomes text and back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dawnchorus import error_log, paths
from dawnchorus.error_log import error_log_path, log_error, log_errors_beside, report_request
from dawnchorus.errors import UsageError
from dawnchorus.interrupt import SIGNALS, stop_on_signals
from dawnchorus.paths import (
    absolute,
    as_path,
    common_folder,
    fetch,
    fetch_bytes,
    from_stored_name,
    is_on_web,
    is_remote,
    local_copy,
    relative_name,
    sha256_of_file,
    stored_name,
)

# --- stopping -------------------------------------------------------------------------------------


@pytest.fixture
def noted() -> Iterator[list[int]]:
    """Signals that came to the handlers that were there before."""
    seen: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, lambda number, _frame: seen.append(number))
    yield seen
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_heard_and_the_second_is_the_callers(
    noted: list[int], number: int
) -> None:
    with stop_on_signals() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
        assert noted == []
        signal.raise_signal(number)
        assert noted == [number]
    signal.raise_signal(number)
    assert noted == [number] * 2


def test_handlers_are_back_when_the_run_ends_by_itself_or_by_an_error(noted: list[int]) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with stop_on_signals():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with pytest.raises(ZeroDivisionError), stop_on_signals():
        _ = 1 / 0
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert noted == []


def test_in_another_thread_no_handler_is_touched() -> None:
    found: list[bool] = []
    before = [signal.getsignal(number) for number in SIGNALS]

    def work() -> None:
        with stop_on_signals() as stop:
            found.append(stop.is_set())
            found.append([signal.getsignal(number) for number in SIGNALS] == before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False, True]


# --- faults ---------------------------------------------------------------------------------------


def fault(text: str) -> ValueError:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_a_traceback_lies_beside_the_output_with_what_it_happened_to(tmp_path: Path) -> None:
    with log_errors_beside(tmp_path / "a.store"):
        assert error_log_path() == tmp_path / "a.store.faults.log"
        assert str(error_log_path()) not in report_request()  # nothing is there yet
        assert log_error("caf\udce9.wav", fault("first")) == error_log_path()
        log_error("b.wav", fault("second"))
        assert f"and {error_log_path()}" in report_request()
    text = (tmp_path / "a.store.faults.log").read_text(encoding="utf-8")
    assert text.count("Traceback (most recent call last)") == 2
    for piece in ("caf\\xe9.wav\n", "ValueError: first", "b.wav\n", "ValueError: second"):
        assert piece in text
    assert " dawnchorus " in text.splitlines()[0]
    assert error_log_path() != tmp_path / "a.store.faults.log"


@pytest.mark.parametrize("output", [None, "s3://bucket/a.store", 3])
def test_without_an_output_on_this_machine_they_lie_among_temporary_files(output: object) -> None:
    with log_errors_beside(output):
        assert error_log_path().name == f"dawnchorus-{os.getpid()}.faults.log"


def test_the_same_fault_in_every_recording_fills_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_log, "MAX_TRACEBACKS", 3)
    with log_errors_beside(tmp_path / "x"):
        kept = [log_error(n, fault("same")) is not None for n in range(5)]
        with log_errors_beside(tmp_path / "inner"):  # a run inside of one counts by itself
            assert log_error("y", fault("inner")) == tmp_path / "inner.faults.log"
        assert log_error("z", fault("same")) is None
    assert kept == [True, True, True, False, False]
    with log_errors_beside(tmp_path / "gone" / "x"):
        assert log_error("x", fault("unwritable")) is None


# --- places ---------------------------------------------------------------------------------------

# what a POSIX name may hold: any byte but / and NUL
parts = st.binary(min_size=1, max_size=6).map(
    lambda name: os.fsdecode(name.replace(b"/", b"-").replace(b"\0", b"-"))
)
names = st.lists(parts.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=4)


@given(names, names)
@example(["caf\udce9"], ["x\\xe9"])
@example(["a", "b"], ["a"])
def test_a_name_from_a_root_leads_back_and_is_text_that_can_be_kept(
    folders: list[str], others: list[str]
) -> None:
    path, root = Path("/", *folders), Path("/", *others)
    name = relative_name(path, root)
    name.encode("utf-8")
    assert absolute(from_stored_name(name, root)) == path
    assert from_stored_name(stored_name(path)) == path


@given(st.lists(names, min_size=1, max_size=4))
def test_the_folder_above_all_is_above_each_and_none_below_it_is(found: list[list[str]]) -> None:
    folders = [Path("/", *folder) for folder in found]
    common = common_folder(folders)
    assert all(folder.is_relative_to(common) for folder in folders)
    if common not in folders:
        below = {folder.relative_to(common).parts[0] for folder in folders}
        assert len(below) > 1


@pytest.mark.parametrize(
    ("urls", "above"),
    [
        (["memory://b/x", "memory://b/y"], "memory://b"),
        (["memory://b/x", "memory://b/x/y"], "memory://b/x"),
        (["memory://b/x", "memory://b/xy"], "memory://b"),
        (["memory://b/x"], "memory://b/x"),
    ],
)
def test_behind_a_url_too(urls: list[str], above: str) -> None:
    found = common_folder([as_path(url) for url in urls])
    assert str(found).rstrip("/") == above
    name = relative_name(as_path(urls[-1]) / "a b.wav", found)
    assert str(from_stored_name(name, found)) == f"{urls[-1]}/a b.wav"


def test_what_lies_where_is_known_by_its_form(tmp_path: Path) -> None:
    remote = as_path("memory://b/x.wav")
    assert is_remote(remote)
    assert not is_on_web(remote)
    assert as_path(remote) is remote
    assert [is_remote(item) for item in ("memory://b", tmp_path, None, 3)] == [False] * 4
    assert as_path("a/b") == Path("a/b")
    with pytest.raises(UsageError, match=r"nosuch://x: no such kind of URL; s3://, gs://"):
        as_path("nosuch://x")


# --- fetching -------------------------------------------------------------------------------------


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a run would have waited; nobody does."""
    waited: list[float] = []
    monkeypatch.setattr(paths.time, "sleep", waited.append)
    return waited


@pytest.fixture
def remote() -> Path:
    path = as_path("memory://fetched/a.wav")
    path.write_bytes(b"0123456789")
    return path


def test_a_file_comes_whole_and_pieces_are_those_asked_for(
    tmp_path: Path, remote: Path, waits: list[float]
) -> None:
    fetch(remote, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"0123456789"
    assert fetch_bytes(remote, 3, 4) == b"3456"
    with local_copy(remote) as copy:
        assert copy.name == "a.wav"
        assert sha256_of_file(copy) == sha256_of_file(tmp_path / "copy")
    assert not copy.parent.exists()
    with local_copy(tmp_path / "copy") as same:
        assert same == tmp_path / "copy"
    assert waits == []


@pytest.mark.parametrize("n_failures", [0, 1, 2, 3])
def test_a_server_is_asked_three_times_with_longer_and_longer_waits(
    remote: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch, n_failures: int
) -> None:
    answers = iter([ConnectionError("reset")] * n_failures)

    def cat_file(_path: str, start: int, end: int) -> bytes:
        for error in answers:
            raise error
        return b"0123456789"[start:end]

    monkeypatch.setattr(remote.fs, "cat_file", cat_file)  # type: ignore[attr-defined]
    if n_failures < 3:
        assert fetch_bytes(remote, 0, 2) == b"01"
    else:
        with pytest.raises(OSError, match="reset"):
            fetch_bytes(remote, 0, 2)
    assert waits == [1.0, 2.0][:n_failures]


@pytest.mark.parametrize(
    ("given_bytes", "error", "said", "n_waits"),
    [
        (b"0", OSError, "1 bytes came of 2", 2),
        (b"0123456789", PermissionError, "gives no parts of files", 0),
    ],
)
def test_too_few_bytes_are_asked_for_again_and_too_many_are_refused_at_once(
    remote: Path,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
    given_bytes: bytes,
    error: type[OSError],
    said: str,
    n_waits: int,
) -> None:
    monkeypatch.setattr(remote.fs, "cat_file", lambda *_, **__: given_bytes)  # type: ignore[attr-defined]
    with pytest.raises(error, match=said):
        fetch_bytes(remote, 0, 2)
    assert len(waits) == n_waits


def test_what_is_not_there_is_not_asked_for_again(tmp_path: Path, waits: list[float]) -> None:
    with pytest.raises(FileNotFoundError):
        fetch(as_path("memory://fetched/none.wav"), tmp_path / "copy")
    assert waits == []
