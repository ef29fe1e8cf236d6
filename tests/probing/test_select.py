"""Which clips a probe is fitted and scored on, and what is said of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_tables import Rows, clip_table
from dawnchorus.configs import ProbeRunConfig
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.failures import Failure
from dawnchorus.probing.background import usual_length_s
from dawnchorus.probing.labels import LabelledClips, label_clips
from dawnchorus.probing.select import check_classes, training_clips

SPLITS = ("train", "val", "test", "")
WORDS = ("ant", "bee", "cow", "noise")


def splits_of(clips: LabelledClips) -> list[str]:
    return clips.split.tolist()


def test_clips_of_test_are_left_alone_and_clips_without_a_split_are_trained_on() -> None:
    rows: Rows = [(split, (word,)) for split in SPLITS for word in ("ant", "bee")]
    clips = training_clips(clip_table(rows), ProbeRunConfig())
    assert set(splits_of(clips)) == {"train", "val", ""}
    assert clips.classes == ("ant", "bee")
    assert not clips.multi_label


def test_a_class_of_test_alone_is_no_class_and_not_mentioned() -> None:
    rows: Rows = [("train", ("ant",)), ("train", ("bee",)), ("test", ("cow",))]
    clips = training_clips(clip_table(rows), ProbeRunConfig())
    assert clips.classes == ("ant", "bee")
    assert not clips.warnings


@pytest.mark.parametrize(("multi_label", "n_left"), [(None, 4), (False, 4), (True, 5)])
def test_a_validation_clip_of_an_unknown_label_is_left_out_or_not_scored(
    *, multi_label: bool | None, n_left: int
) -> None:
    rows: Rows = [*[(s, (w,)) for s in ("train", "val") for w in ("ant", "bee")], ("val", ("cow",))]
    clips = training_clips(clip_table(rows), ProbeRunConfig(multi_label=multi_label))
    assert len(clips) == n_left
    assert (
        "1 clips of split val have labels that no clip to train on has (cow)" in clips.warnings[0]
    )


def test_several_labels_a_clip_or_none_make_a_probe_of_several_labels() -> None:
    two: Rows = [("", ("ant",)), ("", ("bee", "ant")), ("", ("bee",))]
    assert training_clips(clip_table(two), ProbeRunConfig()).multi_label
    none: Rows = [("", ("ant",)), ("", ()), ("", ("bee",))]
    assert training_clips(clip_table(none), ProbeRunConfig()).multi_label
    one: Rows = [("", ("ant",)), ("", ("bee",))]
    assert not training_clips(clip_table(one), ProbeRunConfig()).multi_label


def test_background_is_no_class_whatever_its_case() -> None:
    rows: Rows = [("", ("ant",)), ("", ("Noise",)), ("", ("noise", "ant"))]
    clips = training_clips(clip_table(rows), ProbeRunConfig(background=("NOISE",)))
    assert clips.classes == ("ant",)
    assert clips.background == ("Noise", "noise")
    assert clips.truth[:, 0].tolist() == [True, False, True]
    assert clips.other_labels == ((), (), ())


def test_clips_that_could_not_be_read_are_passed_on() -> None:
    failure = Failure("9.wav", "missing", "9.wav: no such file")
    clips = training_clips(
        clip_table([("", ("ant",)), ("", ("bee",))], (failure,)), ProbeRunConfig()
    )
    assert clips.failures == (failure,)


def test_clips_that_a_column_groups_stay_together_and_an_unknown_column_is_named() -> None:
    rows: Rows = [("", ("ant",)), ("", ("bee",)), ("", ("ant",))]
    by_file = label_clips(clip_table(rows))
    assert len(set(by_file.group.tolist())) == 3
    assert by_file.counts == {"ant": (2, 2), "bee": (1, 1)}
    together = label_clips(clip_table(rows), group_by=("dataset",))
    assert set(together.group.tolist()) == {0}
    with pytest.raises(UsageError, match="no column 'site'"):
        label_clips(clip_table(rows), group_by=("site",))


def test_a_table_without_labels_asks_for_their_column() -> None:
    with pytest.raises(TaskError, match="--column labels=COLUMN"):
        label_clips(clip_table([("", ()), ("", ())]))
    with pytest.raises(TaskError, match="0 of 2 clips are to train on"):
        training_clips(clip_table([("val", ("ant",)), ("test", ("bee",))]), ProbeRunConfig())


@pytest.mark.parametrize(
    ("truth", "multi_label", "message"),
    [
        ([[1, 0], [1, 0]], False, "of bee no clip to train on can be read"),
        ([[1, 1], [1, 0]], True, "all 2 clips to train on have the label ant"),
    ],
)
def test_what_cannot_be_learned_is_refused_with_what_to_add(
    truth: list[list[int]], message: str, *, multi_label: bool
) -> None:
    with pytest.raises(TaskError, match=message):
        check_classes("clips.csv", ("ant", "bee"), np.array(truth), multi_label=multi_label)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(SPLITS), st.lists(st.sampled_from(WORDS), max_size=2, unique=True)
        ),
        min_size=1,
        max_size=14,
    ),
    multi_label=st.sampled_from([None, True, False]),
)
def test_no_clip_of_test_is_used_and_every_class_can_be_learned(
    rows: list[tuple[str, list[str]]], *, multi_label: bool | None
) -> None:
    given_rows: Rows = [(split, tuple(labels)) for split, labels in rows]
    options: dict[str, Any] = {"multi_label": multi_label}
    try:
        clips = training_clips(clip_table(given_rows), ProbeRunConfig(**options))
    except TaskError:
        return  # said which class cannot be learned
    assert "test" not in splits_of(clips)
    is_train = np.isin(clips.split, ("train", ""))
    assert clips.truth[is_train].any(axis=0).all()
    for row, clip in enumerate(clips.manifest):
        has = {name for name, true in zip(clips.classes, clips.truth[row], strict=True) if true}
        assert has | set(clips.other_labels[row]) == set(clip.labels)
    if not clips.multi_label:
        assert not any(clips.other_labels)


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.floats(0.01, 60.0), max_size=30), most=st.floats(0.2, 20.0))
def test_nine_in_ten_clips_fit_into_the_usual_length(lengths: list[float], most: float) -> None:
    usual = usual_length_s(np.array(lengths), most)
    assert 0.1 <= usual <= max(most, 0.1)
    if lengths and usual < most:
        fitting = np.mean(np.array(lengths) <= usual + 1e-6)
        # the quantile lies between two lengths, of which the longer one may not fit
        assert fitting >= 0.9 - 1 / len(lengths)
