"""Plans: every wrong field is named, and a stopped run goes on, whichever door it came in by."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

import dawnchorus
from benchmark.corpus import SEVERAL, TASK, make_corpus
from dawnchorus.benchmark.cell_key import cell_key
from dawnchorus.benchmark.competitors import open_competitor
from dawnchorus.benchmark.distances import VectorSpace
from dawnchorus.benchmark.fits import fit_config
from dawnchorus.benchmark.items_file import items_path, read_items, write_items
from dawnchorus.benchmark.plan import Cell, FeatureSpec
from dawnchorus.benchmark.prepare import load_items
from dawnchorus.benchmark.results import Results, main_scores
from dawnchorus.benchmark.run import benchmark, dry_run
from dawnchorus.benchmark.scores import probe_measures
from dawnchorus.benchmark.task_data import LabelledItems, TaskData, label_matrix
from dawnchorus.benchmark.task_run import TaskRun
from dawnchorus.benchmark.tasks.base import Measures
from dawnchorus.benchmark.tasks.registry import find_tasks
from dawnchorus.cli.app import main
from dawnchorus.configs.benchmark import BenchmarkConfig
from dawnchorus.errors import RunInterruptedError, TaskError, UsageError

CHANGING = {"seconds", "finished_at"}
ASKED = Measures(probe="accuracy", retrieval="within", clustering=True)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def plan(corpus: Path, output: Path, **changes: Any) -> dict[str, Any]:
    values = {"models": ["log-mel"], "tasks": [TASK], "data": str(corpus), "output": str(output)}
    return values | {"n_bootstrap": 20, "n_seeds": 2, "device": "cpu"} | changes


def rows_of(output: Path) -> list[dict[str, Any]]:
    rows = Results(output).read().to_pylist()
    return [
        {name: repr(held) for name, held in row.items() if name not in CHANGING} for row in rows
    ]


@pytest.mark.parametrize(
    ("field", "wrong", "said"),
    [
        ("models", [], "models"),
        ("models", None, "models"),
        ("models", "log-mel", "models"),
        ("models", [3], "models.0"),
        ("tasks", [], "tasks"),
        ("data", 3, "data"),
        ("output", ["a"], "output"),
        ("cache", 1.5, "cache"),
        ("protocol", "papr", "protocol"),
        ("split", "train", "split"),
        ("readouts", "own", "readouts"),
        ("poolings", ["middle"], "poolings.0"),
        ("probes", "linear", "probes"),
        ("probe_options", {"mlp": {}}, "'mlp' is not among the probes"),
        ("probe_options", {"linear": 3}, "probe_options.linear"),
        ("n_labels", [5, 0], r"n_labels: need 1 or more.*\[5, 0\]"),
        ("n_labels", [1.5], "n_labels.0"),
        ("n_seeds", 0, "n_seeds"),
        ("n_seeds", "many", "n_seeds"),
        ("scalings", ["long"], "scalings.0"),
        ("same_group", "drop", "same_group"),
        ("grid_steps", 0, "grid_steps"),
        ("n_bootstrap", 9, "n_bootstrap"),
        ("leaks", 3, "leaks"),
        ("batch_s", 0, "batch_s"),
        ("batch_s", math.inf, "batch_s"),
        ("device", 0, "device"),
        ("shard", [2, 2], "shard 2/2: need 0 <= i < n"),
        ("shard", [1], "shard"),
        ("n_seed", 3, "unknown key 'n_seed'.*n_seeds"),
    ],
)
def test_each_wrong_field_of_a_plan_is_named_before_anything_is_made(
    field: str, wrong: Any, said: str, corpus: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    values = plan(corpus, tmp_path / "out") | {field: wrong}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UsageError, match=said):
        BenchmarkConfig(**values)
    assert main(["benchmark", "--plan", str(tmp_path / "plan.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert field in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("field", ["models", "tasks"])
def test_a_plan_without_models_or_tasks_asks_for_them(
    field: str, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = plan(corpus, tmp_path / "out")
    del values[field]
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(values))
    assert main(["benchmark", "--plan", str(tmp_path / "plan.yaml")]) == 2
    flag = {"models": "-m", "tasks": "-t"}[field]
    assert f"no {field}: give {flag}, or {field} in a --plan file" in capsys.readouterr().err


def test_python_a_plan_file_and_flags_give_the_same_rows(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = plan(corpus, tmp_path / "python", n_labels=[2])
    report = dawnchorus.run_benchmark(BenchmarkConfig(**values))
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(values | {"n_seeds": 1, "n_labels": [1]}))
    command = ["benchmark", "--plan", str(tmp_path / "plan.yaml"), "-o", str(tmp_path / "command")]
    command += ["--seeds", "2", "--few-shot", "2"]  # flags replace the keys of a plan
    assert main([*command, "--json", "-q"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["n_done"], told["n_rows"]) == (report.n_done, report.n_rows)
    assert rows_of(tmp_path / "command") == rows_of(tmp_path / "python")
    assert len(rows_of(tmp_path / "python")) == report.n_rows
    shown = main_scores(BenchmarkConfig(**values))
    assert {row["measure"] for row in shown} == {"macro_recall", "retrieval_roc_auc", "nmi"}
    assert all(row["n_labels"] is None and row["seed"] is None for row in shown)


class _StopAfter:
    """Progress that asks for an end after some cells, as Ctrl-C would."""

    def __init__(self, n_cells: int) -> None:
        self.left = n_cells

    def start(self, label: str, total: int | None = None, unit: str = "") -> Any:
        del total, unit

        def advance(n: int = 1) -> None:
            if label.endswith("scoring"):
                self.left -= n
                if self.left == 0:
                    raise RunInterruptedError("interrupted")

        return advance

    def message(self, text: str) -> None:
        del text


def test_a_run_that_was_stopped_keeps_its_cells_and_goes_on_to_the_same_rows(
    corpus: Path, tmp_path: Path
) -> None:
    whole = BenchmarkConfig(**plan(corpus, tmp_path / "whole", tasks=[TASK, SEVERAL]))
    broken = BenchmarkConfig(**plan(corpus, tmp_path / "broken", tasks=[TASK, SEVERAL]))
    n_cells = benchmark(whole).n_done
    for n_done in range(1, n_cells):
        with pytest.raises(RunInterruptedError):
            benchmark(broken, progress=_StopAfter(1))  # type: ignore[arg-type]
        assert sum(count.n_done for count in dry_run(broken)) == n_done
        # what was finished can be read at once
        assert len(pq.read_table(tmp_path / "broken" / "results.parquet")) > 0
    last = benchmark(broken)
    assert (last.n_done, last.n_kept) == (1, n_cells - 1)
    assert rows_of(tmp_path / "broken") == rows_of(tmp_path / "whole")


DECIDES = {
    "split": "val", "n_seeds": 3, "n_bootstrap": 21, "probe_options": {"linear": {"n_folds": 3}},
    "scalings": ["plain"], "same_group": "leave_out",
}  # fmt: skip
OF_PROBES, OF_DISTANCES = {"probe_options"}, {"scalings", "same_group"}


@pytest.mark.parametrize("probe", ["linear", ""])
def test_a_key_changes_with_what_decides_a_score_and_with_nothing_else(
    probe: str, corpus: Path, tmp_path: Path
) -> None:
    competitor, (task,) = open_competitor("log-mel"), find_tasks([TASK])
    data = TaskData(task, load_items(task, corpus, "strict"), corpus)
    cell = Cell(FeatureSpec("output", "valid"), probe)

    def key(**changes: Any) -> str:
        config = BenchmarkConfig(**plan(corpus, tmp_path, **changes))
        return cell_key(TaskRun.open(config, competitor, data), cell)

    same = {"batch_s": 9.0, "shard": (0, 2), "n_labels": [3], "cache": str(tmp_path / "c")}
    assert {key(**{name: other}) for name, other in same.items()} == {key()}
    blind = OF_DISTANCES if probe else OF_PROBES
    keys = {name: key(**{name: other}) for name, other in DECIDES.items()}
    assert {name for name, found in keys.items() if found == key()} == blind
    others = [found for name, found in keys.items() if name not in blind]
    assert len(set(others)) == len(others)


class _Run:
    """A run of which each fact can be changed alone, as no real one allows."""

    def __init__(self, **facts: Any) -> None:
        known: dict[str, Any] = {
            "id": "a", "version": 1, "name": "m", "weights": "w", "labels": "l", "vectors": "v",
            "known_ids": None, "protocol": "strict", "split": "test", "n_seeds": 2,
        } | facts  # fmt: skip
        self.config = BenchmarkConfig(
            models=("m",), tasks=("t",), protocol=known["protocol"], split=known["split"],
            n_seeds=known["n_seeds"],
        )  # fmt: skip
        task = SimpleNamespace(id=known["id"], version=known["version"])
        self.data = SimpleNamespace(task=task, sha256=known["labels"])
        self.competitor = SimpleNamespace(name=known["name"], weights_sha256=known["weights"])
        self.features = SimpleNamespace(sha256=lambda *_: known["vectors"])
        self.known_ids, self.measures = known["known_ids"], ASKED

    def splits(self, _cell: Cell) -> list[str]:
        return ["train"]


OTHERS = {
    "id": "b", "version": 2, "name": "n", "weights": "x", "labels": "k", "vectors": "u",
    "known_ids": frozenset({"1"}), "protocol": "paper", "split": "val", "n_seeds": 3,
}  # fmt: skip


@pytest.mark.parametrize("probe", ["linear", ""])
def test_each_fact_alone_makes_another_key(probe: str) -> None:
    cell = Cell(FeatureSpec("output", "valid"), probe)
    keys = {
        fact: cell_key(_Run(**{fact: other}), cell)  # type: ignore[arg-type]
        for fact, other in OTHERS.items()
    }
    keys["nothing"] = cell_key(_Run(), cell)  # type: ignore[arg-type]
    for other in (
        Cell(FeatureSpec("output", "valid"), "mlp"),
        Cell(FeatureSpec("output", "all"), probe),
        Cell(FeatureSpec("8", "valid"), probe),
        *(Cell(FeatureSpec("output", "valid"), probe, n) for n in (40, 41)),
    ):
        keys[str(other)] = cell_key(_Run(), other)  # type: ignore[arg-type]
    alike = [name for name, key in keys.items() if list(keys.values()).count(key) > 1]
    assert alike == []
    # an audit that found nothing is an audit
    assert cell_key(_Run(known_ids=frozenset()), cell) != keys["nothing"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n_labels", "wanted"),
    [(None, 5), (1, 2), (2, 2), (4, 4), (50, 5)],
)
def test_few_clips_are_chosen_by_as_many_folds_as_they_fill(
    n_labels: int | None, wanted: int
) -> None:
    config = BenchmarkConfig(models=("m",), tasks=("t",))
    cell = Cell(FeatureSpec("output", "valid"), "linear", n_labels)
    fit = fit_config(cell, config, ASKED, model="m", seed=3)
    assert (fit.n_folds, fit.seed, fit.absent, fit.select_by) == (wanted, 3, "lowest", "accuracy")
    assert (fit.strengths == (0.1,)) == (n_labels == 1)
    given = BenchmarkConfig(models=("m",), tasks=("t",), probe_options={"linear": {"n_folds": 7}})
    assert fit_config(cell, given, ASKED, model="m", seed=3).n_folds == 7


def space_of(config: BenchmarkConfig, **vectors: np.ndarray) -> VectorSpace:
    items = {
        split: LabelledItems(np.ones((len(x), 1), np.int8), *[np.arange(len(x)).astype(str)] * 2)
        for split, x in vectors.items()
    }
    return VectorSpace(vectors=vectors, items=items, measures=ASKED, config=config)


def test_vectors_are_scaled_by_train_alone_and_channels_that_stand_still_are_left() -> None:
    config = BenchmarkConfig(models=("m",), tasks=("t",))
    rng = np.random.default_rng(0)
    train, test = rng.normal(3, 2, (50, 4)), rng.normal(9, 5, (20, 4))
    train[:, 3] = test[:, 3] = 7.0
    space = space_of(config, train=train, test=test)
    found = space.scaled("standardised").vectors["test"]
    wanted = (test[:, :3] - train[:, :3].mean(axis=0)) / train[:, :3].std(axis=0)
    np.testing.assert_allclose(found[:, :3], wanted, rtol=1e-5, atol=1e-6)
    assert (found[:, 3] == 0).all()
    unit = space.scaled("unit").vectors["test"]
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(unit * np.linalg.norm(test, axis=1)[:, None], test, rtol=1e-5)
    with pytest.raises(TaskError, match="no train items"):
        space_of(config, test=test).scaled("standardised")
    test[:2] = 0
    with pytest.raises(TaskError, match="unit length: 2 vectors are zero"):
        space_of(config, test=test).scaled("unit")


@pytest.mark.parametrize(
    ("n_classes", "multi_label", "silent", "wanted"),
    [
        (3, False, False, ["accuracy", "macro_recall", "macro_roc_auc"]),
        (6, False, False, ["accuracy", "macro_recall", "top_5_accuracy", "macro_roc_auc"]),
        (6, True, False, ["accuracy", "beans_map", "cmap", "macro_roc_auc"]),
        (6, True, True, ["accuracy", "beans_map", "cmap", "macro_roc_auc", "call_roc_auc"]),
    ],
)
def test_the_measures_of_a_probe_fit_the_items(
    n_classes: int,
    multi_label: bool,  # noqa: FBT001  a row of the table
    silent: bool,  # noqa: FBT001
    wanted: list[str],
) -> None:
    y = np.eye(n_classes, dtype=np.int8)
    y[0] = 0 if silent else y[0]
    assert probe_measures(ASKED, y, multi_label=multi_label) == wanted


def test_items_come_back_with_their_labels_and_are_written_once(tmp_path: Path) -> None:
    classes = ("wren", "robin, blue", "é")
    y = label_matrix([["é", "wren"], [], ["robin, blue"]], classes)
    assert y.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    items = LabelledItems(y, np.array(["g", "g", "h"]), np.array(["1", "2", "3"]))
    with pytest.raises(TaskError, match="no items that can be read"):
        read_items(tmp_path, "ab" * 32, "test")
    write_items(tmp_path, "ab" * 32, "test", items, classes)
    before = items_path(tmp_path, "ab" * 32, "test").stat().st_mtime_ns
    write_items(tmp_path, "ab" * 32, "test", items, classes)
    assert items_path(tmp_path, "ab" * 32, "test").stat().st_mtime_ns == before
    names, found = read_items(tmp_path, "ab" * 32, "test")
    assert names == classes
    for name in ("y", "groups", "ids"):
        assert getattr(found, name).tolist() == getattr(items, name).tolist()
