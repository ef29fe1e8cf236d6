"""Configs and the files that they come from: every field described, JSON with one meaning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus import configs
from dawnchorus.configs import Config, ProbeConfig, read_recipe
from dawnchorus.configs.json_file import parse_json, read_json
from dawnchorus.errors import UsageError
from dawnchorus.models.card import Card, Fingerprint, HubLocation
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.label_facts import (
    Evidence,
    LabelFacts,
    ScoreCalibration,
    UnfamiliarSounds,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
OURS = [
    configs.ProbeConfig,
    configs.HeadConfig,
    configs.FitConfig,
    configs.ScheduleConfig,
    configs.FinetuneConfig,
    Card,
    Fingerprint,
    HubLocation,
    EATConfig,
    LabelFacts,
    Evidence,
    ScoreCalibration,
    UnfamiliarSounds,
]


@pytest.mark.parametrize("config", OURS, ids=lambda config: config.__name__)
def test_every_field_is_described(config: type[Config]) -> None:
    silent = [name for name, field in config.model_fields.items() if not field.description]
    assert silent == []


@given(JSON)
def test_json_is_read_as_it_was_written(value: object) -> None:
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' is there twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ("[-Infinity]", "-Infinity is not a number"),
        ("[" * 100_000, "nested too deeply"),
        ("{", "Expecting"),
    ],
)
def test_json_that_could_be_read_two_ways_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_json(text)


def test_a_json_file_is_held_to_a_size(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('"1234"')
    assert read_json(path, most_bytes=6) == "1234"
    with pytest.raises(ValueError, match="more than 5 bytes"):
        read_json(path, most_bytes=5)
    path.write_bytes(b'"\xff"')
    with pytest.raises(ValueError, match="utf-8"):
        read_json(path)


def test_a_recipe_builds_on_others_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "upper").mkdir()
    (tmp_path / "base.yaml").write_text("a: {x: 1, y: 2}\nb: [1, 2]\nc: 3\n")
    (tmp_path / "middle.yaml").write_text("base: base.yaml\nb: [3]\n")
    (tmp_path / "upper/top.yaml").write_text("base: ../middle.yaml\na: {y: 5}\nd: 4\n")
    values = read_recipe(tmp_path / "upper/top.yaml")
    assert values == {"a": {"x": 1, "y": 5}, "b": [3], "c": 3, "d": 4}
    (tmp_path / "base.yaml").write_text("base: upper/top.yaml\n")
    with pytest.raises(UsageError, match="leads back to"):
        read_recipe(tmp_path / "middle.yaml")
    (tmp_path / "base.yaml").write_text("base: [a.yaml]\n")
    with pytest.raises(UsageError, match="base must name one file"):
        read_recipe(tmp_path / "base.yaml")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"target_layers": "all"}, "need a list of names"),
        ({"target_layers": [True]}, "need a list of names"),
        ({"target_layers": []}, "at least one layer"),
        ({"freeze_backbone": False, "online_training": False}, "needs waveforms"),
        ({"input_processing": "sequence"}, "is for probes on tokens, not 'linear'"),
        ({"hidden_dims": []}, "widths of at least 1"),
        ({"hidden_dim": 3}, "unknown key 'hidden_dim'"),
    ],
)
def test_a_probe_that_cannot_be_built_is_refused_when_it_is_described(
    values: dict[str, object], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        ProbeConfig(**values)
