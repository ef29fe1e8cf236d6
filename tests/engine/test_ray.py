"""A local cluster of two processes makes the store of one run, also when a worker is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.cli.app import main
from dawnchorus.engine import spans
from dawnchorus.engine.embed import embed
from dawnchorus.engine.ray import embed_on_ray
from dawnchorus.errors import StoreError, UsageError
from dawnchorus.store.read import Store

ray = pytest.importorskip("ray")
WriteSound = Callable[..., Path]
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]  # Ray has its own


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two workers of one core each."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def folder(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Twelve recordings of half a minute, and a bad one."""
    for index in range(12):
        write_sound(tmp_path / "in" / f"{index}.wav", 30.0, seed=index)
    (tmp_path / "in" / "bad.wav").write_text("not sound")
    return tmp_path / "in"


def assert_same(one: Path, other: Path) -> None:
    (vectors, table), (wanted, wanted_table) = Store(one).read(), Store(other).read()
    assert table.to_pydict() == wanted_table.to_pydict()
    np.testing.assert_allclose(vectors, wanted, atol=2e-3)  # float16, other batches
    assert Store(one).check().damages == ()


@pytest.mark.usefixtures("cluster")
def test_a_cluster_makes_the_store_of_one_machine(
    folder: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    embed(folder, model=tiny_folder, store=tmp_path / "whole", device="cpu")
    report = embed_on_ray(folder, model=tiny_folder, store=tmp_path / "s", device="cpu")
    assert (report.n_found, report.n_done, report.n_failed) == (13, 12, 1)
    assert report.n_windows == 360
    assert_same(tmp_path / "s", tmp_path / "whole")
    again = embed_on_ray(folder, model=tiny_folder, store=tmp_path / "s", device="cpu")
    assert (again.n_done, again.n_skipped, again.n_failed) == (0, 12, 1)


@pytest.mark.usefixtures("cluster")
def test_the_command_line_embeds_on_a_cluster(
    folder: Path, tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["embed", str(folder), "-o", str(tmp_path / "s"), "-m", str(tiny_folder), "-q"]
    assert main([*command, "--device", "cpu", "--engine", "ray"]) == 3  # one of them is bad
    assert "bad.wav" in capsys.readouterr().err
    embed(folder, model=tiny_folder, store=tmp_path / "whole", device="cpu")
    assert_same(tmp_path / "s", tmp_path / "whole")
    assert main([*command, "--engine", "rya"]) == 2
    assert "rya" in capsys.readouterr().err


@pytest.mark.usefixtures("cluster")
def test_a_worker_killed_in_the_middle_loses_nothing(
    folder: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    embed(folder, model=tiny_folder, store=tmp_path / "whole", device="cpu")
    killed: list[int] = []

    def kill() -> None:
        """Kill a worker that is embedding, as soon as the first commit is there."""
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            if list((tmp_path / "s" / "recordings").glob("part-*")):
                killed.extend(embedding()[:1])
                for number in killed:
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.005)

    killer = threading.Thread(target=kill)
    killer.start()
    report = embed_on_ray(folder, model=tiny_folder, store=tmp_path / "s", device="cpu")
    killer.join()
    assert len(killed) == 1
    assert report.n_found == report.n_done + report.n_skipped + report.n_failed == 13
    assert_same(tmp_path / "s", tmp_path / "whole")


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("killing", [False, True])
def test_a_long_recording_is_shared_by_the_workers_and_is_the_same(
    folder: Path,
    tmp_path: Path,
    tiny_folder: Path,
    write_sound: WriteSound,
    monkeypatch: pytest.MonkeyPatch,
    *,
    killing: bool,
) -> None:
    write_sound(folder / "night.wav", 200.0, 22_050, seed=3)
    embed(folder, model=tiny_folder, store=tmp_path / "whole", device="cpu", window_s=0.5)
    monkeypatch.setattr(spans, "LONG_BYTES", 5_000_000)
    monkeypatch.setattr(spans, "SPAN_S", 20.0)
    joined: list[int] = []
    join = spans.SpanJoiner.join
    monkeypatch.setattr(
        spans.SpanJoiner,
        "join",
        lambda self, span: (joined.append(span.n_windows), join(self, span)),
    )
    killed: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            for number in embedding(b"ray::_embed_span")[:1]:
                os.kill(number, signal.SIGKILL)
                killed.append(number)
            time.sleep(0.005)

    if killing:
        killer = threading.Thread(target=kill)
        killer.start()
    report = embed_on_ray(
        folder, model=tiny_folder, store=tmp_path / "s", device="cpu", window_s=0.5
    )
    if killing:
        killer.join()
        assert len(killed) == 1
    assert joined == [100, 100, 100, 100]
    assert (report.n_found, report.n_done, report.n_failed) == (14, 13, 1)
    assert report.n_windows == 720 + 400
    assert_same(tmp_path / "s", tmp_path / "whole")
    again = embed_on_ray(
        folder, model=tiny_folder, store=tmp_path / "s", device="cpu", window_s=0.5
    )
    assert (again.n_found, again.n_skipped, again.n_failed) == (14, 13, 1)


def embedding(name: bytes = b"ray::_embed_share") -> list[int]:
    """Processes of Ray that are at work."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
        except OSError:
            continue
        if command.startswith(name):
            found.append(int(entry.name))
    return found


@pytest.mark.usefixtures("cluster")
def test_an_error_of_a_share_is_the_error_of_the_run(
    folder: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    embed(folder / "1.wav", model=tiny_folder, store=tmp_path / "s", device="cpu", window_s=0.5)
    with pytest.raises(StoreError, match=r"window_s: 0\.5 in the store, 1\.0 asked for"):
        embed_on_ray(folder, model=tiny_folder, store=tmp_path / "s", device="cpu")


def test_shards_are_not_for_ray(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="makes shares itself"):
        embed_on_ray(folder, store=tmp_path / "s", shard=(0, 2))
