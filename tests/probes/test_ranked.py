"""The walk down the scores, against a loop that counts everything anew at each of them."""

from __future__ import annotations

import numpy as np
import pytest

from dawnchorus.probes.ranked import Goal, chosen_steps, rank_items
from dawnchorus.probes.shares import group_sums, lower_bound


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("by_precision", [True, False])
def test_each_step_is_the_count_of_what_reaches_its_score(seed: int, *, by_precision: bool) -> None:
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 12, 70)
    hits = rng.random(70) < 0.7
    scores = np.round(rng.random(70) + 0.6 * hits, 1 + seed % 2)  # with ties
    goal = Goal(0.6, by_precision, 0.7, 0)
    items = rank_items(scores, hits, group, goal)
    passed = []
    for step, score in enumerate(items.score.tolist()):
        reached = scores >= score
        looked_at, right = (reached, hits) if by_precision else (hits, reached)
        sums = group_sums(right[looked_at], group[looked_at])
        share = float(right[looked_at].mean())
        assert items.share[0, step] == pytest.approx(share)
        assert items.sums.n_effective()[0, step] == pytest.approx(float(sums.n_effective()[0]))
        n_effective = float(sums.n_effective()[0])
        passed.append(lower_bound(share, n_effective, 0.7) >= 0.6)
    expected = [step for step, ok in enumerate(passed) if ok]
    found = int(chosen_steps(items, goal)[0])
    if by_precision:
        first = expected[0] if expected else 0
        while passed[first : first + 1] == [True]:
            first += 1
        gains = np.diff(items.sums.right[0], prepend=0) > 0
        last = max((step for step in expected if step < first and gains[step]), default=-1)
        # it may have been under way, and have failed, before the first that passes
        assert found in {last, -1}
    else:
        last = len(passed)
        while passed[last - 1 : last] == [True]:
            last -= 1
        assert found == (last if last < len(passed) else -1)


def test_groups_drawn_twice_count_twice() -> None:
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(6), 4)
    scores, hits = rng.random(24), rng.random(24) < 0.5
    drawn = np.array([[2.0, 1, 0, 3, 0, 0]])
    for by_precision in (True, False):
        goal = Goal(0.5, by_precision, 0.5, 0)
        found = rank_items(scores, hits, group, goal, drawn[:, group])
        copies = np.repeat(np.arange(6), drawn[0].astype(int))
        rows = np.concatenate([np.flatnonzero(group == g) for g in copies])
        again = np.repeat(np.arange(len(copies)), 4)
        told = rank_items(scores[rows], hits[rows], again, goal)
        place = np.searchsorted(-found.score, -told.score)
        assert found.score[place].tolist() == told.score.tolist()
        assert found.share[0, place] == pytest.approx(told.share[0])
        assert found.sums.n_effective()[0, place] == pytest.approx(told.sums.n_effective()[0])
