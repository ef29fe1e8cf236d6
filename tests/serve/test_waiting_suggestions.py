"""What waits to be judged is shown, also when nothing new can be suggested."""

from __future__ import annotations

from served import RECORDINGS, Browser

N_WINDOWS = sum(len(groups) for groups in RECORDINGS.values())


def test_all_that_waits_is_shown_when_every_window_was_suggested(browser: Browser) -> None:
    more_than_there_are = {"place": "suggest", "label": "wren", "k": 40, "strategy": "random"}
    first = browser.list(**more_than_there_are)
    again = browser.list(**more_than_there_are)
    assert first["progress"]["n"] == N_WINDOWS
    assert again["progress"]["n"] == N_WINDOWS
    assert [item["row"] for item in again["items"]] == [item["row"] for item in first["items"]]


def test_a_list_that_is_only_looked_at_again_adds_no_suggestion(browser: Browser) -> None:
    made = browser.list(place="suggest", label="wren", k=4, strategy="random")
    assert made["command"].startswith("dawnchorus label suggest ")
    again = browser.list(place="suggest", label="wren", k=40, suggest_more=False)
    assert again["items"] == made["items"]
    assert len(again["items"]) == 4
    assert again["command"].startswith("dawnchorus label judge ")
    assert again["command"].endswith("x.store --label wren")
    assert browser.list(place="suggest", label="owl", suggest_more=False)["items"] == []
