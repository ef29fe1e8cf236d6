"""Jobs, the map, the overview and exports: what the command line gives, asked for by the page."""

from __future__ import annotations

import errno
import io
import json
import threading
import time
import zipfile
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from dawnchorus.cli.app import main
from dawnchorus.configs.search import ClusterConfig
from dawnchorus.errors import TaskError
from dawnchorus.search.cluster import cluster_stores
from dawnchorus.search.map import ArchiveMap
from dawnchorus.serve import work
from dawnchorus.serve.session import Session
from planted_store import plant
from serve.test_judgements import said, send, windows
from served import Browser

NAMES = [f"{site}/{number}.wav" for site in ("north", "south") for number in range(5)]


def wait(browser: Browser, answer: dict) -> dict:
    for _ in range(1_500):
        if answer["state"] != "running":
            return answer
        time.sleep(0.02)
        answer = browser.get(f"/api/jobs/{answer['id']}").json()
    raise AssertionError(f"it did not end: {answer}")


def start(browser: Browser, **query: object) -> dict:
    answer = browser.write("/api/jobs", **query)
    assert answer.status_code == 200, answer.text
    return wait(browser, answer.json())


@pytest.fixture
def large(tmp_path: Path) -> Browser:
    """Ten recordings of which the odd windows hold the call."""
    plant(tmp_path / "x.store", {name: [0, 1, 0, 1, 2, 1] * 2 for name in NAMES})
    return Browser(Session([tmp_path / "x.store"], author="ann")).enter()


def judge_some(browser: Browser, n: int = 60) -> None:
    items = browser.list(place="windows", label="wren", k=n)
    items = browser.get(f"/api/lists/{items['id']}?limit={n}").json()["items"]
    group = [0, 1, 0, 1, 2, 1] * 2
    send(browser, *(said(item, "present" if group[item["row"] % 12] == 1 else "absent")
                    for item in items))  # fmt: skip


def test_learning_gives_a_probe_and_what_to_judge_next(large: Browser, tmp_path: Path) -> None:
    judge_some(large)
    done = start(large, kind="learn", label="wren", n=7, author="ann")
    assert done["state"] == "done", done
    assert (tmp_path / "x.wren.probe/probe.json").is_file()
    assert len(done["result"]["items"]) == 7
    assert done["result"]["progress"]["n"] == 7
    assert any("60 judged spans" in line for line in done["summary"])
    assert "probe fit --annotations" in done["command"]
    assert large.get("/api/about").json()["probes"] == ["learned: wren"]
    # the probe finds the group of which it was told
    found = large.list(place="detections", label="wren", probe="learned: wren", min_score=0.5,
                       per_recording=None, k=200)  # fmt: skip
    assert found["progress"]["n"] == 60
    # a second round says what changed
    again = start(large, kind="learn", label="wren", n=3)
    assert any("decisions changed" in line for line in again["summary"])


def test_learning_from_nothing_is_refused_in_words(large: Browser) -> None:
    failed = start(large, kind="learn", label="wren")
    assert failed["state"] == "failed"
    assert len(failed["message"]) > 20
    assert start(large, kind="learn")["message"].startswith("which label")


def test_one_job_at_a_time_and_its_progress(
    large: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slow(_session: Session, _query: object, progress) -> work.Outcome:
        progress.start("counting", 10)(4)
        go_on.wait(10)
        return work.Outcome(("Done.",), "dawnchorus")

    monkeypatch.setitem(work.WORK, "density", slow)
    first = large.write("/api/jobs", kind="density", label="wren").json()
    while not first["done"]:
        first = large.get(f"/api/jobs/{first['id']}").json()
    assert (first["state"], first["done"], first["total"]) == ("running", 4, 10)
    assert first["message"] == "counting"
    second = large.write("/api/jobs", kind="cluster")
    assert second.status_code == 422
    assert "wait until it is done" in second.json()["error"]
    go_on.set()
    assert wait(large, first)["summary"] == ["Done."]
    assert large.get("/api/jobs/job-99").status_code == 404


@pytest.mark.parametrize(
    ("error", "said_of_it"), [(TaskError("too few"), "too few"), (KeyError("x"), "KeyError")]
)
def test_a_job_that_fails_says_so(
    large: Browser, monkeypatch: pytest.MonkeyPatch, error: Exception, said_of_it: str
) -> None:
    def fails(*_: object) -> work.Outcome:
        raise error

    monkeypatch.setitem(work.WORK, "cluster", fails)
    failed = start(large, kind="cluster")
    assert failed["state"] == "failed"
    assert said_of_it in failed["message"]
    assert start(large, kind="cluster")["state"] == "failed"  # the next one may begin


def test_a_density_is_that_of_the_command_line(tmp_path: Path) -> None:
    """Scores of the store, windows drawn by chance, judged on the page."""
    from dawnchorus.store.write import StoreWriter  # noqa: PLC0415
    from store_samples import WITH_SCORES, put  # noqa: PLC0415

    with StoreWriter(tmp_path / "x.store", WITH_SCORES) as writer:
        for number in range(6):
            put(writer, f"{number}.wav", [20], seed=number)
    assert main(["label", "density", str(tmp_path / "x.store"), "--label", "wren", "--judge", "40",
                 "-q"]) == 0  # fmt: skip
    browser = Browser(Session([tmp_path / "x.store"], author="ann")).enter()
    items = browser.list(place="suggest", label="wren", k=40)
    items = browser.get(f"/api/lists/{items['id']}?limit=40").json()["items"]
    assert {item["purpose"] for item in items} == {"estimate"}
    send(browser, *(said(item, "present" if item["score"] > 0.5 else "absent") for item in items))
    done = start(browser, kind="density", label="wren")
    assert done["state"] == "done", done
    assert "by 40 judged windows that were drawn by chance" in done["summary"][0]
    assert "label density" in done["command"]


def drawn(browser: Browser, n: int) -> list[dict]:
    """What is drawn on the page to be judged for an estimate."""
    done = start(browser, kind="density", label="wren", draw=True, n=n)
    assert done["state"] == "done", done
    items = browser.get(f"/api/lists/{done['result']['id']}?limit=200").json()["items"]
    assert {item["purpose"] for item in items} == {"estimate"}
    return items


def test_what_is_drawn_on_the_page_is_counted_over_rounds_of_learning(
    large: Browser, tmp_path: Path
) -> None:
    """The windows were drawn by the probe of that time, and a later one must not take its place."""
    refused = start(large, kind="density", label="wren", draw=True, n=20)
    assert "press Learn first" in refused["message"]
    judge_some(large)
    assert start(large, kind="learn", label="wren")["state"] == "done"
    nothing = start(large, kind="density", label="wren")
    assert "Only sounds that were drawn by chance can say" in nothing["summary"][0]
    items = drawn(large, 40)
    assert len(items) == 40
    paths = [(item["path"], item["start_s"]) for item in items]
    assert paths == sorted(paths)  # not by score, which would tell what to expect
    holds = lambda item: [0, 1, 0, 1, 2, 1][item["row"] % 6] == 1  # noqa: E731
    half, rest = items[:20], items[20:]
    (waits,) = start(large, kind="density", label="wren")["summary"]
    assert waits.startswith("40 sounds were drawn by chance and wait to be judged")
    for some in (half, rest):
        verdicts = {True: "present", False: "absent"}
        told = [said(one, verdicts[holds(one)], number=1, purpose="estimate") for one in some]
        send(large, *told)
        assert start(large, kind="learn", label="wren")["state"] == "done"  # another probe
    done = start(large, kind="density", label="wren")
    assert done["state"] == "done", done
    assert "wren is in" in done["summary"][0]
    assert "by 40 judged windows that were drawn by chance" in done["summary"][0]
    assert len(done["summary"]) == 1 or "wait" not in done["summary"][-1]
    words = done["command"].split()[1:]
    assert "--probe" in words
    assert main([*words, "-o", str(tmp_path / "d.csv"), "-q"]) == 0
    table = (tmp_path / "d.csv").read_text().splitlines()
    share = float(table[1].split(",")[table[0].split(",").index("density")])
    assert f"is in {share:.1%} of" in done["summary"][0]


def test_a_probe_whose_copy_was_cut_off_stops_no_later_draw(
    large: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_some(large)
    assert start(large, kind="learn", label="wren")["state"] == "done"

    def cut_off(_source: Path, target: Path) -> None:
        target.mkdir()
        (target / "probe.json").write_text("{")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("dawnchorus.serve.counting.shutil.copytree", cut_off)
        failed = start(large, kind="density", label="wren", draw=True, n=20)
    assert failed["state"] == "failed"
    assert len(drawn(large, 20)) == 20


def test_the_map_is_made_and_lies_as_the_file_says(large: Browser, tmp_path: Path) -> None:
    assert large.get("/api/map/points").status_code == 404
    done = start(large, kind="cluster")
    assert done["state"] == "done", done
    (file,) = (tmp_path / "x.map").glob("map-*.parquet")
    made = ArchiveMap.read(file)
    points = np.frombuffer(large.get("/api/map/points").content, "<f4")
    n = len(made.windows)
    np.testing.assert_allclose(points[:n], made.windows["x"].to_numpy(), rtol=1e-6)
    np.testing.assert_allclose(points[n:], made.windows["y"].to_numpy(), rtol=1e-6)
    about = large.get("/api/about").json()
    assert about["has_map"] is True
    answer = large.get("/api/map/colours?by=cluster")
    codes = np.frombuffer(answer.content, "<u2")
    meaning = json.loads(unquote(answer.headers["x-colours"]))
    assert (
        len(meaning["names"])
        == len(about["has_clusters"])
        == len(done["summary"]) * 0 + len(set(made.clusters.tolist()) - {-1})
    )
    np.testing.assert_array_equal(np.where(codes == 65_535, -1, codes), made.clusters)
    item = large.get("/api/map/item?row=13").json()
    assert (item["row"], item["path"], item["start_s"]) == (13, "north/1.wav", 1.0)
    assert large.get("/api/map/item?row=9999").status_code == 404
    if about["has_clusters"]:
        number, name, size = about["has_clusters"][0]
        listed = large.list(place="cluster", cluster=number, per_recording=None, k=500)
        assert (listed["title"], listed["progress"]["n"]) == (name, size)


def test_colours_say_what_they_mean(large: Browser, tmp_path: Path) -> None:
    cluster_stores(tmp_path / "x.store", tmp_path / "x.map", config=ClusterConfig(least=2))
    judge_some(large, 24)

    def colours(by: str, **more: str) -> tuple[np.ndarray, dict]:
        answer = large.get("/api/map/colours", params={"by": by, **more})
        assert answer.status_code == 200, answer.text
        return np.frombuffer(answer.content, "<u2"), json.loads(
            unquote(answer.headers["x-colours"])
        )

    codes, meaning = colours("site")
    assert meaning["names"] == ["north", "south"]
    assert codes.tolist() == [0] * 60 + [1] * 60
    codes, meaning = colours("hour")
    assert (meaning["low"], meaning["high"]) == (0.0, 24.0)
    np.testing.assert_allclose(codes / 65_534 * 24, 4.0, atol=0.01)
    codes, meaning = colours("label")
    assert meaning["names"] == ["wren"]
    assert (codes == 0).sum() == 12
    assert large.get("/api/map/colours?by=mood").status_code == 422
    assert large.get("/api/map/colours?by=score").status_code == 422


def test_a_map_of_other_windows_is_no_map(large: Browser, tmp_path: Path) -> None:
    plant(tmp_path / "y.store", {"other.wav": [0, 1, 2, 0, 1, 2, 0, 1, 2, 1, 1]})
    cluster_stores(tmp_path / "y.store", tmp_path / "x.map", config=ClusterConfig(least=2))
    assert large.get("/api/about").json()["has_map"] is False
    assert large.get("/api/map/points").status_code == 404


def test_the_overview_counts_time_calls_and_damage(home: Path) -> None:
    from dawnchorus.store.write import StoreWriter  # noqa: PLC0415
    from planted_store import PLANTED_HEADER  # noqa: PLC0415
    from store_samples import row  # noqa: PLC0415

    with StoreWriter(home / "x.store", PLANTED_HEADER.model_copy(
            update={"audio_root": str(home / "recordings")})) as writer:  # fmt: skip
        writer.finish(row("bad.wav", 0, "failed", reason="damaged", message="cut short"))
    fresh = Browser(Session([home / "x.store"], author="ann")).enter()
    items = windows(fresh, 3)
    send(fresh, said(items[0]), said(items[1]), said(items[2], "absent"))
    seen = fresh.get("/api/overview").json()
    effort = {one["site"]: one for one in seen["effort"]}
    assert effort["north"]["hour"] == 4
    assert effort["north"]["date"] == "2026-05-01"
    assert effort["north"]["recorded_hours"] == pytest.approx(12 / 3600)
    assert (effort["north"]["n"], effort["south"]["n"]) == (2, 0)
    assert seen["damaged"] == [{"path": "bad.wav", "status": "failed", "reason": "cut short"}]
    assert seen["stores"][0]["n_failed"] == seen["n_damaged"] == 1
    assert seen["labels"][0] == {"name": "wren", "present": 2, "absent": 1, "unsure": 0,
                                 "suggested": 0}  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "parquet", "kaleidoscope", "raven", "audacity"])
def test_an_export_is_what_its_command_writes(
    browser: Browser, home: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = windows(browser, 12)
    send(browser, *(said(item, state) for item, state in zip(
        [items[1], items[8], items[2]], ["present", "absent", "unsure"], strict=True)))  # fmt: skip
    answer = browser.get(f"/api/export?format={form}&label=wren")
    assert answer.status_code == 200, answer.text
    assert "attachment" in answer.headers["content-disposition"]
    command = unquote(answer.headers["x-command"])
    monkeypatch.chdir(home)
    program, *words = command.split()
    assert program == "dawnchorus"
    assert main(words) == 0
    output = home / words[words.index("-o") + 1]
    if output.is_dir():
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            packed = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        written = {
            path.relative_to(output).as_posix(): path.read_bytes()
            for path in output.rglob("*")
            if path.is_file()
        }
        assert packed == written
        assert packed
    else:
        assert answer.content == output.read_bytes()
    # asked for the command alone
    head = browser.head(f"/api/export?format={form}&label=wren")
    assert head.headers["x-command"] == answer.headers["x-command"]


def test_an_export_of_nothing_is_refused_and_makes_nothing(browser: Browser, home: Path) -> None:
    assert browser.get("/api/export?format=csv").status_code == 422
    assert browser.get("/api/export?format=xls").status_code == 422
    assert not (home / "x.annotations").exists()


def test_a_dropped_clip_is_kept_and_found_again(browser: Browser, home: Path) -> None:
    import base64  # noqa: PLC0415

    content = (home / "recordings/north/a.wav").read_bytes()
    clip = {"name": "<b>my call.wav", "content": base64.b64encode(content).decode()}
    answer = browser.write("/api/clips", **clip).json()
    assert (answer["name"], answer["duration_s"]) == ("<b>my call.wav", 6.0)
    assert browser.write("/api/clips", **clip).json()["id"] == answer["id"]
    for wrong in ({"content": "%%%"}, {"content": base64.b64encode(b"no sound").decode()}):
        refused = browser.write("/api/clips", **{**clip, **wrong})
        assert refused.status_code == 422
        assert refused.json()["error"]
    gone = browser.write("/api/lists", place="search", like=[{"clip": "nothing"}])
    assert gone.status_code == 404
