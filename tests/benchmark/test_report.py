"""A report shows what was scored, chooses on validation, and never mixes protocols."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dawnchorus.benchmark.figures import published_figures
from dawnchorus.benchmark.report import benchmark_report
from dawnchorus.benchmark.report.confusion import confusion
from dawnchorus.benchmark.report.facts import detail_tables, leak_tables, settings_table
from dawnchorus.benchmark.report.maps import project
from dawnchorus.benchmark.report.paired import compare_models, widen
from dawnchorus.benchmark.report.protocol_scores import ProtocolScores, by_protocol, short_models
from dawnchorus.benchmark.report.reported_scores import read_results, scores_of
from dawnchorus.benchmark.report.run_folder import RunFolder
from dawnchorus.benchmark.report.style import model_style, panels
from dawnchorus.benchmark.report.summary import Summary, mean_of, opening_table
from dawnchorus.benchmark.report.table_cells import Notes, ReportTable
from dawnchorus.benchmark.report.tables import score_tables, summary_table
from dawnchorus.cli.app import main
from dawnchorus.errors import TaskError, UsageError
from made_results import grid, row, run_folder, table

EAT = "esp_aves2_sl_eat_all_ssl_all"


def section_of(*rows: dict[str, object]) -> ProtocolScores:
    (found,) = by_protocol(scores_of(table(list(rows))))
    return found


def cells(made: ReportTable, name: str) -> list[str]:
    (line,) = [line for line in made.rows if line.name == name]
    return [cell.text for cell in line.cells]


def test_the_setting_is_chosen_on_validation_and_shown_on_test() -> None:
    rows = []
    for split, by_layer in {"val": (0.5, 0.8, 0.6), "test": (0.95, 0.4, 0.5)}.items():
        for layer, value in enumerate(by_layer):
            more = {"readout": str(layer), "split": split}
            rows.append(row("local/esc50", "m", "accuracy", value, **more))
    section = section_of(*rows)
    assert section.main["m", "local/esc50", "accuracy"].value == 0.4
    (line,) = settings_table(section).rows
    assert [cell.text for cell in line.cells][1:4] == [
        "layer 1, valid, linear", "best on validation of 1 task", "3",
    ]  # fmt: skip


def test_scores_of_validation_alone_are_shown_and_said_to_be_so(tmp_path: Path) -> None:
    rows = [row("local/esc50", "m", "accuracy", 0.7, split="val")]
    text = benchmark_report(table(rows), tmp_path).markdown.read_text("utf-8")
    assert "0.700" in text
    assert "Scored on validation only" in text
    both = [*rows, row("local/esc50", "m", "accuracy", 0.6)]
    text = benchmark_report(table(both), tmp_path).markdown.read_text("utf-8")
    assert "0.600" in text
    assert "0.700" not in text
    assert "Scored on validation only" not in text


def test_without_validation_the_best_on_test_is_not_taken() -> None:
    rows = [
        row("local/esc50", "m", "accuracy", value, readout=str(layer))
        for layer, value in enumerate((0.3, 0.9))
    ]
    section = section_of(*rows)
    assert section.main["m", "local/esc50", "accuracy"].value == 0.3
    assert "no validation scores" in section.choices["m", "probe"].how


def test_a_setting_that_was_scored_on_fewer_tasks_is_not_chosen() -> None:
    rows = [
        row("local/esc50", "m", "accuracy", 0.9, readout="0", split="val"),
        row("local/esc50", "m", "accuracy", 0.5, readout="1", split="val"),
        row("local/digits", "m", "accuracy", 0.5, readout="1", split="val"),
        row("local/esc50", "m", "accuracy", 0.5, readout="1"),
    ]
    assert section_of(*rows).choices["m", "probe"].setting.readout == "1"


def test_a_task_that_lacks_the_chosen_setting_is_shown_and_marked() -> None:
    rows = [
        row("local/esc50", "m", "accuracy", 0.5, readout="1", split=split)
        for split in ("val", "test")
    ]
    rows.append(row("local/digits", "m", "accuracy", 0.6, readout="output"))
    (made,) = score_tables(section_of(*rows))
    assert cells(made, "m") == ["0.600", "0.500", "0.550"]
    assert [cell.mark for cell in made.rows[0].cells] == ["a", "", ""]
    assert made.notes[0].endswith("output, valid, linear")


def test_the_task_says_which_measure_counts() -> None:
    names = ("accuracy", "macro_recall")
    section = section_of(*(row("local/bird_species", "m", name, 0.5) for name in names))
    assert section.asked("local/bird_species", "probe") == "macro_recall"
    unknown = section_of(*(row("other/unknown", "m", name, 0.5) for name in names))
    assert unknown.asked("other/unknown", "probe") == "accuracy"


def test_published_figures_stand_beside_scores_of_the_paper_only() -> None:
    rows = grid([EAT, "mine"], ["beans/watkins", "beans/cbi"])
    strict, paper = (
        section_of(*(one | {"protocol": protocol} for one in rows))
        for protocol in ("strict", "paper")
    )
    assert {line.kind for made in score_tables(strict) for line in made.rows} == {"own"}
    first = next(made for made in score_tables(paper) if made.title.endswith("accuracy"))
    theirs = published_figures().of("sl-EAT-all", "beans/watkins", "accuracy")
    assert theirs is not None
    assert theirs.value == 0.885
    assert cells(first, "published: sl-EAT-all") == ["0.885", "0.755", "0.820"]
    ours = paper.main[EAT, "beans/watkins", "accuracy"].value
    assert cells(first, "ours less published")[0] == f"{ours - 0.885:+.3f}"
    assert sum(line.kind == "published" for line in first.rows) == 20 + 1
    means = summary_table(paper)
    assert means is not None
    assert cells(means, "sl-EAT-all")[0] == "0.820"


def test_a_doubtful_or_missing_published_figure_is_marked() -> None:
    made = score_tables(section_of(row("birdset/POW", "m", "beans_map", 0.2, protocol="paper")))[0]
    (line,) = [line for line in made.rows if line.name == "BirdNET"]
    assert (line.cells[0].text, line.cells[0].mark) == ("n/a", "a")
    assert made.notes[0].startswith("a: not published")
    otters = row("repertoire/giant_otters", "m", "retrieval_roc_auc", 0.8, protocol="paper")
    assert "doubtful" in score_tables(section_of(otters))[0].notes[0]


def test_protocols_are_never_in_one_section() -> None:
    rows = [row("local/esc50", "m", "accuracy", 0.5, protocol=name) for name in ("strict", "paper")]
    found = by_protocol(scores_of(table(rows)))
    assert [section.protocol for section in found] == ["paper", "strict"]
    assert all({s.protocol for s in one.scores} == {one.protocol} for one in found)


def test_an_undefined_score_is_explained_and_leaves_no_mean() -> None:
    why = "clustering needs 2 classes, this split has 1"
    nothing = {"low": None, "high": None, "reason": why}
    section = section_of(
        row("local/a", "m", "nmi", float("nan"), **nothing),
        row("local/b", "m", "nmi", 0.5),
        row("local/a", "n", "nmi", 0.25),
        row("local/b", "n", "nmi", 0.75),
    )
    (made,) = score_tables(section)
    assert cells(made, "m") == ["n/a", "0.500", ""]
    assert cells(made, "n") == ["0.250", "0.750", "0.500"]
    assert made.notes == (f"a: {why}",)
    assert [line.name for line in made.rows] == ["n", "m"]


def test_the_best_of_a_column_is_marked_where_there_are_two() -> None:
    rows = [row("local/a", "m", "nmi", 0.5), row("local/a", "n", "nmi", 0.7)]
    (made,) = score_tables(section_of(*rows))
    assert [(line.name, line.cells[0].best) for line in made.rows] == [("n", True), ("m", False)]
    (alone,) = score_tables(section_of(rows[0]))
    assert not alone.rows[0].cells[0].best


def test_with_and_without_known_items_stand_beside_each_other() -> None:
    section = section_of(
        row("local/esc50", "m", "accuracy", 0.75, n_items=400),
        row("local/esc50", "m", "accuracy", 0.5, leaks="without", n_items=398),
        row("local/esc50", "n", "accuracy", 0.7),
    )
    (made,) = leak_tables(section)
    assert [line.name for line in made.rows] == ["m"]
    assert cells(made, "m") == ["0.750", "0.500", "-0.250", "400, 398"]
    assert section.main["m", "local/esc50", "accuracy"].value == 0.75


def test_few_labels_and_single_seeds_are_in_no_table() -> None:
    section = section_of(
        row("local/esc50", "m", "accuracy", 0.75),
        row("local/esc50", "m", "accuracy", 0.2, n_labels=5),
        row("local/esc50", "m", "accuracy", 0.9, seed=1),
    )
    for made in (*score_tables(section), *detail_tables(section)):
        assert [cell.text for line in made.rows for cell in line.cells][-1] == "0.750"
    with pytest.raises(TaskError, match="over all seeds"):
        scores_of(table([row("local/esc50", "m", "accuracy", 0.9, seed=1)]))


def test_the_latest_of_equal_rows_counts() -> None:
    rows = [
        row("local/esc50", "m", "accuracy", value, finished_at=when)
        for value, when in ((0.9, "2025-02-01"), (0.1, "2025-01-01"))
    ]
    assert [score.value for score in scores_of(table(rows))] == [0.9]


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    why = {"low": None, "high": None, "reason": "none, is defined"}
    rows = [*grid(["m"], ["local/esc50"], n_layers=2), row("a/b", "m", "nmi", float("nan"), **why)]
    pa_csv.write_csv(table(rows), tmp_path / "results.csv")
    from_csv = scores_of(read_results(tmp_path / "results.csv"))
    for one, two in zip(scores_of(table(rows)), from_csv, strict=True):
        undefined = {name: 0.0 for name in ("value", "low", "high") if not one.defined}
        assert replace(one, **undefined) == replace(two, **undefined)  # type: ignore[arg-type]


def test_what_is_no_table_of_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no results there"):
        read_results(tmp_path)
    (tmp_path / "results.parquet").write_bytes(b"no")
    with pytest.raises(TaskError, match="not results"):
        read_results(tmp_path)
    with pytest.raises(TaskError, match="are missing"):
        scores_of(pa.table({"task": ["a"]}))
    with pytest.raises(TaskError, match="cannot choose by 'value'"):
        scores_of(table([row("a", "m", "nmi", 0.5)]), {"value": "1"})


def test_rows_can_be_chosen_and_a_probe_spares_those_that_have_none() -> None:
    rows = [
        row("local/esc50", "m", "accuracy", 0.5, probe="linear"),
        row("local/esc50", "m", "accuracy", 0.6, probe="mlp"),
        row("local/esc50", "m", "nmi", 0.4),
    ]
    found = scores_of(table(rows), {"probe": "mlp"})
    assert [score.value for score in found] == [0.6, 0.4]


def test_names_and_looks_of_twenty_models_differ() -> None:
    names = [f"runs/a_long_name_of_many_{n % 2}/{'x' * 30}/final_{n // 2}" for n in range(20)]
    labels = short_models([*names, "short"])
    assert len(set(labels.values())) == 21
    assert max(map(len, labels.values())) <= 34 + 3
    assert labels["short"] == "short"
    assert len({model_style(place) for place in range(20)}) == 20


def test_marks_of_notes_go_on_after_z() -> None:
    notes = Notes()
    assert [notes.mark(str(n)) for n in range(28)][-3:] == ["z", "aa", "ab"]
    assert notes.mark("3") == "d"


def test_a_model_is_compared_item_by_item_with_the_best(tmp_path: Path) -> None:
    rows = run_folder(tmp_path, {"good": 3.0, "poor": 0.5, "twin": 3.0})
    section = section_of(*rows)
    made = compare_models(section, RunFolder(tmp_path, tmp_path / "features"), "good")
    assert made is not None
    poor = made.pairs["made/calls", "accuracy"]["poor"]
    scores = section.main_of("made/calls", "probe")
    assert poor.difference == pytest.approx(scores["poor"].value - scores["good"].value)
    assert poor.low < poor.difference < poor.high < 0
    near = made.pairs["made/calls", "retrieval_roc_auc"]["twin"]
    assert near.low < 0 < near.high
    assert not made.left_out
    with pytest.raises(UsageError, match="no model 'other'"):
        compare_models(section, RunFolder(tmp_path, tmp_path), "other")
    assert compare_models(section, RunFolder(tmp_path / "x", tmp_path)) is None


def test_equal_models_are_not_drawn_apart() -> None:
    _, [axes] = panels(1, most_columns=1, size_in=(3, 2))
    axes.plot([0, 1e-17], [0, 0])
    widen(axes, 0.02)
    low, high = axes.get_xlim()
    assert high - low == pytest.approx(0.02)
    assert low < 0 < high
    axes.plot([0, 1], [0, 0])
    axes.set_xlim(-0.5, 1.5)
    widen(axes, 0.02)
    assert axes.get_xlim() == (-0.5, 1.5)


def test_retrieval_that_was_scored_otherwise_is_not_compared(tmp_path: Path) -> None:
    rows = [
        one | ({"value": 0.9} if one["measure"] == "retrieval_roc_auc" else {})
        for one in run_folder(tmp_path, {"good": 3.0, "poor": 0.5})
    ]
    made = compare_models(section_of(*rows), RunFolder(tmp_path, tmp_path / "features"))
    assert made is not None
    assert {measure for _, measure in made.pairs} == {"accuracy"}
    assert "not scored among the items of the split alone" in made.left_out[0]


def test_a_confusion_matrix_counts_every_item_of_every_seed(tmp_path: Path) -> None:
    section = section_of(*run_folder(tmp_path, {"m": 1.0}, n_items=40, n_classes=4))
    score = section.main["m", "made/calls", "accuracy"]
    counts = confusion(RunFolder(tmp_path, tmp_path).predictions(score))
    assert counts.sum(axis=1).tolist() == [20, 20, 20, 20]
    assert np.trace(counts) / counts.sum() == pytest.approx(score.value)


def test_a_map_keeps_what_two_dimensions_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dawnchorus.benchmark.report.maps.find_spec", lambda _name: None)
    angle = np.linspace(0, 6, 30)
    flat = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    turned, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 2)))
    points = project(flat @ turned.T * np.linspace(1, 9, 30)[:, None])  # lengths say nothing
    gaps, made = (np.linalg.norm(p[:, None] - p[None], axis=2) for p in (flat, points))
    np.testing.assert_allclose(gaps, made, atol=1e-9)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.n_images = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        places = [value or "" for name, value in attrs if name in {"src", "href"}]
        self.n_images += tag == "img"
        self.outside += [place for place in places if not place.startswith(("data:", "#"))]


@pytest.mark.parametrize("n_models", [1, 5])
def test_the_page_needs_no_other_file(n_models: int, tmp_path: Path) -> None:
    skills = {f"<model {n}>": 0.5 + n for n in range(n_models)}
    rows = run_folder(tmp_path, skills)
    rows += grid([*skills], ["local/scene_detection"], n_layers=3)
    pq.write_table(table(rows), tmp_path / "results.parquet")
    made = benchmark_report(tmp_path, tmp_path / "out", title="a <title>")
    text = made.html.read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert not page.outside
    assert page.n_images == len(made.pictures)
    assert "<title>" in text
    assert "a <title>" not in text
    assert "<model 0>" not in text
    names = {path.stem for path in made.pictures}
    assert {"strict_made_calls_map", "strict_made_calls_confusion"} <= names
    assert {"strict_local_cmap_layers", "strict_local_cmap_labels"} <= names
    assert ("strict_paired" in names) == (n_models > 1)
    written = made.markdown.read_text(encoding="utf-8")
    assert all(f"](pictures/{path.name})" in written for path in made.pictures)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made.pictures)


def test_commands_report_and_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_folder(tmp_path, {"m": 1.0})
    assert main(["benchmark", "report", str(tmp_path), "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["protocols"] == ["strict"]
    assert (tmp_path / "report" / "report.html").is_file()
    assert main(["benchmark", "report", str(tmp_path), "--where", "probe"]) == 2
    assert "need NAME=VALUE" in capsys.readouterr().err
    clips = pa.table(
        {
            "id": ["a", "b"],
            "path": ["XC77.wav", "x/XC77-copy.wav"],
            "labels": [["wren"], ["wren"]],
            "split": ["test", "train"],
            "tasks": [["local/birds"], []],
        }
    )
    pa.parquet.write_table(clips, tmp_path / "clips.parquet")
    given = ["benchmark", "leaks", str(tmp_path / "clips.parquet"), "--written-only", "-q"]
    given += ["--against", str(tmp_path / "clips.parquet"), "-o", str(tmp_path / "audit")]
    assert main([*given, "--task", "local/birds"]) == 0
    out = capsys.readouterr().out
    assert "a and b: source id, xeno-canto:77 (1.00)" in out
    assert "1 of 1 test items are known from 1 training clips" in out
    assert main([*given, "--task", "local/frogs"]) == 1


def test_the_summary_is_over_the_tasks_that_every_model_has(tmp_path: Path) -> None:
    easy, hard = "local/esc50", "local/bird_species"
    rows = [
        row(hard, "all", "macro_recall", 0.4, low=0.3, high=0.5),
        row(easy, "all", "accuracy", 0.8, low=0.7, high=0.9),
        row(easy, "all", "nmi", 0.6, low=float("nan"), high=float("nan")),
        row(hard, "lazy", "macro_recall", 0.5, low=0.4, high=0.6),
        row(easy, "lazy", "nmi", 0.5),
    ]
    section = section_of(*rows)
    summary = Summary(section)
    assert summary.tasks == {"probe": (hard,), "clustering": (easy,)}
    assert list(summary.means) == ["lazy", "all"]  # by the first kind
    made = opening_table(section)
    assert made.headings[1:] == (
        "Probe: each task's own measure (1 tasks)", "Clustering: NMI (1 tasks)"
    )  # fmt: skip
    assert cells(made, "lazy") == ["0.500", "0.500"]
    assert any("1 tasks have too few groups" in note for note in made.notes)
    both = [score for score in section.scores if score.model == "all"][:2]
    mean = mean_of(both)  # variances add up: 0.1 for each of two is 0.1 / sqrt(2) for their mean
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.6, 0.6 - 0.0707, 0.6707), abs=1e-4)
    text = benchmark_report(table(rows), tmp_path).markdown.read_text("utf-8")
    first = text.index("### ")
    assert text[first:].startswith("### Summary\n\n![Probe, retrieval and clustering]")
    assert text.index("| lazy |") < text.index("### Scores by task")


def test_what_others_report_stands_below_ours_where_it_covers_the_same_tasks(
    tmp_path: Path,
) -> None:
    rows = grid(["m"], ["local/esc50", "local/bird_species"])
    lines = ["model,task,measure,value"]
    lines += [f"whole,local/{t},nmi,0.{n}" for n, t in enumerate(("esc50", "bird_species"), 4)]
    lines += ["half,local/esc50,nmi,0.9"]
    (tmp_path / "others.csv").write_text("\n".join(lines))
    made = benchmark_report(table(rows), tmp_path / "out", figures=tmp_path / "others.csv")
    summary = made.markdown.read_text("utf-8").partition("### Scores by task")[0]
    assert "| *whole* |  |  | 0.450 |" in summary
    assert "half" not in summary


def test_all_differences_stand_on_one_axis(tmp_path: Path) -> None:
    run_folder(tmp_path, {"good": 2.0, "poor": 0.5, "poorer": 0.2})
    made = benchmark_report(tmp_path, tmp_path / "out")
    assert [p.stem for p in made.pictures if "paired" in p.stem] == ["strict_paired"]
