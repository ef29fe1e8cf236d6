"""Judging suggestions one after another: what is asked, what was said, and how it is taken back.

It knows neither terminal nor sound. Each judgement is on the disk when `Judging.judge` returns, so
whatever ends the program, nothing that was said is lost, and the next session goes on behind it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from dawnchorus.annotations.annotation_row import default_author
from dawnchorus.annotations.annotation_table import changed
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dawnchorus.annotations.annotation_row import AnnotationRow, State
    from dawnchorus.annotations.annotation_table import AnnotationTable


class Judging:
    """Suggestions, those of them that are still to be judged, and the judgements.

    Attributes:
        table: that the judgements go to.
        author: who judges.
        suggestions: all of them, also those that were judged before.
    """

    def __init__(
        self,
        table: AnnotationTable,
        suggestions: Sequence[AnnotationRow],
        author: str | None = None,
    ) -> None:
        """Find out what is still to be judged.

        Args:
            table: that the judgements go to.
            suggestions: in the order to judge them. What this author judged before is not asked
                again.
            author: who judges; None: as `default_author` says.
        """
        self.table = table
        self.author = author or default_author()
        self.suggestions = tuple({row.id: row for row in suggestions}.values())
        mine = {row.id: row.state for row in table.rows(author=self.author) if row.state}
        self._states: dict[str, State] = {
            row.id: state for row in self.suggestions if (state := mine.get(row.id))
        }
        self._queue = [row for row in self.suggestions if row.id not in self._states]
        self._saved: dict[str, AnnotationRow] = {}
        self._at = 0  # in the queue; before it lies what was judged or skipped in this session

    @property
    def current(self) -> AnnotationRow | None:
        """What is to be judged now; None: nothing is left."""
        return self._queue[self._at] if self._at < len(self._queue) else None

    @property
    def n_reviewed(self) -> int:
        """How many are judged, in this session or before."""
        return len(self._states)

    @property
    def n_left(self) -> int:
        """How many are not judged, skipped ones too."""
        return len(self.suggestions) - len(self._states)

    @property
    def states(self) -> dict[str, State]:
        """What this author says of each id that is judged."""
        return dict(self._states)

    @property
    def counts(self) -> Counter[str]:
        """How often each state was given."""
        return Counter(self._states.values())

    def judge(self, state: State) -> None:
        """Save what is heard in the current one, and go on to the next.

        The purpose of the suggestion is kept.

        Raises:
            UsageError: Nothing is left.
            StoreError: It cannot be saved; the current one stays.
        """
        row = self._needed()
        self._save(row, state=state)
        self._states[row.id] = state
        self._at += 1

    def skip(self) -> None:
        """Go on without a judgement; the next session asks again.

        Raises:
            UsageError: Nothing is left.
        """
        self._needed()
        self._at += 1

    def undo(self) -> AnnotationRow | None:
        """Go back by one, and take back what was said of it; None: this session began here.

        It is taken back on the disk too: who quits now has not judged it.

        Raises:
            StoreError: It cannot be saved.
        """
        if not self._at:
            return None
        row = self._queue[self._at - 1]
        if row.id in self._states:
            self._save(row, state=None, source=row.source)
            del self._states[row.id]
        self._at -= 1
        return row

    def _save(self, row: AnnotationRow, **columns: Any) -> None:
        # later than what was said of it last, also when the clock was set back meanwhile
        now = changed(self._saved.get(row.id, row), author=self.author, **columns)
        self.table.append([now])
        self._saved[row.id] = now

    def _needed(self) -> AnnotationRow:
        row = self.current
        if row is None:
            raise UsageError("nothing is left to judge")
        return row


def judged_by(answer: Callable[[AnnotationRow], State | None]) -> Callable[[Judging], None]:
    """A judge for `label_round` that answers by a function: of a test, or of another model.

    Args:
        answer: what holds for a suggestion; None: it is skipped.
    """

    def judge(judging: Judging) -> None:
        while (row := judging.current) is not None:
            state = answer(row)
            if state is None:
                judging.skip()
            else:
                judging.judge(state)

    return judge
