"""The one rule by which people's spans label windows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.annotations.annotation_table import new_row
from dawnchorus.annotations.window_labels import window_labels
from dawnchorus.store.schema import recording_id


def windows(*spans, path="a.wav"):
    starts, stops = zip(*spans, strict=True)
    return pa.table(
        {
            "recording_id": [recording_id(path)] * len(spans),
            "start_s": np.array(starts, float),
            "stop_s": np.array(stops, float),
        }
    )


def row(start_s, end_s, state="present", label="wren", path="a.wav", author="ann"):
    return new_row(path, start_s, end_s, label, state=state, author=author)


WINDOW = windows((10, 15))


@pytest.mark.parametrize(
    ("rows", "label"),
    [
        ([], -1),
        ([row(12, 13)], 1),  # a call within the window
        ([row(14.5, 15.5)], 1),  # half of the call
        ([row(14.51, 15.51)], -1),  # less than half: neither
        ([row(0, 12.5)], 1),  # half of the window, as it is the shorter
        ([row(0, 12.4)], -1),
        ([row(0, None)], 1),  # to the end
        ([row(10, 15, "absent")], 0),
        ([row(0, 12.5, "absent")], 0),
        ([row(0, 12.4, "absent")], -1),
        ([row(11, 13, "absent")], -1),  # a short silence says nothing of the whole
        ([row(0, None, "absent"), row(14.6, 15.6)], -1),  # a present span touches it
        ([row(0, None, "absent"), row(15, 16)], 0),  # ends where that begins
        ([row(0, None, "absent"), row(12, 13, author="bob")], -1),  # conflict
        ([row(10, 15, "unsure")], -1),
        ([row(10, 15, "unsure"), row(12, 13)], 1),
        ([row(10, 15, "absent"), row(12, 13, "unsure")], -1),
        ([row(10, 15, None)], -1),  # a suggestion
        ([row(10, 15, label="robin")], -1),
        ([row(10, 15, label="robin", state="absent")], -1),
        ([row(10, 15, label="")], 0),  # none of the labels is heard
        ([row(10, 15, label="", state="unsure")], -1),
        ([row(10, 15, path="b.wav")], -1),
    ],
)
def test_the_rule(rows, label) -> None:
    assert window_labels(WINDOW, rows, "wren").tolist() == [label]


def test_half_a_call_is_half_whatever_floats_make_of_it() -> None:
    # a third of a second is on no grid
    assert window_labels(windows((1 / 3, 2 / 3)), [row(0.5, 5 / 6)], "wren").tolist() == [1]
    assert window_labels(windows((1 / 3, 2 / 3)), [row(0.5, 5, "absent")], "wren").tolist() == [0]


def test_windows_of_many_recordings_may_stand_in_any_order() -> None:
    table = pa.concat_tables(
        [windows((0, 5), (5, 10)), windows((0, 5), path="b.wav"), windows((10, 15), (0, 5))]
    )
    rows = [row(6, 7), row(0, 5, "absent"), row(1, 2, path="b.wav"), row(0, 9, path="c.wav")]
    assert window_labels(table, rows, "wren").tolist() == [0, 1, 1, -1, 0]
    as_dictionary = table.set_column(0, "recording_id", table["recording_id"].dictionary_encode())
    assert window_labels(as_dictionary, rows, "wren").tolist() == [0, 1, 1, -1, 0]


def test_no_windows_have_no_labels() -> None:
    assert window_labels(WINDOW.slice(0, 0), [row(0, 5)], "wren").shape == (0,)


SPANS = st.tuples(st.integers(0, 40), st.integers(1, 20), st.sampled_from(["present", "absent"]))


@given(st.lists(SPANS, max_size=6), st.integers(0, 40), st.integers(1, 20))
def test_the_rule_holds_for_any_spans(spans, start, length) -> None:
    rows = [row(s, s + n, state, author=f"a{k}") for k, (s, n, state) in enumerate(spans)]
    stop = start + length

    # the same rule over whole seconds, which can be counted

    def shared(s, n):
        return len(set(range(s, s + n)) & set(range(start, stop)))

    present = any(2 * shared(s, n) >= min(n, length) for s, n, state in spans
                  if state == "present" and shared(s, n))  # fmt: skip
    touched = any(shared(s, n) for s, n, state in spans if state == "present")
    absent = any(2 * shared(s, n) >= length for s, n, state in spans if state == "absent")
    expected = 1 if present and not absent else 0 if absent and not touched else -1
    assert window_labels(windows((start, stop)), rows, "wren").tolist() == [expected]
