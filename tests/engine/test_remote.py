"""Recordings behind URLs: a real S3 server and a real web server, both on this machine."""

from __future__ import annotations

import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import numpy as np
import pytest
from s3fs import S3FileSystem

from conftest import make_sound
from dawnchorus.engine.doctor import doctor
from dawnchorus.engine.embed import embed
from dawnchorus.engine.plan import common_root, find_recordings, recording_name
from dawnchorus.engine.predict import predict
from dawnchorus.errors import UsageError
from dawnchorus.places import as_place
from dawnchorus.store.read import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.models.encoder import Encoder

# what the packages behind the URLs leave open or deprecate is not ours to mend
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415  slow to import

    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    host, port = s3.get_host_and_port()
    yield f"http://{host}:{port}"
    s3.stop()


@pytest.fixture
def field(tmp_path: Path) -> Path:
    """A folder with four recordings, one of them damaged, and a file that is none."""
    folder = tmp_path / "field"
    for number, name in enumerate(["north/20240501_043000.wav", "north/b.wav", "south/c.wav"]):
        make_sound(folder / name, seconds=4.0 + number, seed=number)
    (folder / "south/broken.wav").write_bytes(b"no sound at all" * 9)
    (folder / "notes.txt").write_text("not a recording")
    return folder


@pytest.fixture
def bucket(server: str, field: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket with the files of the folder."""
    S3FileSystem.clear_instance_cache()  # it holds the server of an earlier test
    for key, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server,
    }.items():
        monkeypatch.setenv(key, value)
    url = f"s3://field-{abs(hash(field)) % 10**9}"
    root = as_place(url)
    root.mkdir()
    for file in sorted(path for path in field.rglob("*") if path.is_file()):
        (root / file.relative_to(field).as_posix()).write_bytes(file.read_bytes())
    return url


def _rows(store: Path) -> dict[str, tuple[str, str, str]]:
    table = Store(store).recordings()
    return {
        row["path"]: (row["status"], row["content_hash"], row["recorded_at"])
        for row in table.to_pylist()
    }


def test_a_bucket_gives_the_store_that_the_same_folder_gives(
    bucket: str, tmp_path: Path, tiny_encoder: Encoder
) -> None:
    remote = embed(bucket, store=tmp_path / "remote", model=tiny_encoder)
    local = embed(tmp_path / "field", store=tmp_path / "local", model=tiny_encoder)
    assert (remote.n_found, remote.n_done, remote.n_failed) == (4, 3, 1)
    assert remote.n_windows == local.n_windows
    assert _rows(tmp_path / "remote") == _rows(tmp_path / "local")
    np.testing.assert_array_equal(
        Store(tmp_path / "remote").read()[0], Store(tmp_path / "local").read()[0]
    )
    assert f"{bucket}/south/broken.wav" in remote.failures[0].message
    assert "dawnchorus-" not in remote.failures[0].message  # not the name of the copy


def test_a_second_run_fetches_nothing_but_what_failed_or_changed(
    bucket: str, tmp_path: Path, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed(bucket, store=tmp_path / "store", model=tiny_encoder)
    fetched = []
    from dawnchorus.engine import fetch  # noqa: PLC0415

    original = fetch.fetch
    monkeypatch.setattr(
        fetch, "fetch", lambda place, copy: (fetched.append(place.name), original(place, copy))
    )
    make_sound(tmp_path / "new.wav", seconds=9.0, seed=7)
    (as_place(bucket) / "south/c.wav").write_bytes((tmp_path / "new.wav").read_bytes())
    report = embed(bucket, store=tmp_path / "store", model=tiny_encoder)
    assert sorted(fetched) == ["broken.wav", "c.wav"]
    assert (report.n_done, report.n_skipped, report.n_failed) == (1, 2, 1)


def test_predict_and_doctor_read_a_bucket(
    bucket: str, tmp_path: Path, tiny_encoder: Encoder
) -> None:
    report = predict(
        f"{bucket}/north", output=tmp_path / "out.csv", model=tiny_encoder, segments=1, top_k=1
    )
    assert report.n_done == 2
    assert f"{bucket}/north/b.wav" in (tmp_path / "out.csv").read_text()
    assert report.segments is not None
    assert list(report.segments.rglob("*.flac"))
    findings = {finding.path: finding.verdict for finding in doctor(bucket).findings}
    assert findings == {
        "north/20240501_043000.wav": "ok",
        "north/b.wav": "ok",
        "south/broken.wav": "unreadable",
        "south/c.wav": "ok",
    }


def test_a_list_may_name_urls(bucket: str, tmp_path: Path, tiny_encoder: Encoder) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text(f"path,site\n{bucket}/north/b.wav,North\nfield/south/c.wav,South\n")
    embed(listing, store=tmp_path / "store", model=tiny_encoder)
    _, table = Store(tmp_path / "store").read(["path", "site"], where={"site": "North"})
    assert set(table["path"].to_pylist()) == {f"{bucket}/north/b.wav"}


def test_names_in_a_bucket_are_relative_to_the_folder_above_all(bucket: str) -> None:
    root = common_root([f"{bucket}/north", f"{bucket}/south/c.wav"])
    assert str(root).rstrip("/") == bucket
    assert recording_name(as_place(f"{bucket}/south/c.wav"), root) == "south/c.wav"
    scan = find_recordings([f"{bucket}/north", f"{bucket}/north/b.wav"])
    assert (scan.n_recordings, scan.n_duplicates) == (2, 1)


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("s3://no-such-bucket-at-all/x", "no such file or folder"),
        ("gopher://old/x.wav", "no such kind of URL"),
    ],
)
def test_what_is_not_there_is_said(url: str, found: str) -> None:
    with pytest.raises(UsageError, match=found):
        find_recordings(url)


@pytest.mark.usefixtures("bucket")
def test_a_server_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UsageError, match="s3://silent/x: cannot be reached"):
        find_recordings(as_place("s3://silent/x"))


@pytest.fixture
def web(field: Path) -> Iterator[str]:
    """A web server with the same files."""
    handler = partial(_Quiet, directory=field)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_recordings_on_a_web_server(web: str, tmp_path: Path, tiny_encoder: Encoder) -> None:
    named = [f"{web}/north/b.wav", f"{web}/south/c.wav"]
    report = embed(named, store=tmp_path / "store", model=tiny_encoder)
    assert report.n_done == 2
    again = embed(named, store=tmp_path / "store", model=tiny_encoder)
    assert again.n_skipped == 2  # fetched, since a web server gives no date, and found the same
    with pytest.raises(UsageError, match="no folders to look through"):
        embed(f"{web}/north", store=tmp_path / "store", model=tiny_encoder)
    with pytest.raises(UsageError, match="no such file"):
        embed(f"{web}/none.wav", store=tmp_path / "store", model=tiny_encoder)
