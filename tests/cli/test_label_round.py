"""``dawnchorus label round``: what a round says of itself."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from dawnchorus.annotations.annotation_table import AnnotationTable
from dawnchorus.cli.app import main
from dawnchorus.cli.label_round import _show
from dawnchorus.labelling.density import Density
from dawnchorus.labelling.judging import Judging
from dawnchorus.labelling.round import Change, RoundReport
from planted_store import plant

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAWNCHORUS_AUTHOR", "ann")
    return plant(tmp_path / "x.store", {"a.wav": [0] * 8, "b.wav": [1] * 8})


@pytest.mark.usefixtures("store")
def test_a_round_without_the_call_says_that_there_is_no_probe(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\nn\nu\nq\n"))
    assert main(["label", "round", "x.store", "--label", "wren", "-n", "5"]) == 0
    said = capsys.readouterr()
    assert "x.annotations: reviewed 3 of 5: 0 present, 2 absent, 1 unsure; 2 left" in said.out
    assert "no probe yet: " in said.err
    assert "probe:" not in said.out
    rows = AnnotationTable("x.annotations").rows()
    left = [row.id for row in rows if row.state is None]
    monkeypatch.setattr("sys.stdin", io.StringIO("n\nn\n"))
    given = ["--label", "wren", "-n", "2", "-q", "--json"]
    assert main(["label", "round", "x.store", *given]) == 0
    said = capsys.readouterr()
    facts = json.loads(said.out)
    assert said.err == ""
    assert (facts["n_reviewed"], facts["probe"], facts["may_stop"]) == (2, None, False)
    judged = {row.id: row.state for row in AnnotationTable("x.annotations").rows()}
    assert [judged[name] for name in left] == ["absent", "absent"]  # what was left came first


@pytest.mark.parametrize(("width", "stop"), [(0.05, True), (0.03, False)], ids=["wide", "narrow"])
def test_a_report_says_what_changed_and_when_to_stop(
    width: float, *, stop: bool, tmp_path: Path, capsys: Capture
) -> None:
    report = RoundReport(
        judging=Judging(AnnotationTable(tmp_path / "x", create=True), [], "ann"),
        n_present=25, n_absent=71, n_estimate=24, probe=tmp_path / "wren.probe",
        change=Change(n_last=50, n_last_changed=5, n_changed=5, n_windows=6000, n_before=68,
                      n_now=73),
        density=Density(6000, 24, 0.12, 0.1, 0.14, "own", ""), notes=("mind this",),
    )  # fmt: skip
    _show(report, width, as_json=False)
    said = capsys.readouterr()
    lines = said.out.splitlines()[1:]
    assert lines[:4] == [
        "labels: 25 present and 71 absent to learn from, 24 for estimates",
        "the last 50 labels changed 0.08% of all decisions (5 of 6,000 windows, and 5 of those 50);"
        " present were 68, now 73",
        "estimate: 12.0% of the windows hold it, 10.0% to 14.0% (90% interval of 24 windows)",
        f"probe: {tmp_path / 'wren.probe'}",
    ]
    assert (lines[4:] == ["more labels will hardly change this: it may be time to stop"]) is stop
    assert said.err == "mind this\n"
    _show(report, width, as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["may_stop"] is stop
    assert facts["change"]["share"] == pytest.approx(5 / 6000)
    assert facts["density"]["high"] == 0.14
