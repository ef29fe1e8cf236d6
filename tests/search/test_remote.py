"""Stores in a bucket: from a real S3 server on this machine, the answers are those of a disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from s3fs import S3FileSystem

from dawnchorus import search_stores
from dawnchorus.configs.search import SearchConfig
from dawnchorus.errors import DawnChorusWarning, StoreError
from dawnchorus.paths import as_path
from dawnchorus.search import merged, part_vectors
from dawnchorus.search.archive import Archive
from dawnchorus.search.neighbours import best_windows, query_directions
from dawnchorus.search.part_vectors import PartVectors
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.parts import REMOTE_READERS
from dawnchorus.store.write import StoreWriter
from store_samples import DIM, HEADER, put, row

# what the packages behind the URLs leave open or deprecate is not ours to mend
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
N_EACH = 150


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
def local(tmp_path: Path) -> Path:
    """Some parts of 100 windows and more."""
    with StoreWriter(tmp_path / "x.store", HEADER, part_bytes=1500) as writer:
        for number in range(4):
            site = (("site", "north" if number < 2 else "south"),)
            facts = {"recorded_at": f"2026-05-0{number + 1}T04:00:00+02:00", "carried": site}
            put(writer, f"{number}.wav", [50] * (N_EACH // 50), seed=number, **facts)
    return tmp_path / "x.store"


@pytest.fixture
def url(server: str, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same store in a bucket."""
    S3FileSystem.clear_instance_cache()  # it holds the server of an earlier test
    for key, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server,
        "DAWNCHORUS_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(key, value)
    bucket = f"s3://search-{abs(hash(tmp_path)) % 10**9}"
    root = as_path(bucket)
    root.mkdir()
    for file in sorted(path for path in local.rglob("*") if path.is_file()):
        (root / "x.store" / file.relative_to(local).as_posix()).write_bytes(file.read_bytes())
    return f"{bucket}/x.store"


def directions(n: int = 3) -> np.ndarray:
    vectors = np.random.default_rng(5).standard_normal((n, DIM))
    return query_directions(vectors, np.zeros(DIM, np.float32))


@pytest.fixture
def whole_parts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of parts that were read whole, as they are read."""
    read: list[str] = []
    content = PartVectors.content
    monkeypatch.setattr(
        PartVectors, "content", lambda part: (read.append(part.name), content(part))[1]
    )
    return read


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket belongs to others: nothing can be put into it."""

    async def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(S3FileSystem, "_pipe_file", refuse)


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"where": {"site": "south"}},
        {"dates": ("2026-05-02", "2026-05-03")},
        {"time_of_day": ("04:00", "04:01"), "where": {"path": ("0.wav", "3.wav")}},
    ],
)
def test_a_store_in_a_bucket_gives_the_answer_of_the_local_one(
    url: str, local: Path, filters: dict[str, object]
) -> None:
    config = SearchConfig(k=20, per_recording=9)
    there = search_stores(url, directions(1), config=config, **filters)
    here = search_stores(local, directions(1), config=config, **filters)
    assert there.table.equals(here.table)
    assert there.n_windows == here.n_windows
    assert there.is_exact


def test_a_local_store_and_one_in_a_bucket_are_searched_as_one(url: str, tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "y.store", HEADER) as writer:
        put(writer, "y.wav", [80], seed=9)
    found = best_windows(Archive([url, tmp_path / "y.store"]), directions(), 680)
    assert [sorted(rows) for rows in found.rows.tolist()] == [list(range(680))] * 3


def test_a_search_reads_each_part_once_and_then_single_vectors(
    url: str, local: Path, whole_parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_vectors, "RANGES_UNTIL", 1)
    monkeypatch.setattr(merged, "SPARE", 3)
    best_windows(Archive(url), directions(1), 3)
    n_parts = len(list((local / "embeddings").iterdir()))
    assert n_parts > 3
    assert len(whole_parts) == 2 * n_parts  # what is known of it, and the search
    assert (as_path(url) / "search" / "vectors.npz").exists()
    whole_parts.clear()
    archive = Archive(url)
    best_windows(archive, directions(1), 3)
    assert sorted(whole_parts) == sorted(part.name for part in archive.parts)
    rows = np.array([599, 3, 299, 3])
    wanted = Archive(local).take(rows)
    whole_parts.clear()
    np.testing.assert_array_equal(archive.take(rows), wanted)
    assert whole_parts == []


def test_opening_fetches_no_vectors(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = HEADER.model_copy(update={"dim": 512})
    many = WindowRows(
        window=np.arange(1500),
        start_sample=np.arange(1500) * 50,
        valid_samples=np.full(1500, 100),
        flags=np.zeros(1500, np.int64),
        vectors=np.random.default_rng(0).standard_normal((1500, 512)).astype(np.float32),
        scores=None,
    )
    with StoreWriter(tmp_path / "wide.store", header) as writer:
        writer.add(row("a.wav"), many)
        writer.finish(row("a.wav", 1500, "done"))
    wide = as_path(url).parent / "wide.store"
    files = [path for path in (tmp_path / "wide.store").rglob("*") if path.is_file()]
    for file in files:
        (wide / file.relative_to(tmp_path / "wide.store").as_posix()).write_bytes(file.read_bytes())
    S3FileSystem.clear_instance_cache()
    fetched: list[int] = []
    cat_file = S3FileSystem._cat_file

    async def counted(self: S3FileSystem, *given: object, **options: object) -> bytes:
        content: bytes = await cat_file(self, *given, **options)
        fetched.append(len(content))
        return content

    monkeypatch.setattr(S3FileSystem, "_cat_file", counted)
    windows = Archive(wide, where={"silent": "false"}).windows()
    assert len(windows) == 1500
    assert 0 < sum(fetched) < 0.1 * sum(file.stat().st_size for file in files)


@pytest.mark.usefixtures("guest")
def test_a_bucket_of_others_is_searched_and_what_is_known_stays_with_the_user(
    url: str, local: Path, tmp_path: Path, whole_parts: list[str]
) -> None:
    found = best_windows(Archive(url), directions(), 7)
    wanted = best_windows(Archive(local), directions(), 7)
    np.testing.assert_array_equal(found.rows, wanted.rows)
    assert found.scores.tobytes() == wanted.scores.tobytes()
    assert not (as_path(url) / "search" / "vectors.npz").exists()
    assert len(list((tmp_path / "cache" / "search").glob("*/vectors.npz"))) == 1
    whole_parts.clear()
    np.testing.assert_array_equal(Archive(url).mean(), Archive(local).mean())
    assert whole_parts == []


@pytest.mark.usefixtures("guest")
def test_a_search_works_where_nothing_can_be_written_at_all(
    url: str, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DAWNCHORUS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(DawnChorusWarning, match="made again by every search"):
        found = best_windows(Archive(url), directions(), 7)
    wanted = best_windows(Archive(local), directions(), 7)
    np.testing.assert_array_equal(found.rows, wanted.rows)


def test_only_a_few_parts_are_in_memory_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, now, most = threading.Lock(), 0, 0
    content, unpacked = PartVectors.content, PartVectors.unpacked

    def fetched(part: PartVectors) -> bytes:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        return content(part)

    def opened(part: PartVectors, held: bytes) -> object:
        nonlocal now
        with lock:
            now -= 1
        return unpacked(part, held)

    monkeypatch.setattr(merged, "SPARE", 3)
    monkeypatch.setattr(PartVectors, "content", fetched)
    monkeypatch.setattr(PartVectors, "unpacked", opened)
    archive = Archive(url)
    best_windows(archive, directions(), 5)
    assert 1 < most <= REMOTE_READERS
    assert all(part._mapped is None for part in archive.parts)


def test_a_damaged_object_is_named(url: str) -> None:
    part = next(iter((as_path(url) / "embeddings").iterdir()))
    content = bytearray(part.read_bytes())
    content[-200] ^= 1
    part.write_bytes(bytes(content))
    with pytest.raises(StoreError, match=part.name):
        best_windows(Archive(url), directions(), 5)


def test_an_object_that_was_cut_short_is_said_when_single_vectors_are_fetched(url: str) -> None:
    archive = Archive(url)
    archive.prepare()
    for part in list((as_path(url) / "embeddings").iterdir()):
        part.write_bytes(part.read_bytes()[:300])
    with pytest.raises(StoreError, match=r"is shorter than it was|damaged part"):
        archive.take(np.array([299]))
