"""Python's front doors and the commands give the same files and values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import dawnchorus
from dawnchorus.cli.app import main
from dawnchorus.configs.benchmark import BenchmarkConfig
from dawnchorus.models.plugins import plugin_names
from dawnchorus.probing.labels import read_labels
from program_inputs import PROBE_CONFIG, Inputs

Capture = pytest.CaptureFixture[str]


def run(*arguments: object) -> None:
    assert main([*map(str, arguments)]) == 0


def test_embed_makes_the_same_store(inputs: Inputs, out: Path) -> None:
    recordings, model = inputs["recordings"], inputs["model"]
    run("embed", recordings, "-m", model, "-o", out / "c", "--device", "cpu", "--hop", "0.5")
    dawnchorus.embed(recordings, store=out / "p", model=model, device="cpu", hop_s=0.5)
    (ours, table), (theirs, their_table) = (dawnchorus.Store(out / n).read() for n in "cp")
    np.testing.assert_array_equal(ours, theirs)
    # 4 windows of 2.5 s and 6 of 3.5 s: none starts where the one before it reaches the end
    assert len(ours) == len(table) == 10
    assert table.to_pydict() == their_table.to_pydict()


@pytest.mark.parametrize("name", ["d.csv", "d.jsonl", "d.parquet", "d.selections.txt"])
def test_predict_writes_the_same_file(name: str, inputs: Inputs, out: Path) -> None:
    recordings, model = inputs["recordings"], inputs["model"]
    for folder in ("c", "p"):
        (out / folder).mkdir()
    options = ("--top-k", 2, "--device", "cpu", "-q")
    run("predict", recordings, "-m", model, "-o", out / "c" / name, *options)
    dawnchorus.predict(recordings, model=model, output=out / "p" / name, top_k=2, device="cpu")
    assert (out / "c" / name).read_bytes() == (out / "p" / name).read_bytes()


def test_probe_fit_and_evaluate_give_the_same_probe_and_scores(
    inputs: Inputs, out: Path, capsys: Capture
) -> None:
    calls, model = inputs["calls"], inputs["model"]
    run("probe", "fit", calls, "-m", model, "-o", out / "c", "--no-cache", "-q")
    labels = read_labels([calls])
    dawnchorus.probe_fit(labels, out / "p", model=model, config=PROBE_CONFIG)
    ours, theirs = (load_file(out / name / "probe.safetensors") for name in "cp")
    assert ours.keys() == theirs.keys()
    for name, weights in ours.items():
        np.testing.assert_array_equal(weights, theirs[name])
    capsys.readouterr()
    run("probe", "evaluate", out / "c", calls, "--seen", "--no-cache", "--json", "-q")
    by_command = json.loads(capsys.readouterr().out)
    report = dawnchorus.probe_evaluate(out / "p", labels, seen=True)
    assert by_command["scores"] == json.loads(json.dumps(report.to_json()["scores"]))


def test_benchmark_gives_the_same_scores(inputs: Inputs, out: Path) -> None:
    model, corpus = inputs["model"], inputs["corpus"]
    line = ("-m", model, "-t", "local/bird_species", "--data", corpus, "-p", "none", "-q")
    run("benchmark", *line, "-o", out / "c", "--device", "cpu")
    dawnchorus.run_benchmark(
        BenchmarkConfig(
            models=[str(model)], tasks=["local/bird_species"], data=str(corpus),
            output=str(out / "p"), probes=[], device="cpu",
        )
    )  # fmt: skip
    ours, theirs = ((out / n / "results.csv").read_text().splitlines() for n in "cp")
    header = ours[0].split(",")
    kept = [header.index(name) for name in ("task", "model", "measure", "value", "low", "high")]
    assert len(ours) == len(theirs) > 1
    for our_row, their_row in zip(ours, theirs, strict=True):
        assert [our_row.split(",")[k] for k in kept] == [their_row.split(",")[k] for k in kept]


def test_models_and_labels_are_those_that_python_names(inputs: Inputs, capsys: Capture) -> None:
    run("models", "--json")
    named = {card["name"] for card in json.loads(capsys.readouterr().out)}
    assert named == set(dawnchorus.list_models()) - set(plugin_names()) != set()
    run("describe", inputs["model"], "--list-labels")
    labels = [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert labels == list(dawnchorus.load_model(inputs["model"], device="cpu").labels or ())
    mapping = dawnchorus.load_label_mapping(inputs["model"])
    assert mapping is not None
    assert [mapping[k] for k in range(len(labels))] == labels
