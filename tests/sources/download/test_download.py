"""Downloads from a server that fails, stalls, truncates, limits and lies."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counted_progress import CountedProgress
from dawnchorus.configs.data import DownloadConfig, RequestLimits
from dawnchorus.errors import RunInterruptedError, TaskError, UsageError
from dawnchorus.sources.download import plan as download_plan
from dawnchorus.sources.download import redirects
from dawnchorus.sources.download import run as module
from dawnchorus.sources.download.fetch import fetch_file, safe_name
from dawnchorus.sources.download.ledger import Ledger
from dawnchorus.sources.download.plan import DownloadPlan, plan_download
from dawnchorus.sources.download.remote_files import locked_ledger
from dawnchorus.sources.download.requests import FailedRequestError, LimitedClient
from dawnchorus.sources.download.run import download
from rude_server import Answer, RudeServer, rude_server

QUICK = DownloadConfig(per_second=1000, n_tries=3, first_wait_s=0, timeout_s=0.3)
LIMITS = RequestLimits(per_second=1000, n_tries=3, first_wait_s=0, timeout_s=0.3)


def sound(n_bytes: int = 5000, seed: int = 0) -> bytes:
    """Bytes that begin like an MP3."""
    return b"ID3" + hashlib.shake_256(bytes([seed])).digest(n_bytes)


@pytest.fixture
def server() -> Iterator[RudeServer]:
    """A rude server."""
    with rude_server() as server:
        yield server


def manifest(path: Path, urls: list[str | None], **columns: list[Any]) -> Path:
    """A manifest with some URLs."""
    ids = [f"some/{i}" for i in range(len(urls))]
    pq.write_table(pa.table({"id": ids, "url": pa.array(urls, pa.string()), **columns}), path)
    return path


def fetch(url: str, target: Path, **options: Any) -> tuple[bytes, str]:
    """One file: its bytes and its name."""
    with LimitedClient(LIMITS) as client:
        fetched = fetch_file(client, url, target, **options)
    content = fetched.path.read_bytes()
    assert fetched.sha256 == hashlib.sha256(content).hexdigest()
    assert fetched.n_bytes == len(content)
    assert not list(target.parent.glob("*.part*"))
    return content, fetched.path.name


@pytest.mark.parametrize(
    "first",
    [
        Answer(status=503),
        Answer(status=429, headers={"Retry-After": "0"}),
        Answer(sound(), stop_after=2000),
        Answer(sound(), stop_after=2000, stall=True),
        Answer(sound(), stop_after=2000, ranges=False),
        Answer(sound(), stop_after=2000, etag=None),
    ],
    ids=["busy", "limited", "truncated", "stalled", "no ranges", "no etag"],
)
def test_a_file_comes_whole_in_spite_of_a_fault(
    first: Answer, server: RudeServer, tmp_path: Path
) -> None:
    then = Answer(sound(), ranges=first.ranges, etag=first.etag)
    url = server.says("/a", first, then)
    assert fetch(url, tmp_path / "a") == (sound(), "a.mp3")
    assert server.n_asked("/a") == 2


def test_the_rest_of_a_file_is_asked_for_and_no_more(server: RudeServer, tmp_path: Path) -> None:
    url = server.says("/a", Answer(sound(), stop_after=2000), Answer(sound()))
    fetch(url, tmp_path / "a")
    headers = server.asked[1].headers
    assert headers["If-Range"] == '"v1"'
    assert 0 < int(headers["Range"].removeprefix("bytes=").removesuffix("-")) <= 2000


def test_a_part_of_another_version_is_not_mixed_in(server: RudeServer, tmp_path: Path) -> None:
    new = sound(seed=1)
    url = server.says("/a", Answer(sound(), stop_after=2000), Answer(new, etag='"v2"'))
    assert fetch(url, tmp_path / "a")[0] == new


def test_a_part_that_is_too_long_is_begun_anew(server: RudeServer, tmp_path: Path) -> None:
    url = server.says("/a", Answer(sound(1000)))
    (tmp_path / "a.part").write_bytes(bytes(5000))
    (tmp_path / "a.part.json").write_text(json.dumps({"url": url, "same": '"v1"'}))
    assert fetch(url, tmp_path / "a")[0] == sound(1000)
    (tmp_path / "a.part").write_bytes(bytes(500))
    (tmp_path / "a.part.json").write_text('{"url": "cut of')
    assert fetch(url, tmp_path / "a")[0] == sound(1000)


@pytest.mark.parametrize(
    ("answer", "reason", "n_asked"),
    [
        (Answer(b"<html>gone</html>", content_type="text/html"), "not sound but text/html", 1),
        (Answer(b"<!DOCTYPE html>", content_type="application/octet-stream"), "not sound", 1),
        (Answer(b"\n <html>", content_type="audio/mpeg"), "not sound", 1),
        (Answer(b""), "empty", 1),
        (Answer(status=404), "HTTP 404", 1),
        (Answer(status=403), "HTTP 403", 1),
        (Answer(status=500), "HTTP 500", 3),
        (Answer(sound(), stop_after=100, etag=None), "broke off", 3),
    ],
)
def test_what_is_no_sound_is_not_kept(
    answer: Answer, reason: str, n_asked: int, server: RudeServer, tmp_path: Path
) -> None:
    url = server.says("/a.mp3", answer)
    with pytest.raises(FailedRequestError, match=f"^{reason}$"):
        fetch(url, tmp_path / "a")
    assert server.n_asked("/a.mp3") == n_asked
    assert not list(tmp_path.glob("a.mp3"))


@pytest.mark.parametrize(
    ("head", "content_type", "name"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "application/octet-stream", "a.wav"),
        (b"\0\0\0\x20ftypM4A ", "video/mp4", "a.m4a"),
        (b"fLaC", "audio/flac", "a.flac"),
        (b"OggS", "audio/ogg", "a.ogg"),
        (b"\xff\xfb\x90\x00", "", "a.mp3"),
        (b"\xff\xf1\x50\x80", "audio/aac", "a.aac"),
        (b"\0\0padding before the sync", "audio/mpeg", "a.mp3"),
    ],
)
def test_the_suffix_follows_from_the_content(
    head: bytes, content_type: str, name: str, server: RudeServer, tmp_path: Path
) -> None:
    url = server.says("/x.mp3", Answer(head + bytes(100), content_type=content_type))
    assert fetch(url, tmp_path / "a")[1] == name


def test_a_hash_that_is_known_is_held_against_the_file(server: RudeServer, tmp_path: Path) -> None:
    url = server.says("/a", Answer(sound()))
    right = hashlib.sha256(sound()).hexdigest()
    assert fetch(url, tmp_path / "a", sha256=right)[1] == "a.mp3"
    with pytest.raises(FailedRequestError, match="another sha256"):
        fetch(url, tmp_path / "b", sha256="0" * 64)
    assert not list(tmp_path.glob("b*"))


def test_a_trickle_counts_as_silence(server: RudeServer, tmp_path: Path) -> None:
    url = server.says("/a", Answer(sound(300_000)))
    ticks = iter(range(0, 10_000, 10))
    with pytest.raises(FailedRequestError, match="too slow"):
        fetch(url, tmp_path / "a", least_bytes_s=1e9, clock=lambda: float(next(ticks)))


@pytest.mark.parametrize(
    ("id", "name"),
    [
        ("xeno-canto/XC9", "XC9"),
        ("inaturalist/555_7001", "555_7001"),
        ("animal-sound-archive/TSA:Anas_acuta", "TSA_Anas_acuta-"),
        ("x/con", "con-"),
        ("x/a?b*c.", "a_b_c-"),
        ("x/..", ""),
        ("x/" + "a" * 300, "a" * 100 + "-"),
        ("x/AbC", "AbC-"),
    ],
)
def test_names_are_safe_on_every_system(id: str, name: str) -> None:
    folder, shard, last = safe_name(id).split("/")
    assert folder in {id.split("/")[0]}
    assert len(shard) == 2
    assert last == name or (last.startswith(name) and name not in {"XC9", "555_7001"})
    assert not set('<>:"|?*\\.') & set(last)


def test_names_that_differ_in_case_only_are_kept_apart() -> None:
    ids = ["x/abc", "x/ABC", "x/Abc", "x/XC1", "x/xc1", "x/a:c", "x/a_c", "x/a?c"]
    assert len({safe_name(id).rpartition("/")[2].lower() for id in ids}) == len(ids)


def test_a_manifest_is_fetched_and_listed_with_paths(server: RudeServer, tmp_path: Path) -> None:
    urls = [server.says(f"/{i}", Answer(sound(seed=i))) for i in range(5)]
    source = manifest(
        tmp_path / "m.parquet",
        [*urls, server.url + "/gone", None, "ftp://x/y"],
        licence=["CC BY 4.0"] * 4 + ["CC BY-NC 4.0"] + ["CC BY 4.0"] * 3,
        labels=[["a"]] * 8,
    )
    config = QUICK.model_copy(update={"licences": ("CC BY",)})
    progress = CountedProgress()
    report = download(source, tmp_path / "sound", config, progress=progress)
    assert (report.n_found, report.n_done, report.n_failed) == (5, 4, 1)
    assert report.failed == {"HTTP 404": 1}
    assert report.refused == {
        "licence CC BY-NC 4.0 was not asked for": 1,
        "no URL": 1,
        "not a URL of the web": 1,
    }
    assert [(stage.total, stage.done) for stage in progress.stages] == [(8, 8)]
    rows = pq.read_table(report.manifest).to_pylist()
    assert [row["id"] for row in rows] == [f"some/{i}" for i in range(4)]
    for i, row in enumerate(rows):
        content = (tmp_path / "sound" / row["path"]).read_bytes()
        assert content == sound(seed=i)
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert row["labels"] == ["a"]


def test_a_second_run_fetches_only_what_is_not_there(server: RudeServer, tmp_path: Path) -> None:
    urls = [server.says(f"/{i}", Answer(sound(seed=i))) for i in range(3)]
    server.says("/1", Answer(status=500))
    source = manifest(tmp_path / "m.parquet", urls)
    folder = tmp_path / "sound"
    assert download(source, folder, QUICK).failed == {"HTTP 500": 1}
    server.says("/1", Answer(sound(seed=1)))
    next((folder / "some").rglob("2.mp3")).write_bytes(b"cut")
    before = [server.n_asked(f"/{i}") for i in range(3)]
    report = download(source, folder, QUICK)
    assert (report.n_done, report.n_there, report.n_failed) == (2, 1, 0)
    assert [server.n_asked(f"/{i}") - n for i, n in enumerate(before)] == [0, 1, 1]
    with pytest.raises(UsageError, match="lists what is there already"):
        download(Path(report.manifest), folder, QUICK)


def test_few_files_at_once_come_from_one_host(server: RudeServer, tmp_path: Path) -> None:
    urls = [server.says(f"/{i}", Answer(sound(50_000, seed=i))) for i in range(20)]
    config = QUICK.model_copy(update={"n_downloads": 8, "n_per_host": 2})
    report = download(manifest(tmp_path / "m.parquet", urls), tmp_path / "sound", config)
    assert report.n_done == 20
    assert server.n_open_at_most <= 2


def test_a_host_that_only_fails_is_given_up(server: RudeServer, tmp_path: Path) -> None:
    urls = [server.says(f"/{i}", Answer(status=403)) for i in range(30)]
    config = QUICK.model_copy(update={"give_up_after": 5, "n_downloads": 1})
    with rude_server() as other:
        urls.append(other.says("/x", Answer(sound())))
        report = download(manifest(tmp_path / "m.parquet", urls), tmp_path / "sound", config)
    assert report.failed["HTTP 403"] == 5
    assert report.failed[f"host given up: {server.url.removeprefix('http://')}"] == 25
    assert report.n_done == 1
    assert report.n_found == report.n_done + report.n_failed


def test_the_size_is_told_beforehand(server: RudeServer, tmp_path: Path) -> None:
    urls = [server.says(f"/{i}", Answer(sound(1000 * (i + 1)))) for i in range(4)]
    source = manifest(tmp_path / "m.parquet", [*urls, None])
    plan = plan_download(source, tmp_path / "sound", QUICK)
    assert (plan.n_wanted, plan.n_bytes, plan.exact) == (4, 10_000 + 4 * 3, True)
    assert list(plan.hosts.values()) == [4]
    assert plan.refused == {"no URL": 1}
    assert server.n_asked("/0") == 0  # heads only
    download(source, tmp_path / "sound", QUICK)
    again = plan_download(source, tmp_path / "sound", QUICK)
    assert (again.n_wanted, again.n_there, again.n_bytes) == (0, 4, 0)


def test_the_size_of_many_is_extrapolated_by_duration(server: RudeServer, tmp_path: Path) -> None:
    n = 60
    urls = [server.says(f"/{i}", Answer(sound(997 + 1000 * (i % 2)))) for i in range(n)]
    seconds = [1.0 + i % 2 for i in range(n)]
    source = manifest(tmp_path / "m.parquet", urls, duration_s=seconds)
    plan = plan_download(source, tmp_path / "sound", QUICK)
    assert not plan.exact
    assert plan.n_bytes == pytest.approx(1000 * sum(seconds))
    assert sum(one.method == "HEAD" for one in server.asked) == download_plan.N_SAMPLED
    for i in range(n):
        server.says(f"/{i}", Answer(status=405))
    guessed = plan_download(source, tmp_path / "sound", QUICK)
    assert guessed.n_bytes == download_plan.GUESSED_BYTES_S * sum(seconds)


def test_a_disk_that_is_too_small_is_said_before() -> None:
    with pytest.raises(TaskError, match=r"5\.0 GB are to be downloaded and 3\.0 GB are free"):
        DownloadPlan(n_bytes=5e9, free_bytes=3e9).check_room()
    DownloadPlan(n_bytes=None, free_bytes=3e9).check_room()


def test_a_full_disk_ends_the_run_and_keeps_what_came(
    server: RudeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [server.says(f"/{i}", Answer(sound(seed=i))) for i in range(5)]
    original = module.fetch_file

    def full(client: LimitedClient, url: str, target: Path, **options: Any) -> Any:
        if url.endswith("/2"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(client, url, target, **options)

    monkeypatch.setattr(module, "fetch_file", full)
    config = QUICK.model_copy(update={"n_downloads": 1})
    source = manifest(tmp_path / "m.parquet", urls)
    with pytest.raises(TaskError, match="the disk is full; what was fetched is kept"):
        download(source, tmp_path / "sound", config)
    monkeypatch.undo()
    report = download(source, tmp_path / "sound", config)
    assert (report.n_there, report.n_done) == (2, 3)


def test_a_stop_keeps_what_came(server: RudeServer, tmp_path: Path) -> None:
    stop = threading.Event()
    urls = [server.says(f"/{i}", Answer(sound(seed=i))) for i in range(10)]
    source = manifest(tmp_path / "m.parquet", urls)
    config = QUICK.model_copy(update={"n_downloads": 1})
    with pytest.raises(RunInterruptedError):
        download(
            source,
            tmp_path / "sound",
            config,
            stop=stop,
            progress=CountedProgress(lambda _n: stop.set()),
        )
    rows = pq.read_table(tmp_path / "sound" / "downloaded.parquet")
    assert rows.num_rows == 1
    assert download(source, tmp_path / "sound", QUICK).n_done == 9


KILLED = """
import sys
from pathlib import Path
from dawnchorus.configs.data import DownloadConfig
from dawnchorus.sources.download.run import download
config = DownloadConfig(per_second=1000, timeout_s=30, n_downloads=1)
print("begun", flush=True)
class Printed:
    def start(self, *stage):
        return lambda n: print("one", flush=True)
download(Path(sys.argv[1]), Path(sys.argv[2]), config, progress=Printed())
"""


def test_a_killed_run_goes_on(server: RudeServer, tmp_path: Path) -> None:
    urls = [server.says(f"/{i}", Answer(sound(seed=i))) for i in range(3)]
    server.says("/2", Answer(sound(seed=2), stop_after=3000, stall=True), Answer(sound(seed=2)))
    source = manifest(tmp_path / "m.parquet", urls)
    folder = tmp_path / "sound"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(source), str(folder)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as run:
        assert run.stdout is not None
        for _ in range(3):  # begun, and two files
            run.stdout.readline()
        while not list(folder.rglob("2.part")):
            assert run.poll() is None
        run.send_signal(signal.SIGKILL)
    with (folder / "downloads.jsonl").open("a") as file:
        file.write('{"id": "cut')
    report = download(source, folder, QUICK)
    assert (report.n_there, report.n_done) == (2, 1)
    assert next(folder.rglob("2.mp3")).read_bytes() == sound(seed=2)
    assert len((folder / "downloads.jsonl").read_text().splitlines()) == 3


def test_two_downloads_do_not_share_a_folder(server: RudeServer, tmp_path: Path) -> None:
    urls = [server.says("/0", Answer(sound()))]
    source = manifest(tmp_path / "m.parquet", urls)
    with locked_ledger(tmp_path / "sound"):
        code = (
            "import sys; from pathlib import Path; from dawnchorus.sources.download.run import *; "
        )
        code += "download(Path(sys.argv[1]), Path(sys.argv[2]))"
        run = subprocess.run(
            [sys.executable, "-c", code, str(source), str(tmp_path / "sound")],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )
    assert "another download works in this folder" in run.stderr


def test_a_manifest_without_urls_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "m.parquet")
    with pytest.raises(TaskError, match=r"columns \['url'\] are missing"):
        download(tmp_path / "m.parquet", tmp_path / "sound", QUICK)
    (tmp_path / "m.parquet").write_text("no")
    with pytest.raises(TaskError, match="not a readable Parquet manifest"):
        plan_download(tmp_path / "m.parquet", tmp_path / "sound", QUICK)


def test_no_secret_of_a_url_is_written_down(
    server: RudeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.says("/a", Answer(sound()))
    server.says("/b", Answer(status=403))
    server.says("/c", Answer(sound(), stop_after=2000))
    host = server.url.replace("//", "//me:s3cretpw@")
    urls = [f"{host}/{name}?api_key=s3cretkey" for name in "abc"]
    given = manifest(tmp_path / "m.parquet", urls)
    with caplog.at_level("DEBUG"):
        report = download(given, tmp_path / "out", QUICK)
        plan = plan_download(given, tmp_path / "out", QUICK)
    assert (report.n_done, report.n_failed) == (2, 1)
    assert {one.query["api_key"] for one in server.asked} == {"s3cretkey"}
    written = [*(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())]
    written += [str(report).encode(), str(plan).encode(), caplog.text.encode()]
    written += [str(pq.read_table(tmp_path / "out" / "downloaded.parquet").to_pylist()).encode()]
    for text in written:
        assert b"s3cret" not in text
    assert download(given, tmp_path / "out", QUICK).n_there == 2  # known again by its masked URL


def test_an_answer_that_was_compressed_unasked_is_refused(
    server: RudeServer, tmp_path: Path
) -> None:
    packed = gzip.compress(b"ID3" + bytes(10**7))
    url = server.says("/a", Answer(packed, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(FailedRequestError, match="sent compressed, unasked"):
        fetch(url, tmp_path / "a")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1000


@pytest.mark.parametrize("told", [True, False])
def test_a_file_beyond_the_limit_is_refused_and_leaves_nothing(
    server: RudeServer, tmp_path: Path, *, told: bool
) -> None:
    headers = {} if told else {"Transfer-Encoding": "chunked"}
    body = sound(300_000) if told else b"493e3\r\n" + sound(300_000 - 3 + 0) + b"\r\n0\r\n\r\n"
    url = server.says("/a", Answer(body, headers=headers))
    with pytest.raises(FailedRequestError, match=r"larger than 0\.1 MB|broke off"):
        fetch(url, tmp_path / "a", most_bytes=1e5)
    assert not [path for path in tmp_path.iterdir() if path.stat().st_size > 2e5]


@pytest.mark.parametrize(
    ("first", "then", "refused"),
    [
        ("archive.test", "127.0.0.1", True),
        ("archive.test", "169.254.169.254", True),
        ("archive.test", "10.0.0.1", True),
        ("archive.test", "[::1]", True),
        ("archive.test", "[::ffff:127.0.0.1]", True),
        ("archive.test", "inside.test", True),
        ("archive.test", "mirror.test", False),
        ("127.0.0.1", "10.0.0.1", False),
        ("archive.test", "archive.test", False),
    ],
)
def test_a_redirect_does_not_lead_into_the_private_network(
    monkeypatch: pytest.MonkeyPatch, first: str, then: str, *, refused: bool
) -> None:
    known = {
        "archive.test": "93.184.216.34",
        "mirror.test": "1.1.1.1",
        "inside.test": "192.168.0.9",
    }
    monkeypatch.setattr(
        redirects.socket, "getaddrinfo", lambda name, *_a, **_k: [(0, 0, 0, "", (known[name], 0))]
    )
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        if request.url.path == "/a":
            return httpx2.Response(302, headers={"Location": f"http://{then}/b"})
        return httpx2.Response(200, content=b"1")

    with LimitedClient(LIMITS) as client:
        client._client._transport = httpx2.MockTransport(answer)
        client._client._mounts = {}
        if refused:
            with pytest.raises(FailedRequestError, match="into a private network"):
                client.get_json(f"http://{first}/a", {})
            assert asked == [first]
        else:
            assert client.get_json(f"http://{first}/a", {}) == 1


@pytest.mark.parametrize(
    "url",
    ["http://[", "http://", "http:///x", "https://h:x/y", "http://h/\x00", "http://" + "a" * 300],
)
def test_a_malformed_url_fails_by_itself(url: str, server: RudeServer, tmp_path: Path) -> None:
    good = server.says("/a", Answer(sound()))
    report = download(manifest(tmp_path / "m.parquet", [url, good]), tmp_path / "out", QUICK)
    assert report.n_done == 1
    assert report.n_failed + sum(report.refused.values()) == 1


@pytest.mark.parametrize(
    "columns",
    [{"id": ["a"], "url": [1]}, {"id": [1], "url": ["http://h"]}, {"id": ["a"], "url": [["x"]]}],
)
def test_a_manifest_of_other_types_is_refused(
    tmp_path: Path, columns: dict[str, list[Any]]
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "m.parquet")
    with pytest.raises(TaskError, match="need text"):
        download(tmp_path / "m.parquet", tmp_path / "out", QUICK)


ENTRY = (
    '{"id": "a", "url": "http://h/a", "status": "done", "path": "aa/a.mp3", "n_bytes": 3, '
    '"sha256": "", "when": "", "wall_s": 0.5}\n'
)
PIECES = [
    "{", "}", "[" * 3000, '"', ",", ":", "null", "NaN", "1e999", "9" * 5000, '"../x"', "true", "\n",
    '"id"', '"n_bytes"', "{}", "[]", "\x00", "é", '"path": "/etc/passwd",', "-1", ' "id": "b",',
]  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, len(ENTRY)), st.integers(0, 12), st.lists(st.sampled_from(PIECES)))
def test_any_edited_ledger_is_read_or_refused_by_line(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, pieces: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    text = ENTRY[:at] + "".join(pieces) + ENTRY[at + cut :] + ENTRY
    (folder / "downloads.jsonl").write_text(text, encoding="utf-8")
    try:
        with closing(Ledger(folder)) as ledger:
            found = ledger.done("a", "http://h/a")
    except TaskError as error:
        message = str(error)
        found = None
        assert "line" in message
    assert found is None or ".." not in found.path


def test_a_ledger_does_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    for path in ("../x.mp3", "/etc/passwd", "a/../../x"):
        (tmp_path / "downloads.jsonl").write_text(ENTRY.replace("aa/a.mp3", path))
        with pytest.raises(TaskError, match=r"line 1 .* not inside of the folder"):
            Ledger(tmp_path)
    (tmp_path / "downloads.jsonl").write_text("x" * (1 << 20) + "\n")
    with pytest.raises(TaskError, match="line 1 is longer than 1048576 bytes"):
        Ledger(tmp_path)
