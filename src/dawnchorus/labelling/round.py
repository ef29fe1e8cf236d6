"""`label_round`: suggest, have them judged, fit a probe, and say what the labels changed.

What the last labels changed is measured, not remembered: a second probe is fitted without the last
50 that were judged, and both decide about every window. So it is the same whether a round was done
in one go or in five, and nothing has to be kept between rounds but the annotations.
Source: comparing the decisions of successive classifiers to know when to stop is Bloodgood and
Vijay-Shanker 2009, A method for stopping active learning based on stabilizing predictions (CoNLL).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.annotations.annotation_row import default_author, named_label
from dawnchorus.annotations.annotation_table import AnnotationTable, annotations_beside
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.labelling.density_plan import read_plans
from dawnchorus.labelling.judging import Judging
from dawnchorus.labelling.run_density import call_density
from dawnchorus.labelling.scores import window_scores
from dawnchorus.labelling.suggest import HALF, suggest_windows
from dawnchorus.labelling.suggestions import asked_of
from dawnchorus.labelling.verdicts import NOT_THERE, WindowIndex
from dawnchorus.paths import as_path, from_stored_name
from dawnchorus.probes.description import DESCRIPTION
from dawnchorus.probing.annotated import annotated_clips
from dawnchorus.probing.fit import probe_fit
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.configs import ProbeRunConfig
    from dawnchorus.labelling.choose import Strategy
    from dawnchorus.labelling.density import Density
    from dawnchorus.progress import Progress

    Judge = Callable[[Judging], None]
    Flags = NDArray[np.bool_]

LAST: Final = 50  # suggestions whose effect is measured
FEW_CHANGED: Final = 0.01  # of all decisions: labels change little any more
LONGEST_NAME: Final = 60  # characters of the label in the name of a probe


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSettings:
    """How a round is done.

    Attributes:
        n: windows to judge.
        strategy: which windows; see `dawnchorus.labelling.choose.choose`.
        seed: of what is drawn.
        author: who judges; None: as `default_author` says.
        fit: how the probe is fitted; None: as `probe_fit` does by itself.
    """

    n: int = 40
    strategy: Strategy = "mixed"
    seed: int = 0
    author: str | None = None
    fit: ProbeRunConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What the last labels changed.

    Attributes:
        n_last: suggestions whose labels one of the two probes did not have.
        n_last_changed: windows of these whose decision differs.
        n_changed: of all windows.
        n_windows: of the archive.
        n_before, n_now: windows that the probe without and with them calls present.
    """

    n_last: int
    n_last_changed: int
    n_changed: int
    n_windows: int
    n_before: int
    n_now: int

    @property
    def share(self) -> float:
        """Of all decisions."""
        return self.n_changed / self.n_windows

    @property
    def is_small(self) -> bool:
        """Whether a full number of suggestions changed under 1 % of the decisions."""
        return self.n_last >= LAST and self.share < FEW_CHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReport:
    """What a round did.

    Attributes:
        judging: what was asked and said.
        n_present, n_absent: judged to learn from, in all rounds.
        n_estimate: judged for estimates, in all rounds.
        probe: the folder of the probe; None: none could be fitted.
        change: what the last labels changed; None: it cannot be told yet.
        density: share of windows with the call, by the windows judged for estimates.
        notes: why something of this is not there, and what to watch out for.
    """

    judging: Judging
    n_present: int
    n_absent: int
    n_estimate: int
    probe: Path | None
    change: Change | None
    density: Density | None
    notes: tuple[str, ...]

    def may_stop(self, width: float) -> bool:
        """Whether more labels will hardly change anything: advice, not a rule.

        Args:
            width: of the interval of the density that is narrow enough, such as 0.02.
        """
        if self.change is None or self.density is None:
            return False
        return self.change.is_small and self.density.high - self.density.low <= width


def label_round(
    store: str | Path,
    label: str,
    judge: Judge,
    *,
    settings: RoundSettings | None = None,
    like: NDArray[np.floating] | None = None,
    annotations: str | Path | None = None,
    output: str | Path | None = None,
    progress: Progress = NO_PROGRESS,
    **filters: Any,
) -> RoundReport:
    """Suggest windows, have them judged, and fit a probe on all that was judged to learn from.

    Suggestions of an earlier round that nobody has judged come first. Windows are scored by the
    probe of the round before, in the first round as `suggest_windows` does without one.

    Args:
        store: whose windows.
        label: that is asked about.
        judge: is called once with what is to be judged; see `judged_by` for one that is a function.
        settings: how many windows, which, who judges, how the probe is fitted.
        like: vectors ``(n, dim)`` of sounds that are alike, for the first round.
        annotations: folder of the table; None: the one beside the store. Made if it is not there.
        output: folder of the probe, which each round replaces; None: `probe_beside`.
        progress: who is told.
        **filters: fields of `WindowFilter`: which windows are suggested.

    Raises:
        UsageError: Every window is labelled, or the strategy does not fit.
        StoreError: Store or annotations are damaged, or cannot be written.
    """
    settings = settings or RoundSettings()
    label = named_label(label)
    if settings.strategy == "random":
        raise UsageError(
            "random draws windows to estimate from, and no probe is fitted on those; choose another"
            " strategy: a fifth of mixed is drawn evenly too"
        )
    folder = as_path(annotations_beside(store) if annotations is None else annotations)
    probe = probe_beside(store, label) if output is None else Path(output)
    author = settings.author or default_author()
    asked = _left_over(folder, label, author)[: settings.n]
    if len(asked) < settings.n:
        known = probe if (probe / DESCRIPTION).exists() else like
        asked += suggest_windows(
            store, label, settings.n - len(asked), strategy=settings.strategy, scorer=known,
            annotations=folder, seed=settings.seed, progress=progress, **filters,
        )  # fmt: skip
    judging = Judging(AnnotationTable(folder), asked, author)
    judge(judging)
    return _learned(_Learning(store, label, folder, probe, settings.fit, progress), judging)


def probe_beside(store: str | Path, label: str) -> Path:
    """The usual folder of a label's probe: ``X.wren.probe`` beside ``X.store``."""
    path = as_path(store)
    # labels may hold anything; the probe itself says which label it is of
    slug = re.sub(r"\W+", "_", label).strip("_")[:LONGEST_NAME] or "label"
    return path.with_name(f"{path.name.removesuffix('.store')}.{slug}.probe")


def _left_over(folder: Path, label: str, author: str) -> list[AnnotationRow]:
    """Suggestions that nobody has judged, but for those that a density was drawn for."""
    if not folder.exists():
        return []
    table = AnnotationTable(folder)
    drawn = {one.id for plan in read_plans(folder, label).values() for one in plan.drawn}
    done = {row.id for row in table.rows(label=label) if row.state is not None}
    return [row for row in asked_of(table, author, label) if row.id not in drawn | done]


@dataclass(frozen=True, slots=True)
class _Learning:
    """What a probe is fitted on, and where it goes."""

    store: str | Path
    label: str
    folder: Path
    probe: Path
    config: ProbeRunConfig | None
    progress: Progress

    def fit(self, table: AnnotationTable, rows: Sequence[AnnotationRow], output: Path) -> None:
        """Fit on some rows.

        Raises:
            TaskError: The label cannot be learned from them. UsageError: None is to learn from.
        """
        root = from_stored_name(Archive(self.store).header.audio_root)
        clips = annotated_clips(table, root, label=self.label, rows=rows)
        probe_fit(clips, output, store=self.store, config=self.config, overwrite=True)

    def decisions(self, archive: Archive, probe: Path) -> Flags:
        """Which windows a probe calls present, ``(windows,)``."""
        scores = window_scores(archive, probe=probe, label=self.label, progress=self.progress)
        return scores >= HALF


def _learned(learning: _Learning, judging: Judging) -> RoundReport:
    """Fit a probe on everything that was judged so far, and say what the last labels changed."""
    table = AnnotationTable(learning.folder)
    rows = [row for row in table.rows(label=learning.label) if row.state is not None]
    states = [row.state for row in rows if row.purpose == "train"]
    notes: list[str] = []
    probe, change, density = None, None, None
    try:
        learning.fit(table, rows, learning.probe)
        probe = learning.probe
    except (TaskError, UsageError) as error:
        notes.append(f"no probe yet: {error}")
    if probe is not None:
        change = _change(learning, table, rows, notes)
        density = _density(learning, notes)
    return RoundReport(
        judging=judging,
        n_present=states.count("present"),
        n_absent=states.count("absent"),
        n_estimate=sum(row.purpose == "estimate" for row in rows),
        probe=probe,
        change=change,
        density=density,
        notes=tuple(notes),
    )


def _change(
    learning: _Learning, table: AnnotationTable, rows: Sequence[AnnotationRow], notes: list[str]
) -> Change | None:
    """Decisions with and without the labels that were judged last."""
    in_time = sorted(rows, key=lambda row: row.at)
    last, before = in_time[-LAST:], in_time[:-LAST]
    archive = Archive(learning.store)
    now = learning.decisions(archive, learning.probe)
    with TemporaryDirectory(prefix="dawnchorus-round-") as folder:
        try:
            learning.fit(table, before, Path(folder) / "before.probe")
        except (TaskError, UsageError):
            notes.append(
                f"what the last {len(last)} labels changed is not known: those before them are too "
                "few for a probe"
            )
            return None
        then = learning.decisions(archive, Path(folder) / "before.probe")
    index = WindowIndex(archive.windows())
    at = [place for row in last if (place := index.by_span(row)) != NOT_THERE]
    return Change(
        n_last=len(last),
        n_last_changed=int((now != then)[at].sum()),
        n_changed=int((now != then).sum()),
        n_windows=len(now),
        n_before=int(then.sum()),
        n_now=int(now.sum()),
    )


def _density(learning: _Learning, notes: list[str]) -> Density | None:
    """Share of all windows with the call, if there are windows judged to estimate it."""
    try:
        report = call_density(
            learning.store, learning.label, annotations=learning.folder, probe=learning.probe,
            progress=learning.progress,
        )  # fmt: skip
    except UsageError as error:
        notes.append(f"no estimate yet: {error}")
        return None
    return report.rows[0].density
