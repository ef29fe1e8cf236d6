"""A hostile client finds nothing: each way that a server on a desk is attacked, tried once."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest
from starlette.testclient import TestClient

from dawnchorus.publication import VERSION
from dawnchorus.serve.guard import BODY_WITHIN_S, MOST_JSON_BYTES, Door, Guard
from dawnchorus.serve.session import Session
from planted_store import plant
from served import BASE, Browser

JUDGEMENT = {
    "key": "k" * 16,
    "span": {"recording_id": "r", "start_s": 0.0, "stop_s": 1.0},
    "label": "wren",
    "state": "present",
    "at": "2026-05-01T12:00:00Z",
}


def test_whoever_has_no_cookie_gets_nothing(session: Session) -> None:
    stranger = Browser(session)
    for route in ("/", "/api/about", "/api/picture?recording=x&start=0&stop=1", "/static/page.js",
                  "/api/export?format=csv", "/nothing"):  # fmt: skip
        answer = stranger.get(route)
        assert answer.status_code == 401
        assert "north" not in answer.text
    assert stranger.write("/api/lists", place="windows").status_code == 401


def test_the_token_opens_one_browser_and_is_then_used_up(session: Session) -> None:
    told: list[str] = []
    door = Door(on_new_token=told.append)
    first, second = Browser(session, door), Browser(session, door)
    token = door.token
    answer = first.get(f"/?token={token}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert token not in cookie
    assert second.get(f"/?token={token}").status_code == 403
    assert second.get("/api/about").status_code == 401
    # the next person comes in by the next address
    assert told == [door.token]
    assert told != [token]
    assert second.get(f"/?token={door.token}").status_code == 200
    assert second.get("/api/about").status_code == 200
    # a tab that is loaded again is no second use
    assert first.get(f"/?token={token}", follow_redirects=False).headers["location"] == "/"


@pytest.mark.parametrize("token", ["", "x", "%ff", "a" * 3_000])
def test_a_wrong_token_opens_nothing(session: Session, token: str) -> None:
    stranger = Browser(session)
    right = stranger.door.token
    assert stranger.get(f"/?token={token}").status_code in {401, 403}
    assert stranger.get("/api/about").status_code == 401
    assert stranger.door.token == right


@pytest.mark.parametrize("cookie", ["", "x=y", "{name}=", "{name}=wrong", "{name}={value}x"])
def test_a_made_up_cookie_opens_nothing(session: Session, cookie: str) -> None:
    stranger = Browser(session)
    door = stranger.door
    made = cookie.format(name=door.cookie_name, value=door.cookie)
    assert stranger.get("/api/about", headers={"cookie": made}).status_code == 401


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil", "10.0.0.5",
     "[::1", "", "evil@127.0.0.2"],
)  # fmt: skip
def test_another_hosts_name_is_refused(browser: Browser, host: str) -> None:
    """What DNS rebinding would send: this address under a name of the attacker's."""
    assert browser.get("/api/about", headers={"host": host}).status_code == 421
    assert browser.get(f"/?token={browser.door.token}", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:9999", "127.0.0.1:1", "[::1]:8765"])
def test_names_of_this_machine_are_served_at_any_port(browser: Browser, host: str) -> None:
    """The near end of an ssh tunnel has a port of its own."""
    cookie = f"{browser.door.cookie_name}={browser.door.cookie}"
    answer = browser.get("/api/about", headers={"host": host, "cookie": cookie})
    assert answer.status_code == 200


def test_addresses_are_names_only_where_others_are_let_in() -> None:
    door = Door(hosts=frozenset({"station"}), any_address=True)
    assert door.is_named("192.168.1.4:8765")
    assert door.is_named("Station:8765")
    assert not door.is_named("evil.example:8765")
    assert not Door().is_named("192.168.1.4:8765")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": f"{BASE}.evil.example"},
        {"origin": BASE, "sec-fetch-site": "cross-site"},
        {"origin": BASE, "sec-fetch-site": "same-site"},
    ],
)
def test_another_origin_writes_nothing(browser: Browser, headers: dict[str, str]) -> None:
    body = {"author": "eve", "judgements": [JUDGEMENT]}
    assert browser.post("/api/judgements", json=body, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"]
)
def test_a_form_of_another_site_is_not_read(browser: Browser, kind: str) -> None:
    content = json.dumps({"author": "eve", "judgements": [JUDGEMENT]})
    answer = browser.post(
        "/api/judgements", content=content, headers={"origin": BASE, "content-type": kind}
    )
    assert answer.status_code == 415


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_not_answered(browser: Browser, method: str) -> None:
    headers = {"origin": BASE, "content-type": "application/json"}
    answer = browser.request(method, "/api/judgements", headers=headers)
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "north/a.wav", "%00", "a" * 900],
)
def test_a_path_is_no_recording(browser: Browser, name: str) -> None:
    for route in (f"/api/recordings/{name}", f"/api/picture?recording={name}&start=0&stop=1",
                  f"/api/sound?recording={name}&start=0&stop=1", f"/static/{name}",
                  f"/static/../../{name}"):  # fmt: skip
        answer = browser.get(route)
        assert answer.status_code == 404
        assert "root:" not in answer.text


def test_a_store_that_names_files_outside_gives_none_of_them(home) -> None:
    (home / "secret.wav").write_bytes((home / "recordings/north/a.wav").read_bytes())
    (home / "recordings/north/link.wav").symlink_to(home / "secret.wav")
    plant(home / "evil.store", {"../secret.wav": [0, 1], "north/link.wav": [0, 1]},
          audio_root=str(home / "recordings"))  # fmt: skip
    browser = Browser(Session([home / "evil.store"], author="ann")).enter()
    for item in browser.list(place="windows")["items"]:
        assert item["has_sound"] is False
        answer = browser.get(f"/api/sound?recording={item['recording_id']}&start=0&stop=1")
        assert answer.status_code == 404
        assert "outside the folder of the recordings" in answer.json()["error"]


def test_a_body_is_bounded(browser: Browser) -> None:
    big = {"author": "a", "judgements": [], "list_id": "x" * (MOST_JSON_BYTES + 1)}
    assert browser.write("/api/judgements", **big).status_code == 413
    headers = {"origin": BASE, "content-type": "application/json", "content-length": "9" * 30}
    assert browser.post("/api/lists", content=b"{}", headers=headers).status_code == 413
    assert browser.get(f"/api/changes?cursor={'9' * 5_000}").status_code == 414
    deep = "[" * 100_000
    headers = {"origin": BASE, "content-type": "application/json"}
    assert browser.post("/api/lists", content=deep, headers=headers).status_code == 422


def test_a_body_that_comes_slowly_is_given_up() -> None:
    door = Door(body_within_s=0.05)
    sent: list[dict] = []

    async def app(*_: object) -> None:
        raise AssertionError("it must not get here")

    async def never() -> dict:
        await asyncio.sleep(5)
        raise AssertionError("it waited")

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/api/lists", "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1:8765"), (b"origin", BASE.encode()),
            (b"content-type", b"application/json"), (b"content-length", b"100"),
            (b"cookie", f"{door.cookie_name}={door.cookie}".encode()),
        ],
    }  # fmt: skip
    began = time.monotonic()
    asyncio.run(Guard(app, door)(scope, never, send))
    assert sent[0]["status"] == 408
    assert time.monotonic() - began < 2
    assert BODY_WITHIN_S > 1


def test_every_answer_forbids_what_the_page_does_not_need(browser: Browser) -> None:
    for answer in (browser.get("/"), browser.get("/api/about"), browser.get("/nothing"),
                   TestClient(browser.app, base_url=BASE).get("/")):  # fmt: skip
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-dawnchorus-version"] == VERSION


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("start=0&stop=1e9", 422), ("start=0&stop=1e300", 422), ("start=nan&stop=1", 422),
        ("start=-1&stop=1", 422), ("start=1&stop=1", 422), ("start=0", 422),
        ("start=0&stop=1&width=1e9", 422), ("start=0&stop=1&height=0", 422),
        ("start=0&stop=1&width=1.5", 422), ("start=0&stop=1&low_hz=99999", 422),
    ],
)  # fmt: skip
def test_huge_pictures_and_spans_are_refused(browser: Browser, query: str, status: int) -> None:
    name = browser.list(place="windows")["items"][0]["recording_id"]
    assert browser.get(f"/api/picture?recording={name}&{query}").status_code == status


@pytest.mark.parametrize(
    ("asked", "status", "n_bytes"),
    [
        ("bytes=0-9", 206, 10), ("bytes=-4", 206, 4), ("bytes=16000-", 206, 44),
        ("bytes=0-99999999999999999999", 206, 16_044), ("bytes=16044-", 416, 0),
        ("bytes=9-3", 416, 0), ("bytes=0-1,3-4", 416, 0), ("lines=0-1", 416, 0),
        ("bytes=0-" + "9" * 90, 416, 0),
    ],
)  # fmt: skip
def test_a_range_is_within_the_sound(
    browser: Browser, asked: str, status: int, n_bytes: int
) -> None:
    name = browser.list(place="windows")["items"][0]["recording_id"]
    answer = browser.get(f"/api/sound?recording={name}&start=0&stop=1", headers={"range": asked})
    assert (answer.status_code, len(answer.content)) == (status, n_bytes)


def test_read_only_refuses_every_write_and_nothing_else(home) -> None:
    browser = Browser(Session([home / "x.store"], author="ann", read_only=True)).enter()
    before = sorted(home.rglob("*"))
    assert browser.get("/api/about").json()["read_only"] is True
    assert browser.list(place="windows")["items"]
    answer = browser.write("/api/judgements", author="ann", judgements=[JUDGEMENT])
    assert answer.status_code == 403
    assert "--read-only" in answer.json()["error"]
    listed = browser.list(place="suggest", label="wren")
    assert listed["items"] == []
    assert [path for path in sorted(home.rglob("*")) if "facts" not in str(path)][:3] == before[:3]
    assert not (home / "x.annotations").exists()


def test_a_label_that_is_a_script_stays_text(browser: Browser) -> None:
    item = browser.list(place="windows")["items"][0]
    script = "<script>alert(1)</script>"
    span = {name: item[name] for name in ("recording_id", "start_s", "stop_s")}
    answer = browser.write(
        "/api/judgements",
        author=script,
        judgements=[{**JUDGEMENT, "span": span, "label": script}],
    )
    assert answer.status_code == 200
    answer = browser.get("/api/about")
    assert answer.json()["labels"][0]["name"] == script
    assert answer.headers["content-type"] == "application/json"


def test_too_many_requests_at_once_are_sent_away() -> None:
    door = Door()
    release = threading.Event()

    async def slow_app(_scope: object, _receive: object, send) -> None:
        while not release.is_set():
            await asyncio.sleep(0.005)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    scope = {
        "type": "http", "method": "GET", "path": "/api/about", "query_string": b"",
        "headers": [(b"host", b"localhost"),
                    (b"cookie", f"{door.cookie_name}={door.cookie}".encode())],
    }  # fmt: skip

    async def ask(guard: Guard) -> int:
        statuses: list[int] = []

        async def send(message: dict) -> None:
            statuses.append(message.get("status", 0))

        await guard(scope, None, send)
        return statuses[0]

    async def flood() -> list[int]:
        guard = Guard(slow_app, door)
        asked = [asyncio.ensure_future(ask(guard)) for _ in range(400)]
        await asyncio.sleep(0.05)
        release.set()
        return await asyncio.gather(*asked)

    statuses = asyncio.run(flood())
    assert statuses.count(503) == 400 - 32 - 256
    assert statuses.count(200) == 32 + 256
