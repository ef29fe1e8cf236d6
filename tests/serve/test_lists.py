"""Lists: where sounds come from, which pass, how many of a recording, in what order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.annotations.annotation_table import AnnotationTable
from dawnchorus.search.archive import Archive
from dawnchorus.search.run import search_stores
from dawnchorus.serve.bodies import Filters
from dawnchorus.serve.choice import best, limited, passing
from dawnchorus.serve.session import Session
from planted_store import plant
from serve.test_judgements import said, send, span
from served import RECORDINGS, Browser

GROUPS = [group for name in sorted(RECORDINGS) for group in RECORDINGS[name]]


def groups(items: list[dict]) -> list[int]:
    return [GROUPS[item["row"]] for item in items]


def test_all_windows_stand_in_time_with_what_a_tile_shows(browser: Browser) -> None:
    listed = browser.list(place="windows")
    assert listed["progress"]["n"] == len(GROUPS)
    first = listed["items"][3]
    assert (first["path"], first["start_s"], first["stop_s"]) == ("north/a.wav", 3.0, 4.0)
    assert (first["site"], first["local_time"]) == ("north", "2026-05-01T04:00:03.000+02:00")
    assert (first["row"], first["has_sound"], first["judged"]) == (3, True, [])


def test_a_list_is_read_a_page_at_a_time(browser: Browser) -> None:
    listed = browser.list(place="windows", k=20)
    pages = [
        browser.get(f"/api/lists/{listed['id']}?offset={offset}&limit=8").json()["items"]
        for offset in (0, 8, 16, 24)
    ]
    assert [len(page) for page in pages] == [8, 8, 4, 0]
    assert [item["row"] for page in pages for item in page] == list(range(20))
    assert browser.get("/api/lists/nothing").status_code == 404
    assert browser.get(f"/api/lists/{listed['id']}?offset=-1").status_code == 422
    assert len(browser.get(f"/api/lists/{listed['id']}?limit=99999").json()["items"]) == 20


def test_more_like_this_finds_its_group_as_the_command_line_does(
    browser: Browser, home: Path
) -> None:
    items = browser.list(place="windows")["items"]
    like = next(item for item in items if GROUPS[item["row"]] == 2)
    found = browser.list(place="search", like=[{"span": span(like)}], k=5, per_recording=None)
    assert groups(found["items"]) == [2] * 5
    assert "search" in found["command"]
    assert f"@{like['start_s']:g}-{like['stop_s']:g}" in found["command"]
    vectors = Archive(home / "x.store").take(np.array([like["row"]]))
    same = search_stores(home / "x.store", vectors)
    rows = list(zip(same.table["path"].to_pylist(), same.table["start_s"].to_pylist(), strict=True))
    shown = browser.list(place="search", like=[{"span": span(like)}], k=50)["items"]
    assert [(item["path"], item["start_s"]) for item in shown] == rows
    np.testing.assert_allclose(
        [item["score"] for item in shown], same.table["score"].to_numpy(), atol=1e-6
    )


def test_what_is_unlike_moves_away(browser: Browser) -> None:
    items = browser.list(place="windows")["items"]
    by_group = dict(zip(GROUPS, items, strict=True))
    found = browser.list(
        place="search", like=[{"span": span(by_group[0])}], unlike=[{"span": span(by_group[1])}]
    )["items"]
    assert groups(found)[-1] == 1


def test_a_label_that_was_judged_is_searched_for(browser: Browser) -> None:
    items = browser.list(place="windows")["items"]
    like = [item for item in items if GROUPS[item["row"]] == 1][:2]
    send(browser, *(said(item) for item in like))
    found = browser.list(place="search", label="wren", k=6, per_recording=None)
    assert groups(found["items"]) == [1] * 6
    assert found["progress"]["present"] == 2
    answer = browser.write("/api/lists", place="search", label="owl")
    assert answer.status_code == 422
    assert "owl" in answer.json()["error"]


def test_suggestions_wait_in_the_table_and_are_not_made_twice(browser: Browser, home: Path) -> None:
    first = browser.list(place="suggest", label="wren", k=6, strategy="random")
    again = browser.list(place="suggest", label="wren", k=6, strategy="random")
    assert [one["row"] for one in first["items"]] == [one["row"] for one in again["items"]]
    assert len(AnnotationTable(home / "x.annotations").history()) == 6
    send(browser, said(first["items"][0]))
    rest = browser.list(place="suggest", label="wren", k=5, strategy="random")
    assert [one["row"] for one in rest["items"]] == [one["row"] for one in first["items"][1:]]
    assert browser.write("/api/lists", place="suggest").status_code == 422


def test_the_annotations_are_a_list(browser: Browser) -> None:
    items = browser.list(place="windows")["items"]
    call = {**span(items[5]), "start_s": 5.2, "stop_s": 5.6}
    send(browser, said(items[9], "absent"), said(items[2]), said(items[5], span=call))
    found = browser.list(place="annotations", label="wren")
    assert [one["start_s"] for one in found["items"]] == [2.0, 5.2, 3.0]
    assert found["items"][1]["row"] == -1
    assert (found["progress"]["present"], found["progress"]["absent"]) == (2, 1)
    assert browser.list(place="annotations", label="owl")["items"] == []


def test_what_is_like_nothing_else_comes_first(home: Path) -> None:
    many = {f"north/{name}.wav": [0] * 12 + [1] * 12 for name in "abc"}
    plant(home / "z.store", {**many, "south/odd.wav": [0, -1, 1]})
    browser = Browser(Session([home / "z.store"], author="ann")).enter()
    found = browser.list(place="novel")["items"]
    assert (found[0]["path"], found[0]["start_s"]) == ("south/odd.wav", 1.0)
    values = [item["novelty"] for item in found]
    assert values == sorted(values, reverse=True)


def test_a_lasso_is_a_list_in_its_order(browser: Browser) -> None:
    assert [one["row"] for one in browser.list(place="windows", rows=[9, 3, 4])["items"]] == [
        9,
        3,
        4,
    ]
    assert browser.write("/api/lists", place="windows", rows=[999]).status_code == 422


@pytest.mark.parametrize(
    ("filters", "n"),
    [
        ({"sites": ["south"]}, 10), ({"sites": ["south", "north"]}, 22), ({"sites": ["moon"]}, 0),
        ({"text": "A.WAV"}, 6), ({"text": "south"}, 10), ({"dates": "2026-05-01..2026-05-01"}, 22),
        ({"dates": "2026-05-02/2026-05-09"}, 0), ({"time_of_day": "04:00:02-04:00:04"}, 8),
        ({"time_of_day": "23:00-04:00:01"}, 4), ({"sites": ["north"], "text": "b.wav"}, 6),
    ],
)  # fmt: skip
def test_filters_keep_what_they_say(browser: Browser, filters: dict, n: int) -> None:
    assert browser.list(place="windows", filters=filters)["progress"]["n"] == n


@pytest.mark.parametrize(
    "filters", [{"dates": "may"}, {"time_of_day": "dawn"}, {"dates": "2026-05-02..2026-05-01"}]
)
def test_a_filter_of_another_form_is_refused_in_words(browser: Browser, filters: dict) -> None:
    answer = browser.write("/api/lists", place="windows", filters=filters)
    assert answer.status_code == 422
    assert next(iter(filters)).split("_")[0] in answer.json()["error"]


@pytest.mark.parametrize(
    "given",
    [
        {"time_of_day": ("04:00:01", "04:00:05")},
        {"time_of_day": ("04:00:05", "04:00:01")},
        {"dates": ("2026-05-01", "2026-05-01")},
        {"where": {"site": "south"}},
    ],
)
def test_filters_pass_the_windows_that_the_command_lines_do(session: Session, given: dict) -> None:
    expected = session.library.archive.stores[0].windows(["path", "window"], **given)
    texts = {
        "time_of_day": "-".join(given.get("time_of_day", ())) or None,
        "dates": "..".join(given.get("dates", ())) or None,
        "sites": (given["where"]["site"],) if "where" in given else (),
    }
    keep = passing(session.library, session.live, Filters(**texts), None)
    windows = session.library.archive.describe(np.flatnonzero(keep))
    assert windows.select(["path", "window"]).to_pylist() == expected.to_pylist()


def test_judged_and_unjudged_are_told_apart(browser: Browser) -> None:
    items = browser.list(place="windows", label="wren")["items"]
    send(browser, said(items[1]), said(items[2], "absent"))
    ask = lambda judged, label="wren": [  # noqa: E731
        one["row"]
        for one in browser.list(place="windows", label=label, filters={"judged": judged})["items"]
    ]
    assert ask("judged") == [1, 2]
    assert ask("unjudged") == [row for row in range(22) if row not in {1, 2}]
    assert ask("judged", "owl") == []
    assert ask("judged", None) == [1, 2]


def test_orders_put_the_rows_as_they_say(browser: Browser) -> None:
    items = browser.list(place="windows", rows=[21, 3, 12, 0], order="time")["items"]
    assert [one["local_time"][17:19] for one in items] == ["00", "00", "03", "03"]
    items = browser.list(place="windows", rows=[21, 3, 12, 0], order="site")["items"]
    assert [one["site"] for one in items] == ["north", "north", "south", "south"]
    items = browser.list(place="windows", rows=[5, 3, 17], order="novelty")["items"]
    values = [one["novelty"] for one in items]
    assert values == sorted(values, reverse=True)


def test_scores_of_the_store_are_a_list_and_a_track(tmp_path: Path) -> None:
    from dawnchorus.store.write import StoreWriter  # noqa: PLC0415
    from store_samples import WITH_SCORES, put  # noqa: PLC0415

    with StoreWriter(tmp_path / "x.store", WITH_SCORES) as writer:
        put(writer, "a.wav", [5], seed=1)
        put(writer, "b.wav", [7], seed=2)
    session = Session([tmp_path / "x.store"], author="ann")
    browser = Browser(session).enter()
    scores, _ = session.library.archive.stores[0].read_scores()
    found = browser.list(place="detections", label="wren", per_recording=None)["items"]
    np.testing.assert_allclose([one["score"] for one in found], np.sort(scores[:, 1])[::-1])
    assert found[0]["margin"] == pytest.approx(abs(found[0]["score"] - 0.5))
    high = browser.list(place="detections", label="wren", min_score=0.5, per_recording=None)
    assert high["progress"]["n"] == int((scores[:, 1] >= 0.5).sum())
    unsure = browser.list(place="detections", label="robin", order="margin")["items"]
    assert [one["margin"] for one in unsure] == sorted(one["margin"] for one in unsure)
    name = found[0]["recording_id"]
    track = browser.get(f"/api/recordings/{name}/scores?label=wren").json()
    assert len(track["scores"]) in {5, 7}
    assert max(track["scores"]) == pytest.approx(found[0]["score"])
    assert browser.get(f"/api/recordings/{name}/scores?label=emu").status_code == 422


def test_several_stores_are_one_list(home: Path) -> None:
    plant(home / "y.store", {"east/d.wav": [0, 1]}, audio_root=str(home / "recordings"))
    browser = Browser(Session([home / "x.store", home / "y.store"], author="ann")).enter()
    facts = browser.get("/api/about").json()["stores"]
    assert [(one["name"], one["n_windows"]) for one in facts] == [("x.store", 22), ("y.store", 2)]
    items = browser.list(place="windows", rows=[22, 0])["items"]
    assert [one["path"] for one in items] == ["east/d.wav", "north/a.wav"]
    like = {"span": span(items[0])}
    found = browser.list(place="search", like=[like], filters={"sites": ["east"]})["items"]
    assert [one["path"] for one in found] == ["east/d.wav"] * 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=60), st.one_of(st.none(), st.integers(1, 4)))
def test_the_first_few_of_each_recording_are_kept(owners: list[int], most: int | None) -> None:
    seen: dict[int, int] = {}
    expected = []
    for at, owner in enumerate(owners):
        seen[owner] = seen.get(owner, 0) + 1
        if most is None or seen[owner] <= most:
            expected.append(at)
    assert limited(np.array(owners, np.int32), most).tolist() == expected


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, np.nan]), min_size=1, max_size=40), st.integers(1, 50)
)
def test_the_best_are_the_first_of_all_that_are_sorted(values: list[float], k: int) -> None:
    scores = np.array(values)
    rows = np.arange(len(values))
    order = sorted(rows.tolist(), key=lambda at: (-np.nan_to_num(scores[at], nan=-np.inf), at))
    assert best(scores, rows, k).tolist() == order[:k]


def test_ten_million_windows_are_ordered_in_seconds() -> None:
    """What is done for every window of a list: the limit for each recording, and the best."""
    draws = np.random.default_rng(0)
    scores = draws.random(2_000_000, np.float32)
    rows = np.arange(len(scores))
    found = best(scores, rows, 300)
    assert len(found) == 300
    assert scores[found[-1]] >= np.partition(scores, -300)[-300]
    assert len(limited((rows // 600).astype(np.int32), 5)) == 5 * len(np.unique(rows // 600))
