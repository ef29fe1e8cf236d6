"""A round: suggest, judge, fit, and say what the labels changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dawnchorus.annotations.annotation_row import AnnotationRow, new_row
from dawnchorus.annotations.annotation_table import AnnotationTable, changed
from dawnchorus.errors import UsageError
from dawnchorus.labelling import round as rounds
from dawnchorus.labelling.density import Density
from dawnchorus.labelling.judging import Judging, judged_by
from dawnchorus.labelling.round import (
    LAST,
    Change,
    RoundReport,
    RoundSettings,
    label_round,
    probe_beside,
)
from dawnchorus.labelling.scores import window_scores
from dawnchorus.labelling.suggest import suggest_windows
from dawnchorus.search.archive import Archive
from planted_store import plant, planted_vectors

CALL = 2  # the group that holds the label
DRAWS = np.random.default_rng(4)
GROUPS = {f"{at}.wav": DRAWS.integers(0, 6, 12).tolist() for at in range(24)}
LIKE = planted_vectors(np.array([CALL]), seed=9)


def truth(row: AnnotationRow) -> Any:
    return "present" if GROUPS[row.path][int(row.start_s)] == CALL else "absent"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return plant(tmp_path / "x.store", GROUPS)


def settings(n: int = 40, **more: Any) -> RoundSettings:
    return RoundSettings(n=n, author="ann", **more)


def change(**more: int) -> Change:
    usual = {"n_last": LAST, "n_last_changed": 0, "n_changed": 2, "n_windows": 400}
    return Change(**{**usual, "n_before": 50, "n_now": 52, **more})


@pytest.mark.long
def test_rounds_find_the_call_and_end_in_advice_to_stop(store: Path, tmp_path: Path) -> None:
    reports = [
        label_round(store, "wren", judged_by(truth), settings=settings(seed=at), like=LIKE)
        for at in range(3)
    ]
    first, last = reports[0], reports[-1]
    assert first.change is None
    assert any("too few for a probe" in note for note in first.notes)
    assert [report.judging.n_reviewed for report in reports] == [40, 40, 40]
    assert (last.n_present + last.n_absent, last.n_estimate) == (96, 24)
    rows = AnnotationTable(tmp_path / "x.annotations").rows()
    assert len(rows) == 120
    assert all(row.state == truth(row) and row.author == "ann" for row in rows)
    # the probe knows the call from everything else
    assert last.probe == probe_beside(store, "wren") == tmp_path / "x.wren.probe"
    scores = window_scores(Archive(store), probe=last.probe)
    is_call = np.array([group == CALL for name in sorted(GROUPS) for group in GROUPS[name]])
    assert ((scores >= 0.5) == is_call).mean() > 0.98
    assert last.change is not None
    assert (last.change.n_last, last.change.n_windows) == (LAST, 288)
    assert last.change.is_small
    assert last.density is not None
    assert last.density.low <= is_call.mean() <= last.density.high
    assert last.density.n_judged == 24
    assert last.may_stop(1.0)
    assert not last.may_stop(0.01)


def test_a_round_begins_with_what_is_left_and_not_with_windows_of_a_density(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_learned", lambda _, judging: judging)
    left = suggest_windows(store, "wren", 6, scorer=LIKE)
    table = AnnotationTable(tmp_path / "x.annotations")
    table.append([changed(left[0], state="absent", author="bob")])
    plan = {"drawn": [type("Drawn", (), {"id": left[1].id})()]}
    monkeypatch.setattr(rounds, "read_plans", lambda *_: {"p": type("Plan", (), plan)()})
    asked: list[AnnotationRow] = []

    def quitting(judging: Judging) -> None:
        asked.extend(judging.suggestions)
        judging.judge("present")

    label_round(store, "wren", quitting, settings=settings(10), like=LIKE)
    assert [row.id for row in asked[:4]] == [row.id for row in left[2:]]
    assert len({row.id for row in asked}) == 10
    second: list[AnnotationRow] = []
    label_round(store, "wren", lambda j: second.extend(j.suggestions), settings=settings(9))
    assert [row.id for row in second] == [row.id for row in asked[1:]]  # nothing new


def test_too_few_labels_are_no_failure(store: Path) -> None:
    judge = judged_by(lambda _: "absent")
    report = label_round(store, "wren", judge, settings=settings(5), like=LIKE)
    assert (report.probe, report.change, report.density) == (None, None, None)
    assert report.n_absent == 4
    assert "no probe yet: " in report.notes[0]
    assert not report.may_stop(1.0)
    assert not probe_beside(store, "wren").exists()


def test_what_teaches_nothing_is_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="random draws windows to estimate from"):
        label_round(store, "wren", judged_by(truth), settings=settings(strategy="random"))
    assert not (tmp_path / "x.annotations").exists()


@pytest.mark.parametrize(
    ("more", "small"),
    [
        ({}, True),
        ({"n_changed": 4}, False),  # 1 % is not under 1 %
        ({"n_changed": 3}, True),
        ({"n_last": LAST - 1}, False),
        ({"n_last_changed": 9}, True),
    ],
)
def test_few_changes_are_under_one_per_cent_by_fifty_labels(
    more: dict[str, int], *, small: bool
) -> None:
    assert change(**more).is_small is small


@pytest.mark.parametrize(
    ("changed_windows", "high", "stop"), [(2, 0.15, True), (2, 0.151, False), (40, 0.15, False)]
)
def test_advice_to_stop_needs_both(
    changed_windows: int, high: float, *, stop: bool, tmp_path: Path
) -> None:
    judging = Judging(AnnotationTable(tmp_path / "x", create=True), [], "ann")
    report = RoundReport(
        judging=judging, n_present=0, n_absent=0, n_estimate=0, probe=None,
        change=change(n_changed=changed_windows), notes=(),
        density=Density(400, 60, 0.12, 0.1, high, "own", ""),
    )  # fmt: skip
    assert report.may_stop(0.05) is stop


@pytest.mark.parametrize(
    ("label", "name"), [("wren", "a.wren.probe"), ("Parus/major!", "a.Parus_major.probe"),
                        ("дрозд", "a.дрозд.probe"), ("*", "a.label.probe"),
                        ("x" * 99, f"a.{'x' * 60}.probe")],
    ids=range(5),
)  # fmt: skip
def test_a_probe_lies_beside_its_store(label: str, name: str, tmp_path: Path) -> None:
    assert probe_beside(tmp_path / "a.store", label) == tmp_path / name


def test_the_last_labels_are_those_that_were_judged_last(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe without them, and windows that change, without the cost of fits."""
    table = AnnotationTable(tmp_path / "x.annotations", create=True)
    places = [(name, at) for name in sorted(GROUPS) for at in range(3)][: LAST + 10]
    rows = [new_row(name, at, at + 1, "wren", author="ann") for name, at in places]
    order = np.random.default_rng(1).permutation(len(rows))
    for at in order:
        rows[at] = changed(rows[at], author="ann")
    table.append(rows)
    fits: list[set[str]] = []
    decided = iter([np.arange(288) % 2 == 0, np.arange(288) % 2 == 0])
    monkeypatch.setattr(
        rounds._Learning, "fit", lambda _, __, own, ___: fits.append({row.id for row in own})
    )
    monkeypatch.setattr(rounds._Learning, "decisions", lambda *_: next(decided))
    monkeypatch.setattr(rounds, "_density", lambda *_: None)
    learning = rounds._Learning(
        store, "wren", table.folder, tmp_path / "p", None, rounds.NO_PROGRESS
    )
    report = rounds._learned(learning, Judging(table, [], "ann"))
    assert fits == [{row.id for row in rows}, {rows[at].id for at in order[:10]}]
    assert report.change is not None
    assert (report.change.n_last, report.change.n_changed, report.change.n_now) == (LAST, 0, 144)
