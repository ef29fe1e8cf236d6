"""Reading threads: the order of the jobs, a limit to what lies ahead, and all threads at work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from dawnchorus.engine.pipeline.ahead import LANES_AHEAD, Lane, Limits, ReadAhead
from dawnchorus.engine.recordings.jobs import ReadingStopped, RecordingJob

Work = Callable[[Lane[int]], Generator[int]]
LONG_S = 20.0  # until a test that hangs fails
JOB = RecordingJob(recording_id="0", path=Path("a"), name="a", size=1, modified_ns=1)


def ahead_of(
    works: Iterator[Work], n_readers: int, *, most_ahead: int = 1_000, most_in_first: int = 1_000
) -> ReadAhead[int]:
    """Items are their own size."""
    limits = Limits(n_readers=n_readers, most_ahead=most_ahead, most_in_first=most_in_first)
    return ReadAhead(
        (Lane(JOB, work) for work in works), threading.Event(), limits, size=lambda item: item
    )


def started(ahead: ReadAhead[int], n_readers: int) -> list[threading.Thread]:
    threads = [threading.Thread(target=ahead.read, daemon=True) for _ in range(n_readers)]
    for thread in threads:
        thread.start()
    return threads


def emptied(ahead: ReadAhead[int]) -> list[list[int]]:
    found = []
    while (lane := ahead.first()) is not None:
        found.append(list(ahead.items_of(lane)))
        ahead.leave(lane)
    return found


def joined(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(LONG_S)
        assert not thread.is_alive()


@pytest.mark.parametrize("n_readers", [1, 2, 16, 64])
def test_all_threads_are_at_work_at_once(n_readers: int) -> None:
    # each recording ends only when as many as there are threads are being read
    meeting = threading.Barrier(n_readers)

    def work(number: int) -> Work:
        def read(_lane: Lane[int]) -> Generator[int]:
            meeting.wait(LONG_S)
            yield number

        return read

    ahead = ahead_of(map(work, range(1, 4 * n_readers + 1)), n_readers, most_ahead=10**9)
    threads = started(ahead, n_readers)
    assert emptied(ahead) == [[number] for number in range(1, 4 * n_readers + 1)]
    joined(threads)


@pytest.mark.parametrize("n_readers", [2, 16, 64])
def test_the_pieces_of_one_recording_occupy_all_threads(n_readers: int) -> None:
    meeting = threading.Barrier(n_readers)
    holder: list[ReadAhead[int]] = []

    def piece(number: int) -> Work:
        def read(_lane: Lane[int]) -> Generator[int]:
            meeting.wait(LONG_S)
            yield number

        return read

    def recording(lane: Lane[int]) -> Generator[int]:
        more = [Lane(JOB, piece(number)) for number in range(2, 2 * n_readers + 1)]
        holder[0].add_behind(lane, more)
        yield from piece(1)(lane)

    def behind(_lane: Lane[int]) -> Generator[int]:
        yield 7

    ahead = ahead_of(iter([recording]), n_readers)
    holder.append(ahead)
    threads = started(ahead, n_readers)
    assert emptied(ahead) == [list(range(1, 2 * n_readers + 1))]
    joined(threads)


def test_a_slow_first_recording_lets_the_others_read_no_further_than_the_limit() -> None:
    go_on = threading.Event()
    n_made = [0]
    is_full = threading.Event()

    def slow(_lane: Lane[int]) -> Generator[int]:
        assert go_on.wait(LONG_S)
        yield 1

    def quick(_lane: Lane[int]) -> Generator[int]:
        for _ in range(30):
            n_made[0] += 1
            if n_made[0] > 20:
                is_full.set()
            yield 10

    # one thread is slow, the other may have made 20 items of 10, and one that waits
    ahead = ahead_of(iter([slow, quick, quick, quick]), 2, most_ahead=200)
    threads = started(ahead, 2)
    assert is_full.wait(LONG_S)
    assert ahead._ahead() <= 200
    assert n_made[0] == 21
    go_on.set()
    assert emptied(ahead) == [[1], *([[10] * 30] * 3)]
    joined(threads)


def test_many_recordings_without_sound_do_not_run_ahead_either() -> None:
    go_on, asked = threading.Event(), []

    def slow(_lane: Lane[int]) -> Generator[int]:
        assert go_on.wait(LONG_S)
        yield 1

    def empty(_lane: Lane[int]) -> Generator[int]:
        yield 0

    def works() -> Iterator[Work]:
        yield slow
        for number in range(100):
            asked.append(number)
            if number == LANES_AHEAD:
                go_on.set()
            yield empty

    ahead = ahead_of(works(), 2)
    threads = started(ahead, 2)
    assert go_on.wait(LONG_S)
    assert len(asked) == LANES_AHEAD + 1
    assert emptied(ahead) == [[1], *([[0]] * 100)]
    joined(threads)


def test_what_is_wrong_with_the_list_is_raised_behind_what_came_before() -> None:
    def one(_lane: Lane[int]) -> Generator[int]:
        yield 1

    def works() -> Iterator[Work]:
        yield one
        raise ZeroDivisionError("the list")

    ahead = ahead_of(works(), 1)
    threads = started(ahead, 1)
    joined(threads)
    lane = ahead.first()
    assert lane is not None
    assert list(ahead.items_of(lane)) == [1]
    ahead.leave(lane)
    with pytest.raises(ZeroDivisionError, match="the list"):
        ahead.first()


def test_threads_that_nobody_empties_end_when_they_are_told_to() -> None:
    def endless(_lane: Lane[int]) -> Generator[int]:
        while True:
            yield 5

    ahead = ahead_of(iter([endless] * 5), 3, most_ahead=50, most_in_first=50)
    threads = started(ahead, 3)
    ahead.close()
    joined(threads)
    lane = ahead.first()
    assert lane is not None
    with pytest.raises(ReadingStopped):
        list(ahead.items_of(lane))


def test_a_recording_that_is_left_early_frees_its_threads() -> None:
    holder: list[ReadAhead[int]] = []
    meeting, closed = threading.Barrier(3), []

    def endless(_lane: Lane[int]) -> Generator[int]:
        meeting.wait(LONG_S)
        try:
            while True:
                yield 5
        finally:
            closed.append(1)

    def recording(lane: Lane[int]) -> Generator[int]:
        holder[0].add_behind(lane, [Lane(JOB, endless), Lane(JOB, endless)])
        yield from endless(lane)

    def last(_lane: Lane[int]) -> Generator[int]:
        yield 3

    ahead = ahead_of(iter([recording, last]), 3, most_ahead=100, most_in_first=100)
    holder.append(ahead)
    threads = started(ahead, 3)
    lane = ahead.first()
    assert lane is not None
    items = ahead.items_of(lane)
    assert [next(items) for _ in range(40)] == [5] * 40
    ahead.leave(lane)
    assert emptied(ahead) == [[3]]
    joined(threads)
    assert len(closed) == 3
