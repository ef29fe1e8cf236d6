"""Which scores become rows: against a naive loop, with names of every form, and how rows count."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.configs import PredictConfig
from dawnchorus.engine.detections.label_counts import LabelCount, LabelCounter
from dawnchorus.engine.detections.label_names import as_labels, by_name, columns_of, find_label
from dawnchorus.engine.detections.thresholds import DetectionRule, describe_rule, make_rule
from dawnchorus.engine.exports.detection_table import _at_rate, window_rows
from dawnchorus.errors import UsageError

LABELS = ("Turdus merula", "Parus major_Great Tit", "clock", "Passeridae")
SCORES = st.lists(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=4, max_size=4), max_size=4
)


@given(
    SCORES,
    st.sets(st.integers(0, 3), min_size=1),
    st.lists(st.sampled_from([0.0, 0.5, 0.75]), min_size=4, max_size=4),
    st.none() | st.integers(1, 5),
    st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_rows_are_those_of_a_naive_loop(
    scores: list[list[float]],
    wanted: set[int],
    lowest: list[float],
    top_k: int | None,
    silence: list[bool],
) -> None:
    columns = sorted(wanted)
    rule = DetectionRule(
        np.array(columns), np.array([lowest[c] for c in columns], np.float32), top_k
    )
    probabilities = np.array(scores, np.float32).reshape(-1, 4)
    silent = np.array(silence[: len(scores)], np.bool_)
    want = []
    for window, values in enumerate(scores):
        # of equal scores the model's first label is the likelier
        ranked = sorted(columns, key=lambda column: (-values[column], column))[:top_k]
        for rank, column in enumerate(ranked, start=1):
            if values[column] >= lowest[column] and not silence[window]:
                want.append((window, column, rank))
    chosen = rule.choose(probabilities, silent)
    assert list(zip(*(part.tolist() for part in chosen), strict=True)) == want


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("turdus MERULA", 0),
        ("Parus major", 1),
        ("PARUS MAJOR_great tit", 1),
        ("Passeridae_Sparrows", 3),
        ("clock", 2),
        ("clock_tick", None),  # no scientific name: another sound
        ("Clock_tick", 2),
        ("Great Tit", None),
        ("", None),
    ],
)
def test_a_name_means_the_label_that_a_reader_would_mean(name: str, index: int | None) -> None:
    assert find_label(name, by_name(LABELS)) == index


def test_a_whole_name_is_preferred_to_the_part_of_another() -> None:
    known = by_name(["Turdus merula_Common Blackbird", "Turdus merula"])
    assert find_label("Turdus merula", known) == 1
    assert find_label("Turdus merula_Common Blackbird", known) == 0


def test_names_in_another_form_become_the_label_and_others_stay() -> None:
    given_names = ["parus major", "clock", "TURDUS MERULA", "dodo"]
    assert as_labels(given_names, LABELS) == [LABELS[1], "clock", "TURDUS MERULA", "dodo"]


def test_wrong_names_are_refused_with_the_nearest_or_a_few_labels() -> None:
    known = by_name(LABELS)
    columns, unknown = columns_of(("dodo", "clock", "Parus major", "Clock"), known, LABELS)
    assert (columns.tolist(), unknown) == ([1, 2], ("dodo",))
    with pytest.raises(UsageError, match=r"none of the 1 names .*did you mean Turdus merula\?"):
        columns_of(("Turdus merulla",), known, LABELS)
    with pytest.raises(UsageError, match=r"it knows Turdus merula, .*, clock and 1 more"):
        columns_of(("zzz",), known, LABELS)
    with pytest.raises(UsageError, match=r"none of the 0 names .*empty list"):
        columns_of((), known, LABELS)


@pytest.mark.parametrize(
    ("values", "lowest"),
    [
        ({"threshold": 0.3}, [0.3, 0.3, 0.3, 0.3]),
        ({"threshold": 0.3, "thresholds": {"clock": 0.9}}, [0.3, 0.3, 0.9, 0.3]),
        ({"thresholds": {"clock": 0.9, "parus major": 0.2}}, [0.2, 0.9]),  # these labels alone
        ({"top_k": 1}, [0.0, 0.0, 0.0, 0.0]),
        ({"threshold": 0.0}, [0.0, 0.0, 0.0, 0.0]),
        ({"labels": ("clock",), "threshold": 0.4}, [0.4]),
    ],
)
def test_the_nearest_threshold_of_the_user_holds(
    values: dict[str, object], lowest: list[float]
) -> None:
    rule, unknown = make_rule(PredictConfig(**values), LABELS)
    assert rule.lowest.tolist() == pytest.approx(lowest)
    assert unknown == ()


def test_a_threshold_for_a_label_that_nobody_knows_is_said() -> None:
    config = PredictConfig(threshold=0.5, thresholds={"dodo": 0.4, "clock": 0.1})
    rule, unknown = make_rule(config, LABELS)
    assert unknown == ("dodo",)
    assert rule.lowest.tolist() == pytest.approx([0.5, 0.5, 0.1, 0.5])


def test_a_lower_threshold_never_raises_the_one_of_a_label() -> None:
    config = PredictConfig(merge=True, threshold=0.5, thresholds={"clock": 0.9}, low_threshold=0.3)
    rule, _ = make_rule(config, LABELS)
    assert rule.lowest.tolist() == pytest.approx([0.3] * 4)
    assert rule.merging is not None
    assert rule.merging.thresholds == pytest.approx(
        {"Turdus merula": 0.5, LABELS[1]: 0.5, "clock": 0.9, "Passeridae": 0.5}
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"threshold": 0.3}, "the threshold is 0.3"),
        (
            {"threshold": 0.3, "thresholds": {"a": 0.1}, "merge": True, "min_length_s": 2.0},
            "the threshold is 0.3, 1 labels have their own; merged detections of at least 2 s",
        ),
        ({"top_k": 2}, "each window that is not silent gives its 2 likeliest labels"),
    ],
)
def test_the_rule_is_said_in_words(values: dict[str, object], text: str) -> None:
    assert describe_rule(PredictConfig(**values)) == text


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.25, 0.5, 1.0])), max_size=5),
        max_size=5,
    )
)
def test_labels_are_counted_by_rows_and_by_recordings(
    recordings: list[list[tuple[str, float]]],
) -> None:
    counter = LabelCounter()
    for rows in recordings:
        names, scores = [label for label, _ in rows], [score for _, score in rows]
        counter.add(
            pa.table(
                {
                    "label": pa.array(names, pa.string()),
                    "level": pa.array(
                        [None if n == "c" else "species" for n in names], pa.string()
                    ),
                    "probability": pa.array(scores, pa.float32()),
                }
            )
        )
    flat = [row for rows in recordings for row in rows]
    want = [
        LabelCount(
            name,
            "" if name == "c" else "species",
            sum(label == name for label, _ in flat),
            sum(any(label == name for label, _ in rows) for rows in recordings),
            max(score for label, score in flat if label == name),
        )
        for name in {label for label, _ in flat}
    ]
    want.sort(key=lambda count: (-count.n_detections, -count.highest, count.label))
    assert list(counter.counts()) == want


@given(st.integers(0, 10**12), st.integers(1, 400_000), st.integers(1, 400_000))
def test_a_place_at_another_rate_is_the_nearest_sample(sample: int, old: int, new: int) -> None:
    at = int(_at_rate(np.array([sample]), old, new)[0]) if sample * new * 2 < 2**62 else None
    if at is not None:
        assert abs(at * old - sample * new) * 2 <= old
        assert int(_at_rate(np.array([sample]), old, old)[0]) == sample


def test_the_last_window_ends_with_its_recording() -> None:
    table = window_rows(
        "a.wav",
        rate=44_100,
        n_samples=44_100 * 3 - 1,
        model_rate=16_000,
        columns={
            "window": [0, 1],
            "start_sample": np.array([0, 32_000]),
            "valid_samples": np.array([32_000, 16_000]),
            "label": ["a", "b"],
            "level": [None, "species"],
            "probability": [0.5, 0.75],
            "rank": [1, 1],
        },
    )
    assert table["stop_sample"].to_pylist() == [88_200, 132_299]
    assert table["start_sample"].to_pylist() == [0, 88_200]
    assert table["stop_s"].to_pylist() == pytest.approx([2.0, 132_299 / 44_100])
    assert table["n_windows"].to_pylist() == [1, 1]
    assert table["recorded_at"].to_pylist() == [None, None]
