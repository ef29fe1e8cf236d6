"""Merged detections: a law against a slow reading of the rule, and the rule's own corners."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.configs import PredictConfig
from dawnchorus.engine.detections.label_names import read_label_list
from dawnchorus.engine.detections.merging import MergeRule, merge_windows
from dawnchorus.engine.detections.thresholds import make_rule
from dawnchorus.engine.exports.detection_table import DETECTION_SCHEMA
from dawnchorus.errors import UsageError


def windows(scores: dict[str, list[float]], low: float, *, hop_s: float = 1.0) -> pa.Table:
    rows = [
        {
            "path": "a.wav",
            "window": index,
            "start_s": index * hop_s,
            "stop_s": index * hop_s + 1.0,
            "start_sample": round(index * hop_s * 100),
            "stop_sample": round(index * hop_s * 100) + 100,
            "sample_rate": 100,
            "label": label,
            "probability": score,
            "rank": 1,
            "n_windows": 1,
        }
        for label, values in scores.items()
        for index, score in enumerate(values)
        if score >= low
    ]
    return pa.Table.from_pylist(rows, DETECTION_SCHEMA)


def slowly(values: list[float], low: float, high: float, gap: int, least: int) -> list[Any]:
    """Runs of windows, by looking at every stretch of the recording."""
    reached = [index for index, score in enumerate(values) if score >= low]
    over = [score >= low for score in values]
    for left, right in itertools.pairwise(reached):
        if right - left - 1 <= gap:
            over[left:right] = [True] * (right - left)
    padded = np.concatenate([[False], over, [False]]).astype(int)
    starts, stops = np.flatnonzero(np.diff(padded) == 1), np.flatnonzero(np.diff(padded) == -1)
    return [
        (start, stop, max(values[start:stop]))
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        if max(values[start:stop]) >= high and stop - start >= least
    ]


@given(
    st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), max_size=12),
    st.sampled_from([0.3, 0.5]),
    st.sampled_from([0.5, 0.9]),
    st.integers(0, 2),
    st.integers(0, 3),
)
def test_detections_are_what_a_slow_reading_of_the_rule_gives(
    values: list[float], low: float, high: float, gap: int, least: int
) -> None:
    rule = MergeRule(thresholds={"a": high}, gap_s=float(gap), min_length_s=float(least))
    found = merge_windows(windows({"a": values}, low), rule).to_pylist()
    wanted = slowly(values, low, high, gap, least)
    assert [(row["start_s"], row["stop_s"]) for row in found] == [(a, b) for a, b, _ in wanted]
    assert [row["probability"] for row in found] == [pytest.approx(p) for _, _, p in wanted]
    assert [row["stop_sample"] for row in found] == [100 * b for _, b, _ in wanted]


def test_labels_are_merged_apart_and_the_best_window_is_named() -> None:
    table = windows({"b": [0.6, 0.8, 0.4], "a": [0.2, 0.9, 0.2]}, 0.3)
    rows = merge_windows(table, MergeRule(thresholds={"a": 0.5, "b": 0.5})).to_pylist()
    assert [(row["label"], row["start_s"], row["stop_s"], row["window"]) for row in rows] == [
        ("b", 0.0, 3.0, 1),
        ("a", 1.0, 2.0, 1),
    ]
    assert [row["n_windows"] for row in rows] == [3, 1]


def test_windows_that_overlap_are_one_detection() -> None:
    table = windows({"a": [0.9] * 5}, 0.5, hop_s=0.2)
    (row,) = merge_windows(table, MergeRule(thresholds={"a": 0.5})).to_pylist()
    assert (row["start_s"], row["stop_s"]) == (0.0, pytest.approx(1.8))


def test_a_label_may_have_its_own_threshold(tmp_path: Any) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("# mine\nrobin, 0.9\nWren\ncoot, common\n", encoding="utf-8")
    names, thresholds = read_label_list(path)
    assert names == ("robin", "Wren", "coot, common")
    assert thresholds == {"robin": 0.9}
    config = PredictConfig(threshold=0.5, labels=names, thresholds=thresholds)
    rule, unknown = make_rule(config, ["coot, common", "dodo", "Robin", "wren"])
    assert unknown == ()
    scores = np.array([[0.6, 0.99, 0.8, 0.6], [0.4, 0.0, 0.95, 0.0]], np.float32)
    window, label, _ = rule.choose(scores)
    assert sorted(zip(window.tolist(), label.tolist(), strict=True)) == [(0, 0), (0, 3), (1, 2)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gap_s": 1.0}, "gap_s is for merged"),
        ({"merge": True, "threshold": 0.5, "top_k": 1}, "not by top_k"),
        ({"merge": True, "threshold": 0.5, "low_threshold": 0.6}, "above a threshold"),
        ({"thresholds": {"a": 2.0}}, "need 0 to 1"),
    ],
)
def test_nonsense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        PredictConfig(**options)
