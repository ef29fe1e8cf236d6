"""Orders of clips: every one once an epoch, whoever draws which part, with none in memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.clips.manifest import Manifest
from dawnchorus.feed.draws import (
    SHARDS_AT_ONCE,
    ClipOrder,
    Shuffled,
    ShuffledByShard,
    Weighted,
    rows_of_part,
    shuffled_place,
)
from dawnchorus.feed.sampling import class_weights


@given(st.integers(1, 700), st.integers(0, 2**80))
def test_a_shuffled_range_holds_each_place_once(n: int, key: int) -> None:
    assert sorted(shuffled_place(place, n, key) for place in range(n)) == list(range(n))


def test_a_place_goes_everywhere_equally_often() -> None:
    # 4000 keys over 10 places: 400 each, with a deviation of 19
    for place in (0, 9):
        counts = np.bincount([shuffled_place(place, 10, key) for key in range(4000)])
        assert counts.min() > 400 - 5 * 19
        assert counts.max() < 400 + 5 * 19


def test_neighbours_in_a_large_range_are_torn_apart() -> None:
    n = 3_000_000
    moved = np.array([shuffled_place(place, n, 7) for place in range(2000)])
    assert len(set(moved.tolist())) == 2000
    assert abs(moved.mean() / n - 0.5) < 0.03
    assert np.median(np.abs(np.diff(moved))) > n / 5
    again = np.array([shuffled_place(place, n, 8) for place in range(2000)])
    assert abs(np.corrcoef(moved, again)[0, 1]) < 0.1


@st.composite
def orders(draw: st.DrawFn) -> ClipOrder:
    seed = draw(st.integers(0, 2**40))
    if draw(st.booleans()):
        return Shuffled(draw(st.integers(1, 300)), seed)
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3 * SHARDS_AT_ONCE))
    return ShuffledByShard(np.repeat(np.arange(len(sizes)), sizes), seed)


@given(orders(), st.integers(1, 12), st.integers(1, 4), st.integers(0, 3))
def test_in_an_epoch_every_clip_comes_once_over_all_parts(
    order: ClipOrder, share: int, n_parts: int, epoch: int
) -> None:
    n_clips = getattr(order, "n_clips")  # noqa: B009  both orders have it, the protocol need not
    batch = share * n_parts
    first, last = epoch * n_clips, (epoch + 1) * n_clips - 1
    drawn = []
    for part in range(n_parts):
        for step in range(first // batch, last // batch + 1):
            numbers = [step * batch + row for row in rows_of_part(batch, part, n_parts)]
            drawn += [order.at(number, 0.5) for number in numbers if first <= number <= last]
    assert sorted(drawn) == list(range(n_clips))


def test_epochs_and_seeds_differ() -> None:
    for make in (
        lambda seed: Shuffled(100, seed),
        lambda seed: ShuffledByShard(np.repeat(np.arange(40), 5), seed),
    ):
        order, other = make(0), make(1)
        first = [order.at(number, 0.0) for number in range(100)]
        assert first != [order.at(number + order.n_clips, 0.0) for number in range(100)]
        assert first != [other.at(number, 0.0) for number in range(100)]


def test_only_a_few_shards_are_read_at_once() -> None:
    shards = np.repeat(np.arange(100), 50)
    order = ShuffledByShard(shards, 3)
    drawn = shards[[order.at(number, 0.0) for number in range(SHARDS_AT_ONCE * 50)]]
    assert len(np.unique(drawn)) == SHARDS_AT_ONCE
    assert np.mean(np.diff(drawn) == 0) < 0.2  # clips of different shards follow each other


def test_weighted_draws_follow_the_weights_and_never_take_a_clip_of_weight_0() -> None:
    order = Weighted(np.array([1.0, 0.0, 3.0, 0.0]))
    chances = np.random.default_rng(0).random(4000)
    counts = np.bincount([order.at(0, chance) for chance in chances], minlength=4)
    assert counts[1] == counts[3] == 0
    assert counts[2] / 4000 == pytest.approx(0.75, abs=0.03)
    assert order.at(0, 0.0) == 0
    assert order.at(0, np.nextafter(1.0, 0.0)) == 2


def test_class_balanced_weights_give_each_label_the_same_share(tmp_path: object) -> None:
    labels = [["wren"]] * 6 + [["robin"]] * 2 + [["wren", "robin"]] + [[], []]
    table = pa.table({"id": [str(i) for i in range(11)], "path": ["x"] * 11, "labels": labels})
    weights = class_weights(Manifest(table, tmp_path))  # type: ignore[arg-type]
    assert weights[0] == pytest.approx(1 / 7)
    assert weights[6] == pytest.approx(1 / 3)
    assert weights[8] == pytest.approx(1 / 7 + 1 / 3)
    assert weights[9] == pytest.approx(1 / 2)
    assert weights.sum() == pytest.approx(3)
