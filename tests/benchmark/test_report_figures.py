"""What a report says is what the rows say: in tables, in both pages and in pictures."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from dawnchorus.benchmark.report import benchmark_report
from dawnchorus.benchmark.report.bars import bar_pictures
from dawnchorus.benchmark.report.confusion import _kept, confusion_pictures
from dawnchorus.benchmark.report.curves import label_pictures, layer_pictures
from dawnchorus.benchmark.report.maps import _most_frequent, map_pictures, project
from dawnchorus.benchmark.report.paired import compare_models, forest_picture, paired_table
from dawnchorus.benchmark.report.protocol_scores import ProtocolScores, by_protocol
from dawnchorus.benchmark.report.reported_scores import scores_of
from dawnchorus.benchmark.report.run_folder import ItemVectors, RunFolder
from dawnchorus.benchmark.report.style import model_style
from dawnchorus.benchmark.report.summary import opening_picture
from dawnchorus.benchmark.task_data import LabelledItems
from dawnchorus.metrics import retrieval
from made_results import row, run_folder, table

Row = dict[str, Any]
MODELS = ("a model", "b_model", "c|model")
TASKS = ("made/birds", "made/frogs", "local/esc50")
MEASURES = ("accuracy", "retrieval_roc_auc", "nmi")
FEW = "2 groups; an interval needs 5"
NONE = "clustering: needs 2 classes, found 1"


def drawn(seed: int) -> list[Row]:
    """Scores of which some were never made, some have no interval and some no value."""
    rng = np.random.default_rng(seed)
    rows = [row(TASKS[0], MODELS[0], "accuracy", 0.5)]
    for model in MODELS:
        for task in TASKS:
            for measure in MEASURES:
                fate, value = rng.integers(0, 6), float(rng.uniform(0.05, 0.95))
                if fate == 0 or (model, task, measure) == (MODELS[0], TASKS[0], "accuracy"):
                    continue
                blank = {"low": None, "high": None}
                more = {1: blank | {"reason": NONE}, 2: blank | {"reason": FEW}}.get(int(fate), {})
                rows.append(row(task, model, measure, math.nan if fate == 1 else value, **more))
    return rows


def section_of(rows: list[Row]) -> ProtocolScores:
    (section,) = by_protocol(scores_of(table(rows)))
    return section


def styles_of(section: ProtocolScores) -> Any:
    return {model: model_style(place) for place, model in enumerate(sorted(section.labels))}


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every figure that is drawn, in place of its pixels."""
    kept: list[Any] = []

    def keep(figure: Any, out: Any, **_: Any) -> None:
        kept.append(figure)
        out.write(b"\x89PNG")

    monkeypatch.setattr(Figure, "savefig", keep)
    return kept


class Tables(HTMLParser):
    """The cells of the tables of a page, line by line, as plain text."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[list[str]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        del attrs
        if tag == "tr":
            self.lines.append([])
        elif tag in {"td", "th"}:
            self.lines[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.lines[-1][-1] += data


def lines_of_markdown(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[clean(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def clean(text: str) -> str:
    """Without what only Markdown or only HTML writes around a number."""
    text = re.sub(r"</?sup>|\*|\\", "", text).replace("&lt;", "<")
    return re.sub(r"[\s()]+", "", text)


@pytest.mark.parametrize("seed", [1, 2])
def test_both_pages_say_the_same_and_every_cell_is_its_row(
    seed: int, tmp_path: Path, figures: list[Any]
) -> None:
    rows = drawn(seed)
    made = benchmark_report(table(rows), tmp_path)
    assert len(figures) == len(made.pictures)
    markdown = made.markdown.read_text("utf-8")
    page = Tables()
    page.feed(made.html.read_text("utf-8").rpartition("Every readout and probe")[0])
    of_html = [[clean(cell) for cell in line] for line in page.lines]
    assert lines_of_markdown(markdown) == of_html
    value_of = {(r["model"], r["task"], r["measure"]): r for r in rows}
    for block in markdown.partition("### Scores by task")[2].split("\n**")[1:]:
        title, lines = block.partition("**")[0], lines_of_markdown(block)
        measure = {"accuracy": "accuracy", "retrieval ROC AUC": "retrieval_roc_auc",
                   "NMI": "nmi"}.get(title.rpartition(": ")[2])  # fmt: skip
        if measure is None:  # means over tasks, and what was compared
            continue
        family = "local" if title.startswith("Local") else "made"
        for name, *cells in lines[1:]:
            (model,) = [model for model in MODELS if clean(model) == name]
            for task, cell in zip(lines[0][1:], cells, strict=True):
                if task != "mean":
                    check_cell(cell, value_of.get((model, f"{family}/{task}", measure)), block)


def check_cell(cell: str, score: Row | None, block: str) -> None:
    if score is None:
        assert cell == ""  # never computed
    elif math.isnan(score["value"]):
        mark = cell.removeprefix("n/a")
        assert re.search(rf"^{mark}: {re.escape(score['reason'])}$", block, re.MULTILINE)
    else:
        ends = "" if score["low"] is None else f"{score['low']:.3f}to{score['high']:.3f}"
        assert cell == f"{score['value']:.3f}{ends}"


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_means_and_ranks_are_those_of_the_rows(seed: int) -> None:
    rows = drawn(seed)
    section = section_of(rows)
    value_of = {(r["model"], r["task"], r["measure"]): r["value"] for r in rows}
    for measure in MEASURES:
        for tasks in (TASKS[:2], TASKS):
            means: dict[str, float] = {}
            for model in MODELS:
                values = [value_of.get((model, task, measure), math.nan) for task in tasks]
                means[model] = float(np.mean(values))
                found = section.mean(model, tasks, measure)
                assert found == pytest.approx(means[model], nan_ok=True)
            ranked = section.ranked(tasks, measure)
            asked = {m for m, t, name in value_of if name == measure and t in tasks}
            assert set(ranked) == asked
            whole = [means[model] for model in ranked if not math.isnan(means[model])]
            assert whole == sorted(whole, reverse=True)
            assert not any(math.isnan(means[model]) for model in ranked[: len(whole)])
    assert section.models == tuple(sorted({model for model, _, _ in value_of}))
    assert set(section.tasks) == {task for _, task, _ in value_of}


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_the_setting_that_speaks_for_a_model_is_the_best_mean_on_validation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    val, test = rng.uniform(0.1, 0.9, (2, 4, 3))  # layers by tasks
    rows = [
        row(task, "m", "accuracy", float(scores[layer, at]), readout=str(layer), split=split)
        for split, scores in (("val", val), ("test", test))
        for layer in range(4)
        for at, task in enumerate(TASKS)
    ]
    section = section_of([rows[i] for i in rng.permutation(len(rows))])
    best = int(val.mean(axis=1).argmax())
    assert section.choices["m", "probe"].setting.readout == str(best)
    assert section.choices["m", "probe"].n_settings == 4
    for at, task in enumerate(TASKS):
        assert section.main["m", task, "accuracy"].value == test[best, at]


def test_bars_and_whiskers_are_the_scores(figures: list[Any]) -> None:
    for rows in (drawn(3), drawn(5)):
        section = section_of(rows)
        figures.clear()
        pictures = bar_pictures(section, styles_of(section))
        assert len(pictures) == len(figures)
        shown = [
            (group, tasks, measure)
            for group, of in section.groups.items()
            for measure, tasks in section.pictured(of).items()
        ]
        for (_, tasks, measure), figure in zip(shown, figures, strict=True):
            scores = [s for (_, task, name), s in section.main.items()
                      if task in tasks and name == measure]  # fmt: skip
            widths = [bar.get_width() for axes in figure.axes for bar in axes.patches]
            defined = [s.value for s in scores if s.defined]
            assert sorted(w for w in widths if w) == pytest.approx(sorted(defined))
            texts = [text.get_text() for axes in figure.axes for text in axes.texts]
            assert sorted(texts) == sorted(
                f"{s.value:.2f}" if s.defined else "undefined" for s in scores
            )
            ends = {tuple(line.get_xdata()) for axes in figure.axes for line in axes.lines}
            assert {(s.low, s.high) for s in scores if s.has_interval} <= ends


def test_the_opening_picture_shows_the_means_of_the_table(figures: list[Any]) -> None:
    rows = [r for r in drawn(4) if r["reason"] != NONE]
    section = section_of(rows)
    opening_picture(section, styles_of(section))
    (figure,) = figures
    for axes in figure.axes:
        points = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
        assert [text.get_text() for text in axes.texts] == [f"{x:.3f}" for x in points]
        kind = axes.get_title().partition(":")[0]
        measure = {"Probe": "accuracy", "Retrieval": "retrieval_roc_auc", "Clustering": "nmi"}[kind]
        have = defaultdict(set)
        for r in rows:
            if r["measure"] == measure:
                have[r["task"]].add(r["model"])
        everyone = set().union(*have.values())
        common = [task for task, models in have.items() if models == everyone]
        assert f"({len(common)} tasks)" in axes.get_title()
        wanted = [
            np.mean([r["value"] for r in rows
                     if (r["model"], r["measure"]) == (model, measure) and r["task"] in common])
            for model in everyone
        ]  # fmt: skip
        assert sorted(points) == pytest.approx(sorted(wanted))


def test_curves_go_through_the_scores_and_end_at_all_labels(figures: list[Any]) -> None:
    rng = np.random.default_rng(0)
    by_layer, by_labels = rng.uniform(0.2, 0.9, (2, 5)), rng.uniform(0.2, 0.9, (2, 4))
    rows = []
    for model, of in zip("mn", by_layer, strict=True):
        rows += [row("local/esc50", model, "accuracy", float(v), readout=str(layer))
                 for layer, v in enumerate(of)]  # fmt: skip
    section = section_of(rows)
    layer_pictures(section, styles_of(section))
    lines = [line.get_ydata() for line in figures[0].axes[0].lines]
    assert sorted(map(tuple, lines)) == sorted(map(tuple, by_layer))
    figures.clear()
    assert label_pictures(section, styles_of(section)) == []  # nothing was fitted on few labels
    rows = []
    for model, of in zip("mn", by_labels, strict=True):
        rows += [row("local/esc50", model, "accuracy", float(v), n_labels=n)
                 for n, v in zip((1, 5, 20, None), of, strict=True)]  # fmt: skip
    section = section_of(rows)
    label_pictures(section, styles_of(section))
    (axes,) = figures[0].axes
    assert {tuple(line.get_xdata()) for line in axes.lines} == {(1, 5, 20, 40)}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "5", "20", "all"]
    assert sorted(tuple(line.get_ydata()) for line in axes.lines) == sorted(map(tuple, by_labels))


def test_differences_are_those_of_the_logits_and_stand_alike_in_table_and_picture(
    tmp_path: Path, figures: list[Any]
) -> None:
    section = section_of(run_folder(tmp_path, {"good": 2.0, "poor": 0.5, "poorer": 0.2}))
    beside = RunFolder(tmp_path, tmp_path / "features")
    made = compare_models(section, beside, "good")
    assert made is not None
    right, auc = {}, {}
    for model in ("good", "poor", "poorer"):
        read = beside.predictions(section.main[model, "made/calls", "accuracy"])
        right[model] = (read.logits.argmax(2) == read.items.y.argmax(1)).mean()
        vectors = beside.vectors(section.main[model, "made/calls", "retrieval_roc_auc"])
        auc[model] = retrieval(vectors.vectors, vectors.items.y).roc_auc
    for measure, of in (("accuracy", right), ("retrieval_roc_auc", auc)):
        pairs = made.pairs["made/calls", measure]
        assert set(pairs) == {"poor", "poorer"}
        for model, pair in pairs.items():
            assert pair.difference == pytest.approx(of[model] - of["good"])
            assert pair.n_groups == 30
    told = paired_table(section, made)
    forest_picture(section, made, styles_of(section))
    (axes,) = figures[0].axes
    marks = [float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 1]
    spans = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]
    assert sorted(f"{x:+.3f}" for x in marks) == sorted(r.cells[2].text for r in told.rows)
    said = {f"{low:+.3f} to {high:+.3f}" for low, high in spans if (low, high) != (0, 0)}
    assert {r.cells[2].detail for r in told.rows} <= said
    assert axes.get_xlabel() == "difference to good: right of 0 is better than it"


def test_an_interval_of_a_difference_holds_the_true_one_about_as_often(tmp_path: Path) -> None:
    """Two models of one skill: 0 lies in the interval of most draws of their logits."""
    held = 0
    for at in range(8):
        skills = {f"{at} one": 1.0, f"{at} two": 1.0}  # names make no odds: the draw goes on
        folder = tmp_path / str(at)
        folder.mkdir()
        rows = run_folder(folder, skills, n_items=40 + 2 * at)
        made = compare_models(section_of(rows), RunFolder(folder, folder / "no features"))
        assert made is not None
        (pair,) = made.pairs["made/calls", "accuracy"].values()
        held += pair.low <= 0 <= pair.high
    assert held >= 7


def test_a_confusion_picture_has_a_panel_a_model_whose_lines_are_shares(
    tmp_path: Path, figures: list[Any]
) -> None:
    section = section_of(run_folder(tmp_path, {"good": 2.0, "poor": 0.2}))
    beside = RunFolder(tmp_path, tmp_path / "features")
    (picture,) = confusion_pictures(section, beside)
    assert picture.caption == "Each line adds up to 1, over all classes."
    drawn_on = {axes.get_title(): axes for axes in figures[0].axes if axes.images}
    for model in ("good", "poor"):
        shares = np.asarray(drawn_on[model].images[0].get_array())
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        # each class has as many items, so the mean of the diagonal is the accuracy
        value = section.main[model, "made/calls", "accuracy"].value
        assert np.trace(shares) / len(shares) == pytest.approx(value)


def test_of_many_classes_those_with_most_errors_are_shown() -> None:
    counts = np.diag(np.full(30, 9))
    wrong = [3, 17, 29]
    counts[wrong, 4] = 5
    kept = _kept(counts)
    assert len(kept) == 25
    assert kept == sorted(kept)
    assert {3, 4, 17, 29} <= set(kept)
    assert _kept(counts[:25, :25]) == list(range(25))


def test_a_map_names_each_class_once_and_the_rest_together(
    tmp_path: Path, figures: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dawnchorus.benchmark.report.maps.find_spec", lambda _name: None)
    rows = run_folder(tmp_path, {"good": 2.0, "poor": 0.2}, n_items=72, n_classes=12)
    section = section_of(rows)
    (picture,) = map_pictures(section, RunFolder(tmp_path, tmp_path / "features"))
    assert picture.caption.startswith("First two principal components of the items")
    figure = figures[0]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[-1] == "other classes"
    assert len(names) == len(set(names)) == 11  # ten in colour, of equally frequent ones the first
    assert [axes.get_title() for axes in figure.axes] == ["good", "poor"]
    for axes in figure.axes:
        assert sum(len(points.get_offsets()) for points in axes.collections) == 72


def test_the_classes_in_colour_are_the_most_frequent_single_ones() -> None:
    own = np.repeat(np.arange(14), np.arange(14))  # class k is there k times, class 0 never
    y = np.eye(14, dtype=np.int8)[own]
    y[own == 13, 12] = 1  # two labels at once: no point has two colours
    names = tuple(f"class {k:02d}" for k in range(14))
    ids = np.arange(len(y)).astype(str)
    read = ItemVectors(names, LabelledItems(y, ids, ids), np.ones((len(y), 2)))
    assert _most_frequent(read) == [f"class {k:02d}" for k in range(3, 13)]


@pytest.mark.parametrize("n_items", [1, 2, 9])
def test_a_plane_takes_zero_vectors_and_any_number_of_items(n_items: int) -> None:
    vectors = np.zeros((n_items, 1), np.float32)
    assert project(vectors).tolist() == [[0.0, 0.0]] * n_items
