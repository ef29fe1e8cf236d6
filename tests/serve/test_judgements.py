"""What the page judges is on the disk when it is told so, once, and as the command line has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dawnchorus.annotations.annotation_row import suggested_row
from dawnchorus.annotations.annotation_table import AnnotationTable, changed, new_row
from dawnchorus.labelling.suggest import suggest_windows
from dawnchorus.serve.session import Session
from dawnchorus.store.locks import one_writer
from served import Browser

AT = datetime(2026, 5, 1, 12, 0, 0, 123_000, tzinfo=UTC)


def span(item: dict) -> dict:
    return {name: item[name] for name in ("recording_id", "start_s", "stop_s")}


def said(item: dict, state: str | None = "present", **more: object) -> dict:
    number = more.pop("number", 0)
    at = AT + timedelta(seconds=int(str(number)))
    return {
        "key": f"key-{number}-{item['recording_id']}-{item['start_s']}",
        "span": span(item),
        "label": "wren",
        "state": state,
        "at": at.isoformat(),
        **more,
    }


def send(browser: Browser, *judgements: dict, author: str = "ann", **more: object) -> dict:
    answer = browser.write("/api/judgements", author=author, judgements=list(judgements), **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def table(home: Path) -> AnnotationTable:
    return AnnotationTable(home / "x.annotations")


def windows(browser: Browser, n: int = 24) -> list[dict]:
    return browser.list(place="windows", label="wren")["items"][:n]


def test_a_judgement_is_the_row_that_the_command_line_makes(browser: Browser, home: Path) -> None:
    first, second = windows(browser, 2)
    send(browser, said(first), said(second, "absent", score=0.25))
    made = [
        new_row(
            item["path"], item["start_s"], item["stop_s"], "wren",
            recording_id=item["recording_id"], state=state, author="ann", at=AT, score=score,
        )
        for item, state, score in ((first, "present", None), (second, "absent", 0.25))
    ]  # fmt: skip
    assert table(home).history() == made


def test_a_judged_suggestion_is_as_judging_it_on_the_terminal(session: Session) -> None:
    home = session.live.folder.parent
    asked = suggest_windows(home / "x.store", "wren", 5, strategy="random")
    browser = Browser(session).enter()
    items = browser.list(place="suggest", label="wren", k=5)["items"]
    assert [item["start_s"] for item in items] == [row.start_s for row in asked]
    send(browser, said(items[0], "absent"))
    (row,) = table(home).rows(author="ann")
    assert row == changed(asked[0], state="absent", author="ann", at=row.at)
    assert row.purpose == "estimate"  # of one that was drawn by chance, whatever the page says


def test_the_page_cannot_make_a_sample_of_what_was_not_drawn(browser: Browser, home: Path) -> None:
    (item,) = windows(browser, 1)
    send(browser, said(item, purpose="estimate"))
    assert [row.purpose for row in table(home).rows()] == ["train"]


def test_a_judgement_that_is_sent_again_changes_nothing(browser: Browser, home: Path) -> None:
    first, second = windows(browser, 2)
    both = [said(first), said(second, "unsure")]
    answers = [send(browser, *both)["keys"] for _ in range(3)]
    assert answers == [[one["key"] for one in both]] * 3
    assert len(table(home).history()) == 2


def test_nor_does_it_after_the_server_was_started_again(session: Session) -> None:
    home = session.live.folder.parent
    browser = Browser(session).enter()
    (item,) = windows(browser, 1)
    steps = [said(item), said(item, "absent", number=1), said(item, None, number=2)]
    for step in steps:
        send(browser, step)
    before = table(home).history()
    again = Browser(Session([home / "x.store"], author="ann")).enter()
    for step in steps:
        send(again, step)
    assert table(home).history() == before
    assert len(before) == 3


def test_many_judgements_are_one_part(browser: Browser, home: Path) -> None:
    send(browser, *(said(item) for item in windows(browser, 20)))
    assert len(list((home / "x.annotations/parts").glob("*.parquet"))) == 1
    assert len(table(home).rows("wren", "present")) == 20


def test_the_last_of_several_in_one_request_counts(browser: Browser, home: Path) -> None:
    (item,) = windows(browser, 1)
    send(browser, said(item), said(item, "absent", number=1), said(item, "unsure", number=2))
    assert [row.state for row in table(home).rows()] == ["unsure"]
    assert len(table(home).history()) == 3


def test_taking_back_leaves_a_suggestion_to_judge_again(session: Session) -> None:
    home = session.live.folder.parent
    suggest_windows(home / "x.store", "wren", 3, strategy="random")
    browser = Browser(session).enter()
    item = browser.list(place="suggest", label="wren", k=3)["items"][0]
    send(browser, said(item))
    assert browser.get("/api/about").json()["labels"][0]["present"] == 1
    send(browser, said(item, None, number=1))
    facts = browser.get("/api/about").json()["labels"][0]
    assert (facts["present"], facts["suggested"]) == (0, 3)
    assert len(table(home).rows("wren", "suggested")) >= 3
    assert table(home).rows("wren", "present") == []


def test_taking_back_what_was_never_said_writes_nothing(browser: Browser, home: Path) -> None:
    (item,) = windows(browser, 1)
    send(browser, said(item, None))
    assert not (home / "x.annotations").exists() or table(home).history() == []


def test_moved_edges_stay_a_judgement_of_the_same_window(browser: Browser, home: Path) -> None:
    (item,) = windows(browser, 1)
    call = {**span(item), "start_s": 0.25, "stop_s": 0.75}
    send(browser, said(item))
    send(browser, said(item, number=1, span=call, was=span(item), low_hz=500.0, high_hz=1_500.0))
    (row,) = table(home).rows()
    assert (row.start_s, row.end_s, row.low_hz, row.high_hz) == (0.25, 0.75, 500.0, 1_500.0)
    (shown,) = [one for one in windows(browser) if one["judged"]]
    assert shown["start_s"] == item["start_s"]
    # moved on: from where it is now
    send(browser, said(item, "absent", number=2, span={**call, "stop_s": 0.9}, was=call))
    (row,) = table(home).rows()
    assert (row.state, row.end_s) == ("absent", 0.9)
    recording = browser.get(f"/api/recordings/{item['recording_id']}").json()
    assert [(where["start_s"], what["state"]) for where, what in recording["judged"]] == [
        (0.25, "absent")
    ]


def test_edges_moved_before_the_first_judgement_are_joined_to_the_window(
    session: Session,
) -> None:
    home = session.live.folder.parent
    browser = Browser(session).enter()
    (item,) = windows(browser, 1)
    call = {**span(item), "start_s": 0.1, "stop_s": 0.4}
    send(browser, said(item, span=call, was=span(item)))
    again = Browser(Session([home / "x.store"], author="ann")).enter()
    assert [one["judged"][0]["state"] for one in windows(again) if one["judged"]] == ["present"]


def test_two_people_see_each_other(browser: Browser, home: Path) -> None:
    first, second = windows(browser, 2)
    cursor = browser.get("/api/changes").json()["cursor"]
    send(browser, said(first), author="ann")
    send(browser, said(first, "absent"), author="bob")
    # and what another program writes into the folder
    other = new_row(second["path"], second["start_s"], second["stop_s"], "wren", author="cli",
                    recording_id=second["recording_id"])  # fmt: skip
    table(home).append([other])
    told = browser.get(f"/api/changes?cursor={cursor}").json()
    seen = [(where["start_s"], what["author"], what["state"]) for where, what in told["judged"]]
    assert seen == [
        (first["start_s"], "ann", "present"),
        (first["start_s"], "bob", "absent"),
        (second["start_s"], "cli", "present"),
    ]
    assert browser.get(f"/api/changes?cursor={told['cursor']}").json()["judged"] == []
    assert set(browser.get("/api/about").json()["authors"]) == {"ann", "bob", "cli"}
    assert table(home).conflicts()


@pytest.mark.parametrize("cursor", ["x", "-1", "999999", "1e3", "\u0663"])
def test_a_cursor_of_another_run_is_no_error(browser: Browser, cursor: str) -> None:
    send(browser, said(windows(browser, 1)[0]))
    assert browser.get("/api/changes", params={"cursor": cursor}).json()["judged"] == []


def test_a_list_says_how_far_it_is_judged(browser: Browser) -> None:
    listed = browser.list(place="windows", label="wren")
    items = listed["items"]
    assert listed["progress"]["precision"] is None
    states = ["present"] * 8 + ["absent"] * 2 + ["unsure"]
    judgements = [said(item, state) for item, state in zip(items, states, strict=False)]
    told = send(browser, *judgements, list_id=listed["id"])["progress"]
    assert (told["present"], told["absent"], told["unsure"]) == (8, 2, 1)
    # Wilson's interval of 8 of 10: 0.490 to 0.943 (Wilson 1927; statsmodels gives the same)
    assert told["precision"] == pytest.approx(0.8)
    assert told["low"] == pytest.approx(0.4901, abs=1e-3)
    assert told["high"] == pytest.approx(0.9433, abs=1e-3)
    # of another label nothing is said
    assert browser.list(place="windows", label="owl")["progress"]["present"] == 0
    # people who contradict each other make it unsure
    told = send(browser, said(items[0], "absent"), author="bob", list_id=listed["id"])["progress"]
    assert (told["present"], told["unsure"]) == (7, 2)


def test_a_clock_that_is_ahead_does_not_win_for_ever(browser: Browser, home: Path) -> None:
    (item,) = windows(browser, 1)
    later = datetime.now(UTC) + timedelta(days=400)
    send(browser, said(item, at=later.isoformat()))
    (row,) = table(home).rows()
    assert row.at <= datetime.now(UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        {"span": {"recording_id": "nobody", "start_s": 0, "stop_s": 1}},
        {"span": {"recording_id": "nobody", "start_s": -1, "stop_s": 1}},
        {"state": "maybe"},
        {"label": "x" * 999},
        {"low_hz": 900.0, "high_hz": 100.0},
        {"key": "short"},
        {"color": "red"},
    ],
)
def test_one_wrong_judgement_and_none_is_written(browser: Browser, home: Path, wrong: dict) -> None:
    first, second = windows(browser, 2)
    body = {"author": "ann", "judgements": [said(first), {**said(second), **wrong}]}
    answer = browser.write("/api/judgements", **body)
    assert answer.status_code in {404, 422}
    assert answer.json()["error"]
    assert not (home / "x.annotations").exists()


def test_a_table_that_another_program_writes_is_asked_for_again(
    browser: Browser, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503: the page keeps the judgement and sends it again; a 4xx it would set aside."""
    monkeypatch.setattr("dawnchorus.serve.live.WAIT_S", 0.1)
    item = windows(browser)[0]
    (home / "x.annotations").mkdir()
    with one_writer(home / "x.annotations/.lock"):
        answer = browser.write("/api/judgements", author="ann", judgements=[said(item)])
    assert answer.status_code == 503
    assert "another program has been writing here" in answer.json()["error"]
    send(browser, said(item))
    assert [row.state for row in table(home).rows("wren")] == ["present"]


def test_a_window_that_taught_and_is_drawn_for_an_estimate_is_judged_twice(
    browser: Browser, home: Path
) -> None:
    """What was judged in order to learn is no verdict of the estimate, and must not hide it."""
    item = windows(browser)[0]
    send(browser, said(item))
    window = {"recording_id": item["recording_id"], "path": item["path"],
              "start_s": item["start_s"], "stop_s": item["stop_s"]}  # fmt: skip
    drawn = suggested_row(window, "wren", model="m", score=0.5, purpose="estimate", repeat=101)
    table(home).append([drawn])
    (shown,) = browser.list(place="suggest", label="wren", suggest_more=False)["items"]
    assert (shown["purpose"], shown["judged"]) == ("estimate", [])
    send(browser, said(shown, "absent", number=5, purpose="estimate"))
    verdict = {row.id: row.state for row in table(home).rows("wren") if row.state}
    assert verdict.pop(drawn.id) == "absent"
    assert list(verdict.values()) == ["present"]
    # and the other way about: in a list that is no draw, the first one is meant
    send(browser, said(item, "unsure", number=9))
    states = {row.purpose: row.state for row in table(home).rows("wren") if row.state}
    assert states == {"estimate": "absent", "train": "unsure"}
