"""Where a detection lies, in samples of the recording itself."""

from __future__ import annotations

import numpy as np

from dawnchorus.engine.exports.detection_table import window_rows


def test_positions_at_another_rate_are_the_nearest_ones() -> None:
    columns = {
        "window": [0, 1],
        "start_sample": np.array([0, 16_001]),
        "valid_samples": np.array([16_001, 7]),
        "label": ["a", "b"],
        "level": ["", ""],
        "probability": [0.5, 0.5],
        "rank": [1, 1],
    }
    table = window_rows("a", rate=44_100, n_samples=10**6, model_rate=16_000, columns=columns)
    assert table["start_sample"].to_pylist() == [0, round(16_001 * 44_100 / 16_000)] == [0, 44_103]
    assert table["stop_sample"].to_pylist() == [44_103, round(16_008 * 44_100 / 16_000)]
