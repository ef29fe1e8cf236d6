"""Judging on the terminal: what is shown of a suggestion, its sound, and what each key does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.player import Player, find_player
from dawnchorus.cli.keys import is_watched, next_line, single_keys
from dawnchorus.cli.output import say
from dawnchorus.cli.runs import SOME_FAILED
from dawnchorus.errors import AudioError, UsageError
from dawnchorus.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dawnchorus.annotations.annotation_row import AnnotationRow, State
    from dawnchorus.cli.judged_clips import JudgedClips
    from dawnchorus.labelling.judging import Judging

STATE_OF: Final[dict[str, State]] = {
    "y": "present", "n": "absent", "u": "unsure",
    "present": "present", "absent": "absent", "unsure": "unsure",
}  # fmt: skip
AGAIN, UNDO, SKIP, QUIT, HELP = "r", "z", "s", "q", "?"
KEYS: Final = "y there  n not there  u unsure  r again  z undo  s skip  q quit  ? help"
EXPLAINED: Final = """\
  y  present: it is heard, however faint
  n  absent: it is not heard
  u  unsure: teaches nothing, and is not asked again
  r  play it again
  z  back by one, and take back what was said of it
  s  skip: the next session asks again
  q  quit; everything that was judged is saved, and the next session goes on here"""


class JudgingScreen:
    """Asks a person about suggestions, or reads the answers as lines.

    Attributes:
        failures: clips that could not be heard.
    """

    def __init__(
        self,
        clips: JudgedClips,
        *,
        context_s: float = 0.0,
        sound: bool = True,
        quiet: bool = False,
    ) -> None:
        """Nothing is asked yet.

        Args:
            clips: the recordings.
            context_s: of sound before and after a span.
            sound: play clips, where a person listens.
            quiet: without a terminal, say nothing of what is judged.
        """
        self.failures: list[Failure] = []
        self._clips, self._context_s = clips, context_s
        self._sound, self._quiet = sound, quiet
        self._watched = False
        self._said: set[str] = set()

    def judge(self, judging: Judging) -> None:
        """Ask until nothing is left, somebody quits, or the answers end.

        Raises:
            UsageError: A line is no answer.
            StoreError: A judgement cannot be saved.
        """
        self._watched = is_watched()
        if judging.current is None:
            return
        with self._answers() as answer, Player(find_player()) as player:
            if self._watched and self._sound and player.command is None:
                say("no program that plays sound was found (ffplay, aplay, paplay, afplay, play)")
            while (row := judging.current) is not None:
                self._show(judging, row)
                try:
                    self._play(player, row)
                    if not self._answered(judging, row, answer, player):
                        return
                except KeyboardInterrupt:
                    self._echo("\neverything that was judged is saved")
                    raise

    def exit_code(self) -> int:
        """Name what could not be heard; 3 if there was something, otherwise 0."""
        for failure in self.failures:
            say(f"warning: {failure.path}: not heard: {failure.message}")
        return SOME_FAILED if self.failures else 0

    @contextmanager
    def _answers(self) -> Iterator[Callable[[], str]]:
        if self._watched:
            with single_keys() as key:
                yield key
        else:
            yield next_line

    def _answered(
        self, judging: Judging, row: AnnotationRow, answer: Callable[[], str], player: Player
    ) -> bool:
        """Act on answers until another suggestion is asked about; False: somebody quits."""
        while True:
            given = answer().casefold()
            if given in {"", QUIT}:
                self._echo("quit")
                return False
            if given in STATE_OF:
                judging.judge(STATE_OF[given])
                self._echo(STATE_OF[given])
                return True
            if given == SKIP:
                judging.skip()
                self._echo("skipped")
                return True
            if given == UNDO:
                back = judging.undo()
                self._echo("this session began here" if back is None else "back by one")
                if back is not None:
                    return True
            elif given == AGAIN:
                self._play(player, row)
            elif given == HELP:
                self._echo(f"\n{EXPLAINED}")
            elif not self._watched:
                raise UsageError(
                    f"standard input: {given!r} is no answer; need y, n, u, s, z or q; what was "
                    "judged before is saved"
                )

    def _show(self, judging: Judging, row: AnnotationRow) -> None:
        if self._quiet and not self._watched:
            return
        end = "end" if row.end_s is None else f"{row.end_s:.2f}"
        score = "" if row.score is None else f"score {row.score:.3f}"
        facts = (f"{row.start_s:.2f}-{end} s", self._clips.local_time(row), score)
        say(f"\n{row.label or 'nothing'}?  reviewed {judging.n_reviewed} of "
            f"{len(judging.suggestions)}")  # fmt: skip
        say("  ".join(["", row.path, *filter(None, facts)]))
        line = self._clips.line(row)
        if line:
            say(f"  {line}")
        if self._watched:
            say(f"  {KEYS}: ", end="")

    def _play(self, player: Player, row: AnnotationRow) -> None:
        if not (self._watched and self._sound):
            return
        name = row.path.rpartition("/")[2].rpartition(".")[0]
        try:
            samples, rate = self._clips.samples(row, self._context_s)
            clip = player.play(samples, rate, f"{name}_{row.start_s:.2f}s")
        except (AudioError, OSError) as error:
            player.stop()
            reason = error.reason if isinstance(error, AudioError) else "denied"
            if row.id not in self._said:
                self.failures.append(Failure(row.path, reason, str(error)))
                self._said.add(row.id)
            self._echo(f"cannot be heard: {error}")
            return
        if player.problem and player.problem not in self._said:
            self._said.add(player.problem)
            self._echo(player.problem)
        if player.command is None:
            self._echo(f"the sound is in {clip}")

    def _echo(self, text: str) -> None:
        """A line of its own; of keys that were pressed there is nothing to see otherwise."""
        if self._watched:
            say(text)
