"""Several reading threads, and what they read in the order of the recordings.

Each recording, or piece of a long one, has a lane: its reader fills it, and lanes are emptied one
after the other. What lies in lanes behind the first is limited by its samples, however many
recordings it is of; a thread that is too far ahead waits. The first lane always gets through, and a
free thread always takes the earliest lane that nobody reads, so nothing waits for ever.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from dawnchorus.engine.recordings.jobs import ReadingStopped

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from dawnchorus.engine.recordings.jobs import RecordingJob

WAIT_S: Final = 0.1  # how late a thread notices that it is to stop
LANES_AHEAD: Final = 8  # beside one a thread: recordings of a second are many
Item = TypeVar("Item")


class LaneDroppedError(BaseException):  # not an error of anything: the way out of generators
    """What a reader reads is not wanted any more."""


@dataclass(eq=False, slots=True)
class Lane(Generic[Item]):
    """What comes of one piece of work, in order.

    Attributes:
        job: the recording.
        work: makes the items; called by a reading thread with the lane.
        more: the lanes of the recording's other pieces, if this is its first.
        items: with their sizes; None: the end.
        size: of all that lie here.
        is_begun, is_dropped: a thread reads it; nobody wants it any more.
        room: what its reader waits for; of `ReadAhead`.
    """

    job: RecordingJob
    work: Callable[[Lane[Item]], Generator[Item]]
    more: Sequence[Lane[Item]] = ()
    items: deque[tuple[Item | None, int]] = field(default_factory=deque)
    size: int = 0
    is_begun: bool = False
    is_dropped: bool = False
    room: threading.Condition | None = None  # what its reader waits for


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far ahead threads may read.

    Attributes:
        n_readers: threads.
        most_ahead: what may lie in all lanes behind the first.
        most_in_first: what may lie in the first before its reader waits.
    """

    n_readers: int
    most_ahead: int
    most_in_first: int


class ReadAhead(Generic[Item]):
    """Lanes in order, filled by threads that call `read` and emptied by one thread."""

    def __init__(
        self,
        lanes: Iterator[Lane[Item]],
        stop: threading.Event,
        limits: Limits,
        size: Callable[[Item], int],
    ) -> None:
        """Keep what is to be read.

        Args:
            lanes: in order; asked for the next one when a thread is free for it.
            stop: when set, all calls raise `ReadingStopped`.
            limits: how far ahead is too far.
            size: of an item; those of 0 never wait.
        """
        self._source, self._stop, self._limits, self._size = lanes, stop, limits, size
        self._lanes: deque[Lane[Item]] = deque()
        self._fault: BaseException | None = None
        self._is_exhausted = self._is_asking = self._is_closed = False
        self._n_begun = self._total = 0  # of all lanes here: those with a reader, their sizes
        self._lock = threading.Lock()
        # a lane's reader waits for its own room: with 64 threads, nobody may wake all of them often
        self._came, self._room = (threading.Condition(self._lock) for _ in range(2))

    def read(self) -> None:
        """Fill lane after lane until there is none; what goes wrong is raised by who empties."""
        try:
            while (lane := self._next_lane()) is not None:
                self._fill(lane)
        except ReadingStopped:
            return
        except BaseException as fault:  # noqa: BLE001  see above
            with self._came:
                self._fault = self._fault or fault
                self._came.notify_all()
                self._room.notify_all()

    def close(self) -> None:
        """Threads that read end with what they are at."""
        with self._room:
            self._is_closed = True
            self._wake_all()

    def add_behind(self, lane: Lane[Item], more: Sequence[Lane[Item]]) -> None:
        """Further lanes of a recording, directly behind its first, which is being filled."""
        with self._room:
            if not lane.is_dropped:
                lane.more = more
                at = self._lanes.index(lane) + 1
                for number, another in enumerate(more):
                    self._lanes.insert(at + number, another)
                self._room.notify_all()

    def first(self) -> Lane[Item] | None:
        """The first lane; None: all have been emptied.

        Raises:
            ReadingStopped: The run has ended.
            BaseException: What went wrong in a reading thread, or while lanes were given out.
        """
        with self._came:
            while not self._lanes:
                if self._is_exhausted and not self._is_asking:
                    if self._fault is not None:
                        raise self._fault
                    return None
                self._wait(self._came)
            return self._lanes[0]

    def items_of(self, lane: Lane[Item]) -> Iterator[Item]:
        """What comes of the first lane and of the other pieces of its recording.

        Raises:
            ReadingStopped, BaseException: As `first`.
        """
        yield from self._items(lane)
        before = lane
        for another in lane.more:
            self._leave([before])
            yield from self._items(another)
            before = another

    def leave(self, lane: Lane[Item]) -> None:
        """No more is wanted of the first lane's recording."""
        self._leave([lane, *lane.more])

    def _leave(self, lanes: Sequence[Lane[Item]]) -> None:
        with self._room:
            for lane in lanes:
                lane.is_dropped = True
                lane.items.clear()
                self._total -= lane.size
                lane.size = 0
                if lane in self._lanes:
                    self._lanes.remove(lane)
                    self._n_begun -= lane.is_begun
                if lane.room is not None:
                    lane.room.notify()
            self._wake_all()

    def _wake_all(self) -> None:
        for lane in self._lanes:
            if lane.room is not None:
                lane.room.notify()
        self._room.notify_all()

    def _items(self, lane: Lane[Item]) -> Iterator[Item]:
        while True:
            with self._came:
                while not lane.items:
                    self._wait(self._came)
                item, size = lane.items.popleft()
                lane.size -= size
                self._total -= size
                if size and lane.room is not None:
                    lane.room.notify()
            if item is None:
                return
            yield item

    def _check(self) -> None:
        if self._stop.is_set() or self._is_closed:
            raise ReadingStopped

    def _wait(self, condition: threading.Condition) -> None:
        self._check()
        if self._fault is not None:
            raise self._fault
        condition.wait(WAIT_S)

    def _next_lane(self) -> Lane[Item] | None:
        """The earliest lane that nobody reads; None: there is none, and none will come."""
        while True:
            with self._room:
                while not self._is_exhausted or self._lanes:
                    lane = next((lane for lane in self._lanes if not lane.is_begun), None)
                    if lane is not None and (lane is self._lanes[0] or self._has_room()):
                        lane.is_begun, lane.room = True, threading.Condition(self._lock)
                        self._n_begun += 1
                        return lane
                    if lane is None and self._may_ask():
                        self._is_asking = True
                        break
                    self._wait(self._room)
                else:
                    return None
            self._ask()

    def _may_ask(self) -> bool:
        return not (self._is_asking or self._is_exhausted) and (not self._lanes or self._has_room())

    def _ask(self) -> None:
        # without the lock: the next job may take a while to come, from a slow disk or a claim
        lane = None
        try:
            lane = next(self._source, None)
        finally:
            with self._room:
                self._is_asking = False
                self._is_exhausted = lane is None
                if lane is not None:
                    self._lanes.append(lane)
                self._came.notify_all()
                self._room.notify_all()

    def _has_room(self) -> bool:
        # copies of what lies behind URLs take room on the disk
        has_copies = any(self._lanes[end].job.fetched is not None for end in (0, -1))
        most = self._limits.n_readers + (0 if has_copies else LANES_AHEAD)
        return self._n_begun < most and self._ahead() < self._limits.most_ahead

    def _ahead(self) -> int:
        return self._total - self._lanes[0].size

    def _fill(self, lane: Lane[Item]) -> None:
        try:
            with closing(lane.work(lane)) as items:
                for item in items:
                    self._put(lane, item)
        except LaneDroppedError:
            return
        with self._came:
            lane.items.append((None, 0))
            self._came.notify_all()

    def _put(self, lane: Lane[Item], item: Item) -> None:
        size = self._size(item)
        with self._came:
            while lane.room is not None and not (lane.is_dropped or self._may_put(lane, size)):
                self._wait(lane.room)
            self._check()
            if lane.is_dropped:
                raise LaneDroppedError
            lane.items.append((item, size))
            lane.size += size
            self._total += size
            if lane is self._lanes[0]:
                self._came.notify_all()

    def _may_put(self, lane: Lane[Item], size: int) -> bool:
        if size == 0:
            return True
        if lane is self._lanes[0]:
            return lane.size < self._limits.most_in_first
        return self._ahead() + size <= self._limits.most_ahead
