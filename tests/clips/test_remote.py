"""Shards on S3: the index is read, and of each shard only the bytes of the clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from s3fs import S3FileSystem

from conftest import make_sound
from dawnchorus.clips.folders import manifest_of_folder
from dawnchorus.clips.manifest import read_manifest
from dawnchorus.clips.sounds import FileSounds
from dawnchorus.configs import AugmentConfig, BucketConfig, DataConfig
from dawnchorus.feed.batches import BatchSource
from dawnchorus.feed.loader import Loader
from dawnchorus.feed.shards import pack_manifest
from dawnchorus.paths import as_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# what the packages behind the URLs leave open or deprecate is not ours to mend
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
RATE = 16_000


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on an S3 server of our own."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415  slow to import

    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    host, port = s3.get_host_and_port()
    S3FileSystem.clear_instance_cache()
    for key, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(key, value)
    as_path("s3://shards").mkdir()
    yield "s3://shards"
    S3FileSystem.clear_instance_cache()
    s3.stop()


def test_training_reads_the_same_from_a_bucket(bucket: str, tmp_path: Path) -> None:
    for number in range(5):
        make_sound(tmp_path / f"calls/wren/{number}.wav", 1.5, seed=number)
    report = pack_manifest(manifest_of_folder(tmp_path / "calls").manifest, tmp_path / "shards")
    for file in sorted((tmp_path / "shards").iterdir()):
        (as_path(bucket) / file.name).write_bytes(file.read_bytes())
    batches = []
    for index in (report.index, f"{bucket}/index.parquet"):
        manifest = read_manifest(index, ["shard"])
        source = BatchSource(
            manifest,
            FileSounds(manifest.folder, RATE),
            [],
            data=DataConfig(root=str(manifest.folder), sounds="files"),
            buckets=[BucketConfig(crop_s=1.0, batch_size=5)],
            augment=AugmentConfig(),
            seed=0,
        )
        with Loader(source, workers=4) as loader:
            batches.append(loader.draw(1))
    here, there = batches
    assert there.ids == here.ids
    np.testing.assert_array_equal(there.waveforms, here.waveforms)
    assert float(here.waveforms.abs().max()) > 0.1
