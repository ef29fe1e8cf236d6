"""Labels of crops and vocabularies, held against the plainest way to say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.clips.manifest import Clip, Manifest
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.feed.crop_labels import CropLabels, targets_of
from dawnchorus.feed.draws import CYCLE_STEPS, BucketOrder, rows_of_part
from dawnchorus.feed.vocabulary import Vocabulary, gather_vocabulary, unknown_labels

SPECIES = Vocabulary(("species",), ("robin", "wren"))
CALLS = Vocabulary(("calltype",), ("song", "wren"))  # one label of two kinds is two

CLIPS = st.lists(
    st.tuples(
        st.sampled_from(["a.wav", "b.wav"]),
        st.integers(0, 8),
        st.integers(1, 6),
        st.lists(st.sampled_from(["robin", "wren", "song", "owl"]), max_size=3, unique=True),
        st.sampled_from(["species", "calltype"]),
        st.sampled_from(["weak", "strong"]),
    ),
    min_size=1,
    max_size=7,
).map(
    lambda rows: [
        Clip(
            id=f"c{number}", path=path, start_s=float(start), stop_s=float(start + length),
            labels=tuple(labels), kind=kind, dataset=dataset,
            level="segment", split=None,
        )
        for number, (path, start, length, labels, kind, dataset) in enumerate(rows)
    ]
)  # fmt: skip


def plain_target(clips: list[Clip], row: int, start_s: float, stop_s: float) -> list[float]:
    """As the docstring says it: its own labels, and weak ones that share half of the shorter."""
    held = [clips[row]]
    for clip in clips:
        shared = min(stop_s, clip.stop_s) - max(start_s, clip.start_s)
        near = shared >= 0.5 * min(stop_s - start_s, clip.stop_s - clip.start_s)
        weak = clip.kind != "calltype" and clip.dataset != "strong"
        held += [clip] if clip.path == clips[row].path and weak and near else []
    return [
        float(any(clip.kind in words.kinds and label in clip.labels for clip in held))
        for words in (SPECIES, CALLS)
        for label in words.labels
    ]


@given(CLIPS, st.integers(0, 6), st.integers(0, 3), st.integers(1, 3))
def test_a_crop_has_its_own_labels_and_the_weak_ones_around_it(
    clips: list[Clip], row: int, after_s: int, length_s: int
) -> None:
    row %= len(clips)
    labels = CropLabels(Manifest.of(clips, Path()), [SPECIES, CALLS], ["strong"])
    start_s = clips[row].start_s + after_s
    target = labels.target(row, start_s, start_s + length_s)
    assert target.tolist() == plain_target(clips, row, start_s, start_s + length_s)
    own = targets_of(clips[row], [SPECIES, CALLS])
    assert (target >= own).all()


@given(CLIPS)
def test_a_vocabulary_holds_every_label_of_its_kinds_once_in_order(clips: list[Clip]) -> None:
    wanted = sorted({label for clip in clips if clip.kind == "species" for label in clip.labels})
    if not wanted:
        with pytest.raises(TaskError, match=r"no label of kinds \['species'\] in \d+ clips; kinds"):
            gather_vocabulary(clips, ["species"])
        return
    found = gather_vocabulary(clips, ["species"])
    assert (list(found.labels), len(found)) == (wanted, len(wanted))
    assert found == gather_vocabulary(clips[::-1], ["species"])
    assert found.encode(found.labels).tolist() == [1.0] * len(wanted)
    assert unknown_labels([found], clips) == {}


@given(CLIPS)
def test_labels_that_no_vocabulary_holds_are_counted_by_clip(clips: list[Clip]) -> None:
    strange: dict[str, int] = {}
    for clip in clips:
        for label in clip.labels if clip.kind == "species" else ():
            if label not in SPECIES.labels:
                strange[label] = strange.get(label, 0) + 1
    assert unknown_labels([SPECIES], clips) == dict(sorted(strange.items()))


def test_the_hash_of_a_vocabulary_is_that_of_its_order() -> None:
    turned = Vocabulary(SPECIES.kinds, SPECIES.labels[::-1])
    assert turned.hash != SPECIES.hash
    assert SPECIES.hash == Vocabulary(("other",), SPECIES.labels).hash
    assert SPECIES.encode(["wren", "owl"]).tolist() == [0.0, 1.0]


@given(
    st.lists(st.floats(0.001, 50), min_size=1, max_size=5),
    st.integers(0, 2**32),
    st.integers(0, 2),
)
def test_a_step_knows_how_often_its_bucket_came_before(
    weights: list[float], seed: int, cycle: int
) -> None:
    order = BucketOrder(weights, seed)
    numbers = [order.at(step)[0] for step in range(CYCLE_STEPS)]
    counts = np.bincount(numbers, minlength=len(weights))
    assert counts.min() >= 1
    shares = np.array(weights) / sum(weights) * CYCLE_STEPS
    assert (np.abs(counts - shares) <= len(weights)).all()
    # resumed at any step, by another object
    again = BucketOrder(weights, seed)
    for step in (0, 7, CYCLE_STEPS - 20):
        number, before = again.at(step)
        assert (number, before) == (numbers[step], numbers[:step].count(number))
        later, n_later = again.at(cycle * CYCLE_STEPS)
        assert n_later == cycle * counts[later]


@given(st.integers(1, 8), st.integers(1, 8))
def test_parts_of_a_batch_are_its_rows_in_order(share: int, n_parts: int) -> None:
    rows = [row for part in range(n_parts) for row in rows_of_part(share * n_parts, part, n_parts)]
    assert rows == list(range(share * n_parts))
    for part in (-1, n_parts):
        with pytest.raises(UsageError, match=rf"part {part} of {n_parts}: need 0 <= part"):
            rows_of_part(share * n_parts, part, n_parts)
    if n_parts > 1:
        with pytest.raises(UsageError, match=rf"cannot be cut into {n_parts} equal parts"):
            rows_of_part(share * n_parts + 1, 0, n_parts)
