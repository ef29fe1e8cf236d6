"""What takes a while: one job at a time, in a thread of its own, with its progress to ask for."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.errors import DawnChorusError, UsageError
from dawnchorus.serve.bodies import JobAnswer
from dawnchorus.serve.library import NotThereError
from dawnchorus.serve.work import WORK

if TYPE_CHECKING:
    from dawnchorus.progress import Advance
    from dawnchorus.serve.bodies import JobQuery
    from dawnchorus.serve.outcome import Outcome
    from dawnchorus.serve.session import Session

MOST_JOBS: Final = 50
LOG: Final = logging.getLogger(__name__)


class Job:
    """One job; it is its own `dawnchorus.progress.Progress`."""

    def __init__(self, name: str, query: JobQuery) -> None:
        """It has not begun."""
        self.name = name
        self.query = query
        self.outcome: Outcome | None = None
        self.problem: str | None = None
        self._said = ""
        self._done = self._total = 0
        self._lock = threading.Lock()

    def start(self, label: str, total: int | None = None, unit: str = "") -> Advance:
        """Begin a stage; see `dawnchorus.progress.Progress`."""
        with self._lock:
            self._said, self._done, self._total = label, 0, total or 0
        del unit

        def advance(n: int) -> None:
            with self._lock:
                self._done += n

        return advance

    def message(self, text: str) -> None:
        """Say what it is doing."""
        with self._lock:
            self._said, self._done, self._total = text, 0, 0  # how far it is, is not known

    def answer(self) -> JobAnswer:
        """How far it is, and what came of it."""
        with self._lock:
            common: dict[str, Any] = {"id": self.name, "kind": self.query.kind, "done": self._done}
            if self.problem is not None:
                return JobAnswer(**common, state="failed", message=self.problem)
            if self.outcome is None:
                return JobAnswer(**common, state="running", total=self._total, message=self._said)
            return JobAnswer(
                **common,
                state="done",
                total=self._done,
                result=self.outcome.result,
                summary=self.outcome.summary,
                command=self.outcome.command,
            )


class Jobs:
    """The jobs of a session."""

    def __init__(self, session: Session) -> None:
        """There is none yet."""
        self._session = session
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._running: Job | None = None
        self._n_made = 0

    def begin(self, query: JobQuery) -> JobAnswer:
        """Begin a job.

        Raises:
            UsageError: Another one is running.
        """
        with self._lock:
            if self._running is not None:
                raise UsageError(
                    f"another job ({self._running.query.kind}) is running; wait until it is done"
                )
            self._n_made += 1
            job = Job(f"job-{self._n_made}", query)
            self._running = self._jobs[job.name] = job
            while len(self._jobs) > MOST_JOBS:
                self._jobs.popitem(last=False)
        # a daemon: Ctrl-C ends the server, and what a job has not finished is made again
        threading.Thread(target=self._work, args=(job,), daemon=True).start()
        return job.answer()

    def get(self, name: str) -> JobAnswer:
        """How far a job is.

        Raises:
            NotThereError: There is none of this id.
        """
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise NotThereError("this job is not known; the server may have been started again")
        return job.answer()

    def _work(self, job: Job) -> None:
        try:
            job.outcome = WORK[job.query.kind](self._session, job.query, job)
        except DawnChorusError as error:
            job.problem = str(error)
        except Exception as error:
            LOG.exception("job %s", job.query.kind)
            job.problem = f"It failed ({type(error).__name__}: {error}); the terminal shows where."
        finally:
            with self._lock:
                self._running = None
