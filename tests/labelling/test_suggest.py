"""What to label next: few of a recording, never twice, and what teaches most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus import AnnotationTable, call_density, suggest_windows
from dawnchorus.annotations.annotation_row import changed, new_row
from dawnchorus.errors import UsageError
from dawnchorus.labelling.choose import (
    FEW_POSITIVES,
    PER_RECORDING,
    STRATEGIES,
    Choosable,
    _widening,
    choose,
)
from dawnchorus.labelling.draw_judgements import draw_judgements
from dawnchorus.labelling.round import label_round
from planted_store import plant, planted_vectors

GROUPS = {f"{at}.wav": [at % 4] * 10 + [(at + 1) % 4] * 5 for at in range(12)}


def windows(
    n: int = 60, *, n_recordings: int = 20, n_positives: int = 0, seed: int = 0, **more: object
) -> Choosable:
    draws = np.random.default_rng(seed)
    vectors = draws.normal(size=(n, 8))
    given: dict[str, object] = {
        "scores": draws.random(n),
        "boundary": 0.5,
        "recordings": draws.integers(0, n_recordings, n),
        "done": np.zeros(n, bool),
        "estimated": more.get("done", np.zeros(n, bool)),
        "n_positives": n_positives,
        "vectors": lambda rows: vectors[rows],
    }
    return Choosable(**{**given, **more})  # type: ignore[arg-type]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(STRATEGIES),
    st.integers(1, 70),
    st.integers(0, 20),
    st.lists(st.booleans(), min_size=60, max_size=60).filter(lambda done: not all(done)),
)
def test_windows_are_chosen_once_and_never_again(
    strategy: str, n: int, n_positives: int, done: list[bool]
) -> None:
    some = windows(n_positives=n_positives, done=np.array(done))
    chosen = choose(some, n, strategy, seed=3)  # type: ignore[arg-type]
    assert len(chosen.rows) == min(n, done.count(False))
    assert len(set(chosen.rows.tolist())) == len(chosen.rows)
    assert not np.array(done)[chosen.rows].any()
    again = choose(some, n, strategy, seed=3)  # type: ignore[arg-type]
    np.testing.assert_array_equal(chosen.rows, again.rows)


def test_high_takes_the_best_and_margin_the_least_sure() -> None:
    some = windows(recordings=np.arange(60))
    assert some.scores is not None
    best = choose(some, 5, "high").rows
    np.testing.assert_array_equal(best, np.argsort(-some.scores)[:5])
    unsure = choose(some, 5, "margin").rows
    np.testing.assert_array_equal(unsure, np.argsort(np.abs(some.scores - 0.5))[:5])


@pytest.mark.parametrize("strategy", ["high", "margin", "diverse"])
def test_a_recording_gives_two_while_others_are_left(strategy: str) -> None:
    some = windows(60, recordings=np.repeat(np.arange(12), 5))
    chosen = choose(some, 20, strategy).rows  # type: ignore[arg-type]
    assert np.bincount(some.recordings[chosen]).max() <= PER_RECORDING
    more = choose(some, 60, strategy).rows  # type: ignore[arg-type]
    assert sorted(more.tolist()) == list(range(60))


def test_diverse_reaches_every_group_first() -> None:
    groups = np.repeat(np.arange(6), [50, 50, 50, 20, 5, 5])
    vectors = planted_vectors(groups)
    some = windows(180, recordings=np.arange(180), scores=None, vectors=lambda rows: vectors[rows])
    assert set(groups[choose(some, 6, "diverse").rows]) == set(range(6))


def test_a_fifth_of_mixed_is_drawn_evenly_and_said() -> None:
    chosen = choose(windows(), 20, "mixed")
    assert chosen.at_random.sum() == 4
    assert not choose(windows(), 20, "high").at_random.any()
    assert choose(windows(), 20, "random").at_random.all()


def test_every_window_is_as_likely_to_be_drawn() -> None:
    counts = np.zeros(60)
    for seed in range(400):
        chosen = choose(windows(), 20, "mixed", seed)
        counts[chosen.rows[chosen.at_random]] += 1
    expected = 400 * 4 / 60
    assert ((counts - expected) ** 2 / expected).sum() < 95  # chi squared of 59, 0.2 %


@pytest.mark.parametrize("strategy", ["mixed", "random"])
def test_what_was_labelled_to_learn_is_as_likely_to_be_drawn(strategy: str) -> None:
    learned = np.arange(60) < 30
    some = windows(done=learned, estimated=np.zeros(60, bool))
    n_drawn = n_learned = 0
    for seed in range(200):
        chosen = choose(some, 20, strategy, seed)  # type: ignore[arg-type]
        assert len(set(chosen.rows.tolist())) == 20
        assert not learned[chosen.rows[~chosen.at_random]].any()
        n_drawn += int(chosen.at_random.sum())
        n_learned += int(learned[chosen.rows[chosen.at_random]].sum())
    assert n_learned / n_drawn == pytest.approx(0.5, abs=0.06)


def test_mixed_looks_down_the_scores_first_and_at_the_boundary_later() -> None:
    few = windows(400, recordings=np.arange(400), n_positives=FEW_POSITIVES - 1)
    assert few.scores is not None
    chosen = choose(few, 10, "mixed")
    left = np.setdiff1d(np.arange(400), chosen.rows[chosen.at_random])
    falling = left[np.argsort(-few.scores[left])].tolist()
    ranks = sorted(falling.index(row) for row in chosen.rows[~chosen.at_random].tolist())
    # 8 of 398: the best, then one of each step, and each step is about twice the one before it
    edges = [0, 1, 3, 8, 19, 41, 88, 188, 398]
    assert [np.searchsorted(edges, rank, side="right") for rank in ranks] == list(range(1, 9))
    some = windows(400, recordings=np.arange(400), n_positives=FEW_POSITIVES)
    assert some.scores is not None
    chosen = choose(some, 10, "mixed")
    assert np.abs(some.scores[chosen.rows[~chosen.at_random]] - 0.5).max() < 0.05


@pytest.mark.parametrize("n_calls", [12, 400])
def test_mixed_finds_calls_among_outliers_be_they_rare_or_not(n_calls: int) -> None:
    """Two thousand windows, outliers that score nearly as well as calls, three labels known."""
    rng = np.random.default_rng(1)
    kinds = np.repeat([0, 1, 2], [n_calls, 150, 2000 - n_calls - 150])  # call, outlier, other
    vectors = rng.normal(size=(2000, 16))
    vectors[kinds == 0] = vectors[0] + 0.3 * rng.normal(size=(n_calls, 16))
    scores = np.array([0.8, 0.6, 0.2])[kinds] + 0.05 * rng.normal(size=2000)
    found = windows(
        2000, recordings=np.arange(2000), n_positives=3, scores=scores,
        vectors=lambda rows: vectors[rows],
    )  # fmt: skip
    chosen = choose(found, 30, "mixed")
    own = kinds[chosen.rows[~chosen.at_random]]
    # more than half of the twelve are found, and what is no call is there too, outliers and others
    assert (own == 0).sum() >= 7
    assert (own > 0).sum() >= 4


def test_mixed_takes_two_of_a_noisy_recording_and_goes_on_to_others() -> None:
    # the best hundred windows lie in one recording
    scores = np.linspace(1, 0, 400)
    recordings = np.concatenate([np.zeros(100, np.int64), np.arange(1, 301)])
    some = windows(400, scores=scores, recordings=recordings, n_positives=1)
    chosen = choose(some, 20, "mixed")
    own = recordings[chosen.rows[~chosen.at_random]]
    assert (own == 0).sum() == PER_RECORDING
    alone = windows(60, scores=scores[:60], recordings=np.zeros(60, np.int64), n_positives=1)
    assert len(choose(alone, 20, "mixed").rows) == 20


@given(st.integers(1, 500), st.integers(1, 60))
def test_steps_of_a_ranking_widen_and_hold_every_row_once(n_rows: int, n: int) -> None:
    n = min(n, n_rows)
    edges = _widening(n_rows, n)
    assert (len(edges), edges[0], edges[-1]) == (n + 1, 0, n_rows)
    widths = np.diff(edges)
    assert widths.min() >= 1
    assert (np.diff(widths) >= -1).all()  # by rounding alone is one narrower


@pytest.mark.parametrize(
    ("strategy", "n", "more", "said"),
    [
        ("best", 3, {}, "need one of mixed, margin"),
        ("high", 0, {}, "need at least 1 window, got 0"),
        ("high", 3, {"scores": None}, "high needs scores"),
        ("margin", 3, {"scores": None}, "margin needs scores"),
        ("random", 3, {"done": np.ones(60, bool)}, "every window .* already"),
    ],
)
def test_what_cannot_be_chosen_is_said(
    strategy: str, n: int, more: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        choose(windows(**more), n, strategy)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return plant(tmp_path / "x.store", GROUPS)


def test_suggestions_are_rows_to_judge_and_are_not_made_twice(store: Path, tmp_path: Path) -> None:
    first = suggest_windows(store, "wren", 20)
    again = suggest_windows(store, "wren", 20)
    places = [(row.path, row.start_s) for row in (*first, *again)]
    assert len(set(places)) == 40
    table = AnnotationTable(tmp_path / "x.annotations")
    assert {row.id for row in table.rows(state="suggested")} == {r.id for r in (*first, *again)}
    assert [row.purpose for row in first].count("estimate") == 4
    assert {row.score for row in first} == {None}


def test_judgements_steer_what_comes_next(store: Path, tmp_path: Path) -> None:
    table = AnnotationTable(tmp_path / "x.annotations", create=True)
    for row in suggest_windows(store, "wren", 20):
        group = GROUPS[row.path][int(row.start_s)]
        table.append([changed(row, author="ann", state="present" if group == 2 else "absent")])
    best = suggest_windows(store, "wren", 10, strategy="high")
    assert all(GROUPS[row.path][int(row.start_s)] == 2 for row in best)
    assert all(row.score is not None and row.purpose == "train" for row in best)


def test_sounds_that_are_alike_are_a_beginning(store: Path) -> None:
    like = planted_vectors(np.array([3, 3]), seed=9)
    best = suggest_windows(store, "owl", 8, strategy="high", scorer=like)
    assert all(GROUPS[row.path][int(row.start_s)] == 3 for row in best)


def test_the_rest_of_a_recording_is_only_suggested_by_chance(tmp_path: Path) -> None:
    store = plant(tmp_path / "y.store", GROUPS, last_samples=5)
    chosen = suggest_windows(store, "wren", 60, strategy="diverse")
    assert max(row.start_s for row in chosen) == 13.0
    drawn = suggest_windows(store, "owl", 180, strategy="random")
    assert len(drawn) == 180  # an estimate is of every window
    alone = suggest_windows(store, "fox", 9, strategy="diverse", where={"window": "14"})
    assert {row.start_s for row in alone} == {14.0}  # there is nothing else


def test_another_label_and_other_filters_do_not_count(store: Path, tmp_path: Path) -> None:
    table = AnnotationTable(tmp_path / "x.annotations", create=True)
    table.append([new_row("0.wav", at, at + 1, "fox", author="ann") for at in range(15)])
    rows = suggest_windows(store, "wren", 15, strategy="random", where={"path": "0.wav"})
    assert {row.path for row in rows} == {"0.wav"}
    with pytest.raises(UsageError, match="already"):
        suggest_windows(store, "wren", 1, where={"path": "0.wav"})


def test_calls_that_a_search_has_found_count_in_an_estimate(store: Path, tmp_path: Path) -> None:
    table = AnnotationTable(tmp_path / "x.annotations", create=True)
    best = suggest_windows(
        store, "wren", 45, strategy="high", scorer=planted_vectors(np.array([2]), seed=9)
    )
    table.append([changed(row, author="ann", state="present") for row in best])
    drawn = suggest_windows(store, "wren", 180, strategy="random")
    assert {row.purpose for row in drawn} == {"estimate"}
    calls = [row for row in drawn if GROUPS[row.path][int(row.start_s)] == 2]
    assert len(calls) == 45  # a quarter of all 180 windows, found before or not
    assert not {row.id for row in drawn} & {row.id for row in best}
    assert len(table.rows(state="present")) == 45  # no row took another's place
    with pytest.raises(UsageError, match="already"):
        suggest_windows(store, "wren", 1, strategy="random")


def test_a_refused_request_leaves_no_table(store: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs scores"):
        suggest_windows(store, "wren", 3, strategy="margin")
    assert not (tmp_path / "x.annotations").exists()


@pytest.mark.parametrize("label", ["", "  ", "\n"])
def test_a_label_without_a_name_is_refused_and_leaves_nothing(tmp_path: Path, label: str) -> None:
    store = plant(tmp_path / "x.store", GROUPS)
    for ask in (
        lambda: suggest_windows(store, label, 4),
        lambda: draw_judgements(store, label, 4),
        lambda: call_density(store, label),
        lambda: label_round(store, label, lambda _: None),
    ):
        with pytest.raises(UsageError, match="need the name of a sound"):
            ask()
    assert [path.name for path in tmp_path.iterdir()] == ["x.store"]


def test_blanks_around_a_label_are_not_another_label(tmp_path: Path) -> None:
    store = plant(tmp_path / "x.store", GROUPS)
    first = suggest_windows(store, "wren", 4, strategy="random")
    second = suggest_windows(store, " wren ", 170, strategy="random")
    assert not {row.id for row in first} & {row.id for row in second}
