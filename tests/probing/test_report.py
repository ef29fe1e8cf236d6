"""The pages and lines of a probe's report say what was measured, and nothing that was not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clip_tables import clip_table
from dawnchorus.configs import FitConfig, ProbeRunConfig
from dawnchorus.failures import Failure
from dawnchorus.probes.features import Features
from dawnchorus.probes.few_shot import CurvePoint
from dawnchorus.probes.fit import fit_probe
from dawnchorus.probes.fitted import EncoderMark, FittedProbe
from dawnchorus.probes.held_out import cross_validated
from dawnchorus.probing.evaluate import EvaluationReport
from dawnchorus.probing.fit import ProbeReport
from dawnchorus.probing.labels import label_clips
from dawnchorus.probing.report import (
    CLASS_HEADINGS,
    class_rows,
    error_rows,
    evaluation_lines,
    fit_lines,
    interval,
    number,
    score_lines,
    table,
    write_evaluation,
    write_report,
)
from dawnchorus.probing.scores import Evaluation, calibrated, evaluated

NAMES = ("ant", "bee")
CONFIG = ProbeRunConfig(
    fit=FitConfig(strengths=(0.1,)), confidence=0.0, calibration="temperature", target_recall=0.7
)
CLIPS = label_clips(clip_table([("", (NAMES[k % 2],)) for k in range(40)]))
CURVE = [
    CurvePoint(n_clips=2, value=0.5, low=0.4, high=0.6, n_draws=10, n_short=0),
    CurvePoint(n_clips=None, value=0.8, low=np.nan, high=np.nan, n_draws=1, n_short=0),
]


def items(seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    y = CLIPS.truth
    x = rng.normal(size=(40, 4)) + np.pad(1.5 * y, [(0, 0), (0, 2)])
    return Features(x.astype(np.float32), y, group=CLIPS.group)


@pytest.fixture(scope="module")
def measured() -> tuple[FittedProbe, Evaluation]:
    probe = fit_probe(
        CONFIG.fit, items(), None, NAMES, multi_label=False, encoder=EncoderMark("toy", "0" * 64)
    )
    probe.notes = probe.notes.with_(window_s=1.0)
    return calibrated(probe, cross_validated(CONFIG.fit, probe, items()), CLIPS, CONFIG)


@pytest.fixture
def report(measured: tuple[FittedProbe, Evaluation], tmp_path: Path) -> ProbeReport:
    probe, evaluation = measured
    return ProbeReport(
        probe=probe, folder=tmp_path, n_clips=40, n_windows=40, n_groups=40, n_cached=3, n_test=2,
        evaluation=evaluation, curve=CURVE, warnings=("bees are few",),
        failures=(Failure("x.wav", "missing", "x.wav: no such file"),),
        seconds={"encoding": 1.0, "fitting": 2.0},
    )  # fmt: skip


def test_the_page_has_every_figure_that_was_measured(report: ProbeReport) -> None:
    write_report(report)
    page = (report.folder / "report.md").read_text()
    assert report.evaluation is not None
    for line in score_lines(report.evaluation):
        assert f"- {line}" in page
    for row in class_rows(report.evaluation):
        assert "| " + " | ".join(row) + " |" in page
    for text in ("bees are few", "2 clips of split test were left alone", "recall of 0.7",
                 "Calibration: temperature", "toy, weights 0000000000000000"):  # fmt: skip
        assert text in page
    pictures = {path.name for path in report.folder.glob("*.png")}
    assert pictures == {"reliability.png", "learning_curve.png"}
    assert all(f"]({name})" in page for name in pictures)


def test_a_probe_that_nothing_could_be_held_out_for_has_a_page_without_scores(
    report: ProbeReport,
) -> None:
    bare = replace(report, evaluation=None, curve=[], n_test=0, warnings=())
    write_report(bare)
    page = (report.folder / "report.md").read_text()
    assert "How it was made" in page
    assert not any(word in page for word in ("How well", "Class by class", "watch out", "test"))
    assert list(report.folder.glob("*.png")) == []
    assert [line.split(":")[0] for line in fit_lines(bare)][-1] == "the whole report"


def test_missing_thresholds_are_explained_only_where_one_is_missing(report: ProbeReport) -> None:
    assert report.evaluation is not None
    assert all(t.value is not None for t in report.evaluation.thresholds)
    write_report(report)
    assert "without a threshold" not in (report.folder / "report.md").read_text()
    first, second = report.evaluation.thresholds
    missing = replace(first, value=None, reason="4 clips held out; need 5 to say anything")
    write_report(
        replace(report, evaluation=replace(report.evaluation, thresholds=[missing, second]))
    )
    page = (report.folder / "report.md").read_text()
    assert "- ant: 4 clips held out" in page
    assert "without a threshold gives no detections" in page
    none = replace(report.evaluation, thresholds=[missing, replace(missing, label="bee")])
    lines = list(fit_lines(replace(report, evaluation=none)))
    assert any("no class has a threshold" in line for line in lines)


def test_what_json_says_of_a_fit_is_json_and_has_all_counts(report: ProbeReport) -> None:
    said = json.loads(json.dumps(report.to_json(), allow_nan=False, default=str))
    assert (said["n_clips"], said["n_cached"], said["n_test"]) == (40, 3, 2)
    assert said["bad"] == [
        {"path": "x.wav", "verdict": "missing", "message": "x.wav: no such file"}
    ]
    assert said["notes"]["window_s"] == 1.0


def test_notes_hold_what_was_measured_and_survive_saving(report: ProbeReport) -> None:
    assert report.evaluation is not None
    report.probe.notes = report.probe.notes.with_(**report.evaluation.notes())
    report.probe.save(report.folder)
    notes = FittedProbe.load(report.folder).notes.to_json()
    assert notes["held_out"]["n_windows"] == 40
    assert [row["label"] for row in notes["by_class"]] == list(NAMES)
    assert notes["scores"]["accuracy"]["value"] == report.evaluation.scores["accuracy"].value
    assert notes["calibration"]["after"] == report.evaluation.calibration_errors


def test_an_evaluation_s_page_has_its_lines_and_its_table(
    measured: tuple[FittedProbe, Evaluation], tmp_path: Path
) -> None:
    probe, _ = measured
    found = EvaluationReport(
        n_clips=40, n_windows=40, n_groups=40, n_seen=2, n_unknown=1, unknown=("cow",),
        evaluation=evaluated(probe, items(seed=1), CLIPS), failures=(),
    )  # fmt: skip
    write_evaluation(found, Path("wren.probe"), tmp_path)
    page = (tmp_path / "evaluation.md").read_text()
    assert page.startswith("# wren.probe on other clips")
    assert "2 clips are of files that the probe was fitted on" in page
    assert "1 clips have only labels that the probe does not know: cow" in page
    for line in evaluation_lines(found):
        assert f"- {line}" in page
    said = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert said["unknown"] == ["cow"]
    assert [row["value"] for row in said["thresholds"]] == [probe.thresholds[n] for n in NAMES]


def test_a_class_without_a_threshold_of_its_own_says_so(
    measured: tuple[FittedProbe, Evaluation],
) -> None:
    probe = replace(measured[0], thresholds={"ant": 0.5})
    ant, bee = evaluated(probe, items(seed=1), CLIPS).thresholds
    assert (ant.value, ant.reason) == (0.5, "")
    assert (bee.value, bee.reason) == (None, "the probe has no threshold for it")
    assert bee.n_positive == 20


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (number(None), "-"), (number(float("nan")), "-"), (number(0.126), "0.13"),
        (number(0.5, 3), "0.500"), (interval(None, 0.1, 0.2), "-"),
        (interval(0.5, None, None), "0.50"), (interval(0.5, float("nan"), 1.0), "0.50"),
        (interval(0.5, 0.25, 0.75), "0.50 [0.25, 0.75]"),
    ],
)  # fmt: skip
def test_a_figure_that_is_not_defined_is_a_dash_and_an_interval_stands_behind_its_value(
    cell: str, text: str
) -> None:
    assert cell == text


def test_a_bar_in_a_name_does_not_end_its_cell() -> None:
    lines = list(table(("class",), [("bee|wasp",)]))
    assert lines == ["| class |", "|---|", "| bee\\|wasp |"]


def test_tables_have_as_many_cells_as_headings(measured: tuple[FittedProbe, Evaluation]) -> None:
    evaluation = measured[1]
    assert {len(row) for row in class_rows(evaluation)} == {len(CLASS_HEADINGS)}
    before, after = evaluation.errors_before_calibration, evaluation.calibration_errors
    rows = error_rows(before, after)
    assert len(rows) == len(before) == 6
    assert rows[0][1:] == (
        f"{before['ece_mass_first_guess']:.3f}", f"{after['ece_mass_first_guess']:.3f}",
    )  # fmt: skip
