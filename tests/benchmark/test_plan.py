"""From options to readings and groups."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dawnchorus.benchmark.encoders import Entrant, open_entrant, split_name
from dawnchorus.benchmark.plan import Group, Reading, groups_of, readings
from dawnchorus.benchmark.tasks.registry import find_tasks
from dawnchorus.configs.benchmark import BenchmarkConfig
from dawnchorus.errors import UsageError


@pytest.fixture
def entrant(tiny_folder: Path) -> Entrant:
    return open_entrant(str(tiny_folder), "cpu")


def config(**values: Any) -> BenchmarkConfig:
    return BenchmarkConfig(**{"models": ["m"], "tasks": ["t"]} | values)


def test_each_protocol_has_its_own_reading(entrant: Entrant) -> None:
    assert readings(config(), entrant) == [Reading("output", "valid")]
    assert readings(config(protocol="paper"), entrant) == [Reading("output", "cls")]
    plain = open_entrant("log-mel")
    assert readings(config(protocol="paper"), plain) == [Reading("output", "valid")]


def test_one_layer_has_one_name(entrant: Entrant) -> None:
    asked = config(readouts=["1", "-1", "each", "0, -1:cls:0.5"], poolings=["valid", "own"])
    assert readings(asked, entrant) == [
        Reading("1", "valid"), Reading("0", "valid"), Reading("0,1:cls:0.5", "valid")
    ]  # fmt: skip
    assert readings(config(readouts=["stack"]), entrant) == [Reading("stack:0,1", "valid")]


def test_a_layer_that_is_not_there_is_refused_before_anything_is_encoded(entrant: Entrant) -> None:
    with pytest.raises(UsageError, match=r"'7'.*need -2 to 1"):
        readings(config(readouts=["7"]), entrant)
    with pytest.raises(UsageError, match="LAYER:POOLING"):
        readings(config(readouts=["1:middle"]), entrant)


def test_probes_on_tokens_read_layers_and_share_a_grid(entrant: Entrant) -> None:
    [task] = find_tasks(["local/digits"])
    asked = config(
        readouts=["0,1:bands"], poolings=["valid", "cls"], probes=["linear", "attention"]
    )
    groups = groups_of(asked, entrant, task)
    assert [g.reading.pooling for g in groups if g.probe == "attention"] == ["grid8"]
    assert {g.reading.readout for g in groups if g.probe == "attention"} == {"0,1"}
    assert sum(g.probe == "linear" for g in groups) == sum(g.probe == "" for g in groups) == 2


def test_a_learning_curve_is_groups_of_their_own(entrant: Entrant) -> None:
    [task] = find_tasks(["local/digits"])
    groups = groups_of(config(n_labels=[5, 10]), entrant, task)
    one = Reading("output", "valid")
    assert groups == [
        Group(one, ""), Group(one, "linear"), Group(one, "linear", 5), Group(one, "linear", 10)
    ]  # fmt: skip


def test_names_go_before_models_and_paths_keep_their_signs() -> None:
    assert split_name("mine=runs/a") == ("mine", "runs/a")
    assert split_name("runs/lr=1/model") == (None, "runs/lr=1/model")
    assert open_entrant("floor=log-mel").name == "floor"


def test_an_untrained_twin_is_the_same_each_time_and_another_model(tiny_folder: Path) -> None:
    first, again = (open_entrant(f"random:{tiny_folder}", "cpu") for _ in range(2))
    assert first.weights_sha256 == again.weights_sha256
    assert first.weights_sha256 != open_entrant(str(tiny_folder), "cpu").weights_sha256
    assert first.name == "random tiny"


def test_twins_made_at_the_same_time_are_the_same(tiny_folder: Path) -> None:
    specs = [f"random:{tiny_folder}", str(tiny_folder)] * 8
    with ThreadPoolExecutor(4) as pool:
        made = [run.result() for run in [pool.submit(open_entrant, s, "cpu") for s in specs]]
    assert len({entrant.weights_sha256 for entrant in made}) == 2


def test_nonsense_is_refused_with_its_key() -> None:
    for values, said in (
        ({"shard": (3, 3)}, "need 0 <= i < n"),
        ({"n_labels": [0]}, "n_labels"),
        ({"probe_options": {"mlp": {}}}, "'mlp' is not among the probes"),
        ({"seeds": 3}, "unknown key 'seeds'"),
        ({"models": []}, "models"),
    ):
        with pytest.raises(UsageError, match=said):
            config(**values)
