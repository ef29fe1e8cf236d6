"""From options to readings and groups."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dawnchorus.benchmark.competitors import Competitor, open_competitor, split_name
from dawnchorus.benchmark.plan import Cell, FeatureSpec, cells_of, feature_specs
from dawnchorus.benchmark.tasks.registry import find_tasks
from dawnchorus.configs.benchmark import BenchmarkConfig
from dawnchorus.errors import UsageError


@pytest.fixture
def competitor(tiny_folder: Path) -> Competitor:
    return open_competitor(str(tiny_folder), "cpu")


def config(**values: Any) -> BenchmarkConfig:
    return BenchmarkConfig(**{"models": ["m"], "tasks": ["t"]} | values)


def test_each_protocol_has_its_own_reading(competitor: Competitor) -> None:
    assert feature_specs(config(), competitor) == [FeatureSpec("output", "valid")]
    assert feature_specs(config(protocol="paper"), competitor) == [FeatureSpec("output", "cls")]
    plain = open_competitor("log-mel")
    assert feature_specs(config(protocol="paper"), plain) == [FeatureSpec("output", "valid")]


def test_one_layer_has_one_name(competitor: Competitor) -> None:
    asked = config(readouts=["1", "-1", "each", "0, -1:cls:0.5"], poolings=["valid", "own"])
    assert feature_specs(asked, competitor) == [
        FeatureSpec("1", "valid"), FeatureSpec("0", "valid"), FeatureSpec("0,1:cls:0.5", "valid")
    ]  # fmt: skip
    assert feature_specs(config(readouts=["stack"]), competitor) == [
        FeatureSpec("stack:0,1", "valid")
    ]


def test_a_layer_that_is_not_there_is_refused_before_anything_is_encoded(
    competitor: Competitor,
) -> None:
    with pytest.raises(UsageError, match=r"'7'.*need -2 to 1"):
        feature_specs(config(readouts=["7"]), competitor)
    with pytest.raises(UsageError, match="LAYER:POOLING"):
        feature_specs(config(readouts=["1:middle"]), competitor)


def test_probes_on_tokens_read_layers_and_share_a_grid(competitor: Competitor) -> None:
    [task] = find_tasks(["local/digits"])
    asked = config(
        readouts=["0,1:bands"], poolings=["valid", "cls"], probes=["linear", "attention"]
    )
    cells = cells_of(asked, competitor, task)
    assert [cell.features.pooling for cell in cells if cell.probe == "attention"] == ["grid8"]
    assert {cell.features.readout for cell in cells if cell.probe == "attention"} == {"0,1"}
    assert (
        sum(cell.probe == "linear" for cell in cells)
        == sum(cell.probe == "" for cell in cells)
        == 2
    )


def test_a_learning_curve_is_cells_of_their_own(competitor: Competitor) -> None:
    [task] = find_tasks(["local/digits"])
    cells = cells_of(config(n_labels=[5, 10]), competitor, task)
    one = FeatureSpec("output", "valid")
    assert cells == [
        Cell(one, ""), Cell(one, "linear"), Cell(one, "linear", 5), Cell(one, "linear", 10)
    ]  # fmt: skip


def test_names_go_before_models_and_paths_keep_their_signs() -> None:
    assert split_name("mine=runs/a") == ("mine", "runs/a")
    assert split_name("runs/lr=1/model") == (None, "runs/lr=1/model")
    assert open_competitor("floor=log-mel").name == "floor"


def test_an_untrained_twin_is_the_same_each_time_and_another_model(tiny_folder: Path) -> None:
    first, again = (open_competitor(f"random:{tiny_folder}", "cpu") for _ in range(2))
    assert first.weights_sha256 == again.weights_sha256
    assert first.weights_sha256 != open_competitor(str(tiny_folder), "cpu").weights_sha256
    assert first.name == "random tiny"


def test_twins_made_at_the_same_time_are_the_same(tiny_folder: Path) -> None:
    specs = [f"random:{tiny_folder}", str(tiny_folder)] * 8
    with ThreadPoolExecutor(4) as pool:
        opened = [run.result() for run in [pool.submit(open_competitor, s, "cpu") for s in specs]]
    assert len({competitor.weights_sha256 for competitor in opened}) == 2


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
