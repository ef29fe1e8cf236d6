"""Packed shards: read by webdataset and by byte range, the same bytes again, resumed."""

from __future__ import annotations

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from conftest import make_sound
from dawnchorus.clips.check import check_manifest
from dawnchorus.clips.manifest import Manifest, read_manifest
from dawnchorus.clips.sounds import FileSounds
from dawnchorus.configs import AugmentConfig, BucketConfig, DataConfig
from dawnchorus.errors import AudioError, TaskError
from dawnchorus.feed.batches import BatchSource
from dawnchorus.feed.shards import PackReport, pack_manifest
from dawnchorus.feed.vocabulary import gather_vocabulary
from dawnchorus.store.files import unfinished_path

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 16_000


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Files of several rates and lengths; one has three clips, one cannot be read."""
    rows: list[dict[str, Any]] = []
    for number in range(7):
        rate = (16_000, 44_100, 22_050)[number % 3]
        make_sound(tmp_path / f"a/{number}.wav", 1.0 + number / 4, rate=rate, seed=number)
        rows.append(
            {"id": f"é{number}", "path": f"a/{number}.wav", "start_s": 0.0,
             "stop_s": 1.0 + number / 4, "labels": [f"Label, {number % 2}"], "split": "train"}
        )  # fmt: skip
    for start_s, stop_s in ((0.5, 1.0), (1.25, 2.0)):
        rows.append({**rows[6], "id": f"part{start_s}", "start_s": start_s, "stop_s": stop_s,
                     "labels": ["call"], "kind": "calltype"})  # fmt: skip
    make_sound(tmp_path / "long.wav", 4.0, seed=99)
    rows.append({**rows[0], "id": "inside", "path": "long.wav", "start_s": 1.0, "stop_s": 3.0})
    rows.append({**rows[0], "id": "bad", "path": "none.wav"})
    table = pa.Table.from_pylist([{"kind": "species", "licence": "CC0", **row} for row in rows])
    return Manifest(table, tmp_path)


def pack(manifest: Manifest, folder: Path, **options: Any) -> PackReport:
    return pack_manifest(manifest, folder, shard_mb=0.08, **options)


def digests(folder: Path) -> dict[str, str]:
    files = [*sorted(folder.glob("*.tar")), folder / "index.parquet"]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_index_gives_every_clip_the_sound_of_its_file(
    manifest: Manifest, tmp_path: Path
) -> None:
    report = pack(manifest, tmp_path / "shards")
    assert (report.n_shards, report.n_files, report.n_clips) == (3, 8, 10)
    assert [failure.path for failure in report.failures] == ["none.wav"]
    index = read_manifest(report.index)
    before, after = FileSounds(tmp_path, RATE), FileSounds(index.folder, RATE)
    clips = {clip.id: clip for clip in manifest}
    assert {clip.id for clip in index} == set(clips) - {"bad"}
    for clip in index:
        old = clips[clip.id]
        assert (clip.labels, clip.kind) == (old.labels, old.kind)
        n_samples = round(old.duration_s * RATE)
        theirs = before.read(old.path, round(old.start_s * RATE), n_samples)
        ours = after.read(clip.path, round(clip.start_s * RATE), n_samples)
        assert abs(len(ours) - len(theirs)) <= 1
        n = min(len(ours), len(theirs))
        # what is cut out of a stretch is resampled without its surroundings, so edges differ
        assert np.abs(ours[50 : n - 50] - theirs[50 : n - 50]).max() < 2e-3, clip.id
    inside = next(clip for clip in index if clip.id == "inside")
    assert (inside.start_s, inside.stop_s) == (0.0, 2.0)
    assert index.table["packed_path"].to_pylist().count("a/6.wav") == 3
    assert [f.verdict for f in check_manifest(index).findings] == ["ok"] * 10


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves files open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_each_sample_is_a_flac_and_a_json_for_webdataset(
    manifest: Manifest, tmp_path: Path
) -> None:
    import webdataset  # noqa: PLC0415  an extra

    pack(manifest, tmp_path / "shards")
    shards = sorted(str(path) for path in (tmp_path / "shards").glob("*.tar"))
    found = {}
    for sample in webdataset.WebDataset(shards, shardshuffle=False):
        described = json.loads(sample["json"])
        found[described["path"]] = described
        (tmp_path / "x.flac").write_bytes(sample["flac"])
        info = soundfile.info(tmp_path / "x.flac")
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
        assert info.frames == described["n_samples"]
    assert len(found) == 8
    assert found["a/6.wav"]["labels"] == ["Label, 0", "call"]
    assert [clip["id"] for clip in found["a/6.wav"]["clips"]] == ["é6", "part0.5", "part1.25"]
    assert found["long.wav"]["from_s"] == 1.0


def test_the_same_clips_give_the_same_bytes_whatever_the_threads(
    manifest: Manifest, tmp_path: Path
) -> None:
    pack(manifest, tmp_path / "one", threads=1)
    pack(manifest, tmp_path / "two", threads=3)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    pack(manifest, tmp_path / "other", shuffle_seed=1)
    assert digests(tmp_path / "one") != digests(tmp_path / "other")


def test_a_stopped_packing_goes_on_and_another_one_is_refused(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dawnchorus.feed import shards as module  # noqa: PLC0415

    whole = digests_of(pack(manifest, tmp_path / "whole"))
    encode, n_left = module.encode_flac, [4]

    def stopping(samples: Any, rate: int) -> bytes:
        n_left[0] -= 1
        if n_left[0] < 0:
            raise KeyboardInterrupt
        return encode(samples, rate)

    monkeypatch.setattr(module, "encode_flac", stopping)
    with pytest.raises(KeyboardInterrupt):
        pack(manifest, tmp_path / "shards", threads=1)
    monkeypatch.undo()
    assert not (tmp_path / "shards" / "index.parquet").exists()
    assert not list((tmp_path / "shards").glob(".*"))
    n_there = len(list((tmp_path / "shards").glob("*.tar")))
    assert 0 < n_there < 3
    report = pack(manifest, tmp_path / "shards")
    assert report.n_made == 3 - n_there
    assert digests_of(report) == whole
    for options in ({"shuffle_seed": 5}, {"shuffle_seed": None}):
        with pytest.raises(TaskError, match="another packing, made with another"):
            pack(manifest, tmp_path / "shards", **options)
    with pytest.raises(TaskError, match="with another n_shards, clips;"):
        pack(manifest[:5], tmp_path / "shards")


def digests_of(report: PackReport) -> dict[str, str]:
    return digests(report.index.parent)


def test_unknown_lengths_and_manifests_without_sound_are_refused(tmp_path: Path) -> None:
    table = pa.table({"id": ["x"], "path": ["none.wav"], "labels": [["wren"]]})
    with pytest.raises(TaskError, match="length of 'x' is not known"):
        pack(Manifest(table, tmp_path), tmp_path / "shards")
    known = table.append_column("duration_s", [[1.0]])
    with pytest.raises(TaskError, match="none of 1 files can be packed"):
        pack(Manifest(known, tmp_path), tmp_path / "shards")


def test_training_draws_from_shards_a_few_at_a_time_each_clip_once(
    manifest: Manifest, tmp_path: Path
) -> None:
    index = read_manifest(pack(manifest, tmp_path / "shards").index, ["shard"])
    source = BatchSource(
        index,
        FileSounds(index.folder, RATE),
        [gather_vocabulary(index, ["species"])],
        data=DataConfig(root=".", sounds="files"),
        buckets=[BucketConfig(crop_s=1.0, batch_size=4)],
        augment=AugmentConfig(mix={"probability": 0.0}, noise={"probability": 0.0}),
        seed=0,
    )
    drawn = [
        name for step in range(5) for part in range(2) for name in source.draw(step, part, 2).ids
    ]
    for epoch in (drawn[:10], drawn[10:]):
        assert sorted(epoch) == sorted(clip.id for clip in index)


def test_a_damaged_or_missing_shard_is_an_error_by_name(manifest: Manifest, tmp_path: Path) -> None:
    report = pack(manifest, tmp_path / "shards")
    index = read_manifest(report.index)
    sounds, clip = FileSounds(index.folder, RATE), index[0]
    shard = tmp_path / "shards" / index.table["shard"][0].as_py()
    content = shard.read_bytes()
    shard.write_bytes(content[:1000])
    with pytest.raises(AudioError, match=r"shard-000000\.tar#"):
        sounds.read(clip.path, 0, 1000)
    shard.write_bytes(content)
    with pytest.raises(AudioError, match="nothing after its end"):
        sounds.read(clip.path, 10**7, 10)
    shard.unlink()
    with pytest.raises(AudioError, match="no such shard"):
        sounds.read(clip.path, 0, 1000)
    shard.write_bytes(content)
    with pytest.raises(AudioError, match="packed at 16000 Hz, need 32000 Hz"):
        FileSounds(index.folder, 32_000).read(clip.path, 0, 10)


class _Ranges(SimpleHTTPRequestHandler):
    """Serves parts of files, as object stores do."""

    ranges = True

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        if not asked or not self.ranges:
            super().do_GET()
            return
        content = Path(self.translate_path(self.path)).read_bytes()
        first, last = (int(part) for part in asked.removeprefix("bytes=").split("-"))
        piece = content[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(piece)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.end_headers()
        self.wfile.write(piece)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, type[_Ranges]]]:
    handler = type("Handler", (_Ranges,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=tmp_path)) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", handler
        http.shutdown()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_shards_on_a_web_server_are_read_by_their_bytes(
    manifest: Manifest, tmp_path: Path, web: tuple[str, type[_Ranges]]
) -> None:
    url, handler = web
    pack(manifest, tmp_path / "shards")
    local = read_manifest(tmp_path / "shards/index.parquet")
    remote = read_manifest(f"{url}/shards/index.parquet")
    assert [clip.path for clip in remote] == [clip.path for clip in local]
    here, there = FileSounds(local.folder, RATE), FileSounds(remote.folder, RATE)
    for clip in remote[:3]:
        np.testing.assert_array_equal(
            there.read(clip.path, 100, 5000), here.read(clip.path, 100, 5000)
        )
    handler.ranges = False
    with pytest.raises(AudioError, match="gives no parts of files"):
        there.read(remote[0].path, 0, 100)


def test_the_index_is_plain_parquet(manifest: Manifest, tmp_path: Path) -> None:
    report = pack(manifest, tmp_path / "shards")
    table = pq.read_table(report.index)
    row = table.slice(0, 1).to_pylist()[0]
    with (report.index.parent / row["shard"]).open("rb") as file:
        file.seek(row["offset"])
        assert file.read(row["size"])[:4] == b"fLaC"


def test_what_a_killed_packing_left_is_removed_by_the_next_one(
    manifest: Manifest, tmp_path: Path
) -> None:
    pack(manifest, tmp_path / "p")
    shard = sorted((tmp_path / "p").glob("*.tar"))[0]
    leftover = unfinished_path(shard)
    leftover.write_bytes(b"half of it")
    pack(manifest, tmp_path / "p")
    assert not leftover.exists()
    assert shard.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"files": []}', '{"files": 3, "bad": [], "n_bytes": 1}', "[" * 5000]
)
@pytest.mark.parametrize("name", ["packing.json", "shard-000000.json"])
def test_a_damaged_note_of_a_packing_is_named(
    text: str, name: str, manifest: Manifest, tmp_path: Path
) -> None:
    pack_manifest(manifest, tmp_path / "out")
    (tmp_path / "out" / name).write_text(text)
    with pytest.raises(TaskError, match=r"damaged|another packing"):
        pack_manifest(manifest, tmp_path / "out")
