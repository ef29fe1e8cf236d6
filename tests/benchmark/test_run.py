"""A plan run whole, killed and continued, by two at once, in shards, and by each protocol."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.corpus import SEVERAL, SIZES, TASK, make_corpus
from dawnchorus import metrics
from dawnchorus.benchmark.leaks import ITEMS_FILE
from dawnchorus.benchmark.predictions import read_predictions
from dawnchorus.benchmark.results import Results, merge
from dawnchorus.benchmark.run import benchmark, dry_run
from dawnchorus.benchmark.scores import ranked
from dawnchorus.cli.app import main
from dawnchorus.configs.benchmark import BenchmarkConfig
from dawnchorus.errors import TaskError, UsageError

CHANGING = {"seconds", "finished_at"}
# kills itself at a chosen count of renames, which is how everything is committed
PROGRAM = """
import os, signal, sys
from pathlib import Path
kill_at = int(sys.argv.pop(1))
n_calls = 0
replace = Path.replace
def counted(self, target):
    global n_calls
    n_calls += 1
    if n_calls == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = counted
from dawnchorus.embedding import clips
clips.CHUNK_CLIPS = 4
from dawnchorus.cli.app import main
code = main()
print("renames", n_calls)
raise SystemExit(code)
"""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def plan(corpus: Path, output: Path, model: Path | str, **changes: Any) -> BenchmarkConfig:
    values = {"models": [str(model)], "tasks": [TASK], "data": str(corpus), "output": str(output)}
    return BenchmarkConfig(**values | {"n_bootstrap": 20, "n_seeds": 2, "device": "cpu"} | changes)


def rows_of(output: Path) -> list[dict[str, Any]]:
    rows = Results(output).read().to_pylist()
    return [{k: _plain(v) for k, v in row.items() if k not in CHANGING} for row in rows]


def _plain(value: Any) -> Any:
    return "nan" if isinstance(value, float) and math.isnan(value) else value


def score_of(output: Path, **wanted: Any) -> dict[str, Any]:
    wanted = {"seed": None, "n_labels": None, "leaks": "with"} | wanted
    found = [r for r in rows_of(output) if all(r[k] == v for k, v in wanted.items())]
    assert len(found) == 1, found
    return found[0]


def test_one_plan_gives_every_measure_with_its_interval(
    corpus: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    config = plan(corpus, tmp_path, tiny_folder, tasks=[TASK, SEVERAL], readouts=["own", "0"])
    report = benchmark(config)
    assert report.n_cells == report.n_done == 2 * 2 * 2  # tasks, readings, probe and distances
    probe = score_of(tmp_path, task=TASK, readout="output", measure="macro_recall")
    assert probe["value"] == 1.0
    assert probe["probe"] == "linear"
    assert (probe["n_items"], probe["n_groups"]) == (SIZES["test"], SIZES["test"])
    retrieved = score_of(tmp_path, task=TASK, readout="0", measure="retrieval_roc_auc")
    assert 0.5 < retrieved["low"] <= retrieved["value"] <= retrieved["high"] <= 1
    clustered = score_of(tmp_path, task=TASK, readout="0", measure="ami")
    assert clustered["seeds"] == "0,1"
    several = score_of(tmp_path, task=SEVERAL, readout="0", measure="cmap")
    assert several["value"] > 0.8
    empty = score_of(tmp_path, task=SEVERAL, readout="0", measure="retrieval_roc_auc")
    assert empty["n_skipped"] == 2  # windows without a call ask nothing
    calls = score_of(tmp_path, task=SEVERAL, readout="0", measure="call_roc_auc")
    assert calls["value"] > 0.8
    asked = {row["measure"] for row in rows_of(tmp_path) if row["task"] == TASK}
    assert "call_roc_auc" not in asked  # every clip of that task holds a call
    classes, said = read_predictions(tmp_path, probe["cell"])
    logits = np.array(said["logits"].to_pylist())
    truth = np.array([name == ["low"] for name in said["labels"].to_pylist()], int)
    assert classes == ("high", "low")
    assert (logits.argmax(1) == truth).all()


@pytest.mark.cli
@pytest.mark.long
def test_a_run_killed_at_any_moment_goes_on_to_the_same_rows(
    corpus: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    values = plan(corpus, tmp_path, tiny_folder, readouts=["0", "output"]).model_dump(mode="json")
    (tmp_path / "plan.yaml").write_text(json.dumps(values | {"probes": ["linear"]}))

    def run(output: Path, kill_at: int) -> tuple[int, str]:
        asked = ["--plan", str(tmp_path / "plan.yaml"), "-o", str(output), "--quiet"]
        whole = [sys.executable, "-c", PROGRAM, str(kill_at), "benchmark", *asked]
        done = subprocess.run(whole, capture_output=True, check=False, text=True)
        return done.returncode, done.stdout

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    code, said = run(whole, -1)
    assert code == 0
    n_renames = int(said.split()[-1])
    begun = []
    for share in (0.25, 0.3, 0.4):
        assert run(broken, round(share * n_renames))[0] == -9
        begun.append((len(list(broken.rglob("*.safetensors"))), len(rows_of(broken))))
    assert begun[0][0] > 0  # killed while encoding
    assert begun[-1][1] > 0  # and while scoring
    assert run(broken, -1)[0] == 0
    assert rows_of(broken) == rows_of(whole)
    assert (broken / "results.csv").is_file()


def test_what_is_done_is_not_done_again(corpus: Path, tmp_path: Path, tiny_folder: Path) -> None:
    first = benchmark(plan(corpus, tmp_path, tiny_folder))
    again = benchmark(plan(corpus, tmp_path, tiny_folder))
    assert (again.n_done, again.n_kept) == (0, first.n_done)
    more = benchmark(plan(corpus, tmp_path, tiny_folder, poolings=["cls", "valid"]))
    assert (more.n_done, more.n_kept) == (first.n_done, first.n_done)
    assert more.n_rows == 2 * first.n_rows


def test_changed_sound_is_encoded_anew(tmp_path: Path, tiny_folder: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    config = plan(corpus, tmp_path / "out", tiny_folder, probes=[])
    dry_run(config)
    assert not Path(config.output).exists()
    first = benchmark(config)
    [count] = dry_run(config)
    assert (count.n_done, count.n_to_encode) == (first.n_done, 0)
    sound = corpus / "audio" / "bird_species" / "test0.wav"
    sound.write_bytes((corpus / "audio" / "bird_species" / "test1.wav").read_bytes())
    [count] = dry_run(config)
    assert (count.n_done, count.n_to_encode) == (0, 1)  # the other clips are as they were


def test_val_is_scored_without_a_look_at_test(tmp_path: Path, tiny_folder: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    for sound in corpus.rglob("test*.wav"):
        sound.unlink()
    benchmark(plan(corpus, tmp_path / "out", tiny_folder, split="val"))
    found = score_of(tmp_path / "out", measure="macro_recall")
    assert found["n_items"] == SIZES["val"]
    assert "folds of train" in found["notes"]


def test_shards_hold_all_jobs_once_and_merge_to_the_whole(
    corpus: Path, tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [str(tiny_folder), f"random:{tiny_folder}", "log-mel"]
    common = {"models": models, "tasks": [TASK, SEVERAL], "probes": ["linear"]}
    benchmark(plan(corpus, tmp_path / "whole", "", **common))
    parts = []
    for i in range(2):
        parts.append(tmp_path / f"part{i}")
        benchmark(plan(corpus, parts[-1], "", **common, shard=(i, 2)))
    n_jobs = [len({(r["model"], r["task"]) for r in rows_of(part)}) for part in parts]
    assert n_jobs == [3, 3]
    table = merge(parts, tmp_path / "merged")
    assert rows_of(tmp_path / "merged") == rows_of(tmp_path / "whole")
    kept = [
        {p.name: p.read_bytes() for kind in ("predictions", "items") for p in (at / kind).glob("*")}
        for at in (tmp_path / "merged", tmp_path / "whole")
    ]
    assert len(kept[0]) >= 8  # what a report draws from
    assert kept[0] == kept[1]
    assert len(merge(parts, tmp_path / "merged")) == len(table)  # again: nothing new
    assert main(["benchmark", "merge", *map(str, parts), "-o", str(tmp_path / "by_command")]) == 0
    assert f"by_command: {len(table)} rows of 2 folders" in capsys.readouterr().out
    assert rows_of(tmp_path / "by_command") == rows_of(tmp_path / "whole")


def test_the_paper_protocol_hears_the_padded_window_and_asks_its_own_measures(
    corpus: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    quick = {"linear_schedule": {"schedule": {"n_epochs": 5, "decay": "constant"}}}
    config = plan(corpus, tmp_path, tiny_folder, protocol="paper", probe_options=quick)
    benchmark(config)
    rows = rows_of(tmp_path)
    assert {(r["protocol"], r["readout"], r["pooling"]) for r in rows} == {
        ("paper", "output", "cls")
    }
    assert {r["measure"] for r in rows if not r["probe"]} == {
        "retrieval_roc_auc", "retrieval_precision_at_1", "nmi"
    }  # fmt: skip
    assert {r["seeds"] for r in rows if r["measure"] in {"nmi", "accuracy"}} == {"42"}
    assert {r["probe"] for r in rows} == {"", "linear_schedule"}


def test_a_learning_curve_has_a_row_a_seed_and_one_over_all(
    corpus: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    benchmark(plan(corpus, tmp_path, tiny_folder, n_labels=[1, 3]))
    curve = [r for r in rows_of(tmp_path) if r["measure"] == "accuracy"]
    assert sorted((r["n_labels"] or 0, -1 if r["seed"] is None else r["seed"]) for r in curve) == [
        (0, -1), (1, -1), (1, 0), (1, 1), (3, -1), (3, 0), (3, 1)
    ]  # fmt: skip
    for n in (1, 3):
        own = [r["value"] for r in curve if r["n_labels"] == n and r["seed"] is not None]
        assert score_of(tmp_path, measure="accuracy", n_labels=n)["value"] == np.mean(own)
    notes = json.loads(score_of(tmp_path, measure="accuracy", n_labels=3)["notes"])
    assert notes["0"]["n_train"] == 6
    assert notes["0"]["n_validation"] == 0  # chosen on what a user with three clips has


def test_probes_on_tokens_and_on_layers_run_in_the_same_plan(
    corpus: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    probes = ["linear", "attention"]
    quick = {"attention": {"schedule": {"n_epochs": 2, "learning_rates": [1e-2]}}}
    config = plan(
        corpus, tmp_path, tiny_folder, readouts=["stack", "output"], probes=probes,
        probe_options=quick, grid_steps=2,
    )  # fmt: skip
    benchmark(config)
    asked = {(r["readout"], r["pooling"], r["probe"]) for r in rows_of(tmp_path)}
    assert asked == {
        ("output", "valid", ""), ("output", "valid", "linear"), ("output", "grid2", "attention"),
        ("stack:0,1", "valid", "linear"),
    }  # fmt: skip
    notes = score_of(tmp_path, readout="stack:0,1", measure="accuracy")["notes"]
    shares = json.loads(notes)["0"]["layer_weights"]
    assert list(shares) == ["0", "1"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)


def test_two_models_of_one_name_are_refused(
    corpus: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    copied = shutil.copytree(tiny_folder, tmp_path / "elsewhere" / "tiny")
    models = [str(tiny_folder), str(copied)]
    with pytest.raises(UsageError, match=r"both called 'tiny'.*NAME="):
        benchmark(plan(corpus, tmp_path, "", models=models))
    assert not rows_of(tmp_path)  # it was said before hours of work
    named = [models[0], f"other={models[1]}"]
    assert benchmark(plan(corpus, tmp_path, "", models=named, probes=[])).n_done == 2


def test_a_plan_on_the_command_line_needs_no_subcommand(
    corpus: Path, tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["benchmark", "-m", str(tiny_folder), "-t", "local/bird_s*", "--data", str(corpus)]
    command += ["-o", str(tmp_path)]
    assert main([*command, "--dry-run"]) == 0
    assert "2 cells, 0 of them done; 26 clips to encode" in capsys.readouterr().out
    assert main([*command, "-p", "none"]) == 0
    out = capsys.readouterr().out
    assert "retrieval_roc_auc" in out
    assert "1 cells computed" in out
    assert main(["benchmark", "tasks", "--json"]) == 0
    assert TASK in {row["task"] for row in json.loads(capsys.readouterr().out)}
    assert main(["benchmark", "prepare", TASK, "--data", str(corpus)]) == 0
    assert "12 train, 6 val, 8 test; 2 classes" in capsys.readouterr().out


def test_two_runs_on_one_folder_share_the_jobs(
    corpus: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    models = [str(tiny_folder), f"random:{tiny_folder}", "log-mel"]
    config = plan(corpus, tmp_path, "", models=models, tasks=[TASK, SEVERAL], probes=[])
    with ThreadPoolExecutor(2) as pool:
        reports = [run.result() for run in [pool.submit(benchmark, config) for _ in range(2)]]
    assert sum(report.n_done for report in reports) == 6
    rows = Results(tmp_path).read().to_pylist()
    written = pq.ParquetDataset(tmp_path / "rows").read()
    assert len(rows) == len(written)  # nothing was computed twice


def test_a_class_is_ranked_by_its_odds_not_by_a_logit_that_others_outweigh() -> None:
    y = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.int8)
    logits = np.array([[0.0, -2.0], [9.0, 3.0], [8.0, 9.0], [-1.0, 1.0]])  # all four are right
    moved = logits + np.array([[7.0], [0.0], [-3.0], [20.0]])  # the same softmax
    for scores in (logits, moved):
        by = ranked(scores, "macro_roc_auc", "strict", y)
        assert metrics.statistic("macro_roc_auc", y, by)(np.arange(4)) == 1.0


def test_every_set_that_is_missing_is_named_at_once(tmp_path: Path, tiny_folder: Path) -> None:
    config = BenchmarkConfig(
        models=(str(tiny_folder),),
        tasks=("beans/watkins", "beans/bats"),
        data=str(tmp_path),
        output=str(tmp_path / "out"),
    )
    with pytest.raises(TaskError, match=r"(?s)beans/watkins: data are missing.*beans/bats: data"):
        benchmark(config)


def test_a_folder_of_an_audit_that_is_not_there_is_refused(
    corpus: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    config = plan(corpus, tmp_path / "out", tiny_folder, leaks=str(tmp_path / "laeks"))
    with pytest.raises(UsageError, match="laeks: no such folder"):
        benchmark(config)


def test_items_that_an_audit_found_are_left_out_of_a_second_score(
    corpus: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    audit = tmp_path / "leaks" / TASK
    audit.mkdir(parents=True)
    known = [f"bird_species/test{n}" for n in range(SIZES["test"])]
    table = pa.table({"id": known, "strength": [1.0, 1.0] + [0.1] * (len(known) - 2)})
    pq.write_table(table, audit / ITEMS_FILE)
    config = plan(corpus, tmp_path / "out", tiny_folder, leaks=str(tmp_path / "leaks"))
    benchmark(config)
    [unaudited] = dry_run(plan(corpus, tmp_path / "out", tiny_folder))
    assert unaudited.n_done == 0 < unaudited.n_cells  # scores with and without are other cells
    for measure in ("accuracy", "retrieval_roc_auc", "nmi"):
        both = [score_of(tmp_path / "out", measure=measure, leaks=w) for w in ("with", "without")]
        assert [row["n_items"] for row in both] == [8, 6]
