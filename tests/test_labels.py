"""A label map comes back as it was written, and a broken one is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.errors import WeightsError
from dawnchorus.labels import LabelMapping, read_label_map, write_label_map


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, unique=True))
def test_labels_come_back_in_the_order_of_the_logits(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str]
) -> None:
    path = tmp_path_factory.mktemp("labels") / "label_map.json"
    write_label_map(path, labels)
    assert read_label_map(path) == labels


def test_the_order_is_that_of_the_indices_not_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "label_map.json"
    path.write_text(json.dumps({"wren": 2, "robin": 0, "dunnock": 1}), encoding="utf-8")
    assert read_label_map(path) == ["robin", "dunnock", "wren"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not a readable label map"),
        ("[1, 2]", "need a JSON object"),
        ("{}", "need a JSON object"),
        ('{"a": "0"}', "label 'a' has index '0'"),
        ('{"a": true}', "label 'a' has index True"),
        ('{"a": 0, "b": 2}', "2 labels need the indices 0 to 1"),
        ('{"a": 0, "b": 0}', "found 0 to 0"),
    ],
)
def test_a_map_with_holes_or_other_things_is_refused(
    tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "label_map.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(WeightsError, match=said):
        read_label_map(path)


def test_a_missing_map_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"label_map\.json: not a readable"):
        read_label_map(tmp_path / "label_map.json")


def test_a_mapping_serves_both_forms() -> None:
    mapping = LabelMapping(["robin", "wren"])
    assert dict(mapping) == {
        "label_to_index": {"robin": 0, "wren": 1},
        "index_to_label": {0: "robin", 1: "wren"},
    }
    assert mapping["index_to_label"][1] == mapping["1"] == mapping[1] == "wren"
    assert mapping.get("1", "?") == mapping.get(np.int64(1)) == "wren"
    assert mapping.get("2", "?") == "?"
    assert mapping.get("index_to_label") == {0: "robin", 1: "wren"}
    assert "1" in mapping
    assert "label_to_index" in mapping
    assert "2" not in mapping
    with pytest.raises(KeyError, match="an index from 0 to 1"):
        mapping["-1"]
