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
from dawnchorus.engine.doctor.scan import doctor
from dawnchorus.engine.embed import embed
from dawnchorus.engine.predict import predict
from dawnchorus.engine.recordings.find import common_root, find_recordings
from dawnchorus.errors import StoreError, UsageError
from dawnchorus.paths import as_path, relative_name
from dawnchorus.store import write
from dawnchorus.store.check import set_aside
from dawnchorus.store.files import write_first
from dawnchorus.store.merge import merge_stores
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
    root = as_path(url)
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
    from dawnchorus.engine.pipeline import fetch  # noqa: PLC0415

    original = fetch.fetch
    monkeypatch.setattr(
        fetch, "fetch", lambda place, copy: (fetched.append(place.name), original(place, copy))
    )
    make_sound(tmp_path / "new.wav", seconds=9.0, seed=7)
    (as_path(bucket) / "south/c.wav").write_bytes((tmp_path / "new.wav").read_bytes())
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
    assert "\nb.wav,0," in (tmp_path / "out.csv").read_text()
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
    assert relative_name(as_path(f"{bucket}/south/c.wav"), root) == "south/c.wav"
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
        find_recordings(as_path("s3://silent/x"))


def test_a_store_in_a_bucket_is_the_store_on_a_disk(
    bucket: str, field: Path, tmp_path: Path, tiny_encoder: Encoder
) -> None:
    url = f"{bucket}-out/night.store"
    as_path(f"{bucket}-out").mkdir()
    report = embed(field, store=url, model=tiny_encoder, predict=True)
    assert (report.n_done, report.n_failed) == (3, 1)
    assert any("--shard" in warning for warning in report.warnings)  # there are no locks
    embed(field, store=tmp_path / "disk.store", model=tiny_encoder, predict=True)
    (vectors, table), (wanted, wanted_table) = (
        Store(place).read() for place in (url, tmp_path / "disk.store")
    )
    np.testing.assert_array_equal(vectors, wanted)
    assert table.to_pydict() == wanted_table.to_pydict()
    assert Store(url).check().damages == ()
    again = embed(field, store=url, model=tiny_encoder, predict=True)
    assert (again.n_done, again.n_skipped, again.n_failed) == (0, 3, 1)
    assert predict(url, threshold=0.0).n_rows > 0
    with pytest.raises(StoreError, match=r"window_s: 1\.0 in the store, 0\.5 asked for"):
        embed(field, store=url, model=tiny_encoder, predict=True, window_s=0.5)


def test_shards_fill_one_store_in_a_bucket(
    bucket: str, tmp_path: Path, tiny_encoder: Encoder
) -> None:
    for number in range(3):
        report = embed(bucket, store=f"{bucket}/out.store", model=tiny_encoder, shard=(number, 3))
        assert not any("--shard" in warning for warning in report.warnings)
    store = Store(f"{bucket}/out.store")
    assert store.recordings()["status"].to_pylist().count("done") == 3
    embed(bucket, store=tmp_path / "whole", model=tiny_encoder)
    np.testing.assert_array_equal(store.read()[0], Store(tmp_path / "whole").read()[0])


def test_a_damaged_object_is_found_set_aside_and_done_anew(
    bucket: str, field: Path, tiny_encoder: Encoder
) -> None:
    url = f"{bucket}/a.store"
    embed(field, store=url, model=tiny_encoder)
    part = next(iter(as_path(f"{url}/embeddings").glob("part-*")))
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 1
    part.write_bytes(bytes(content))
    report = Store(url).check()
    assert [damage.part for damage in report.damages] == [f"embeddings/{part.name}"]
    assert len(set_aside(as_path(url), report)) == 3
    assert embed(field, store=url, model=tiny_encoder).n_done == 3
    assert Store(url).check().damages == ()


def test_of_two_that_make_a_store_at_once_one_gives_the_header(bucket: str) -> None:
    header = as_path(f"{bucket}/b.store/store.json")
    write_first(header, b"one")
    write_first(header, b"other")
    assert header.read_bytes() == b"one"


def test_left_overs_in_a_bucket_go_after_a_day(
    bucket: str, field: Path, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{bucket}/c.store"
    embed(field, store=url, model=tiny_encoder)
    folder = as_path(f"{url}/embeddings")
    orphan = folder / "part-00000000000000000000.parquet"
    orphan.write_bytes(next(iter(folder.glob("part-*"))).read_bytes())
    embed(field, store=url, model=tiny_encoder)
    assert orphan.exists()
    monkeypatch.setattr(write, "ORPHAN_S", -1.0)
    embed(field, store=url, model=tiny_encoder)
    assert not orphan.exists()
    assert Store(url).check().damages == ()


def test_stores_in_a_bucket_are_merged(bucket: str, field: Path, tiny_encoder: Encoder) -> None:
    for name in ("north", "south"):
        embed(field / name, store=f"{bucket}/{name}.store", model=tiny_encoder)
    report = merge_stores([f"{bucket}/north.store", f"{bucket}/south.store"], f"{bucket}/all.store")
    assert report.n_merged == 3
    _, table = Store(f"{bucket}/all.store").read()
    assert set(table["path"].to_pylist()) == {
        "north/20240501_043000.wav", "north/b.wav", "south/c.wav",
    }  # fmt: skip


def test_a_place_without_a_store_and_a_bucket_that_refuses_are_said(
    bucket: str, field: Path, tiny_encoder: Encoder
) -> None:
    with pytest.raises(StoreError, match="not an embedding store"):
        Store(f"{bucket}/nothing.store")
    with pytest.raises(StoreError, match="other things in it"):
        embed(field, store=f"{bucket}/north", model=tiny_encoder)
    with pytest.raises(StoreError, match="no-such-bucket"):
        embed(field, store="s3://no-such-bucket-here/a.store", model=tiny_encoder)


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
