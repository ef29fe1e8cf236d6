"""Batches on several devices, and on lanes that wait once: what comes out is what one would give.

There need be no GPU: a device is whatever torch computes on, so two of them are the CPU twice, and
CUDA's streams and events are stand-ins that write down what is asked of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dawnchorus import Store
from dawnchorus.engine.embed import embed
from dawnchorus.engine.encoding import lanes
from dawnchorus.engine.encoding.batches import BatchEncoder
from dawnchorus.engine.encoding.device_batch import HOST_BYTES, MOST, device_batch
from dawnchorus.engine.encoding.lanes import CudaLane, Lane, open_lanes, several_devices
from dawnchorus.engine.predict import predict
from dawnchorus.errors import DeviceError, UsageError, WeightsError
from dawnchorus.models.eat import EAT, EATConfig

CPU = torch.device("cpu")
TWICE = [CPU, CPU]
BASE = EATConfig.of_size("base")


def sounds(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(count, 16_000, generator=generator), torch.full((count,), 16_000)


def test_the_first_batches_go_to_different_devices(tiny_encoder: EAT) -> None:
    first, second, third, fourth = open_lanes(tiny_encoder, 2, TWICE)
    assert first.model is tiny_encoder

    def memory(lane: Lane) -> int:
        assert isinstance(lane.model, EAT)
        return lane.model.cls_token.data_ptr()

    assert memory(first) == memory(third) != memory(second) == memory(fourth)
    assert isinstance(second.model, EAT)
    assert not second.model.cls_token.requires_grad
    assert tiny_encoder.cls_token.requires_grad  # of the one that was lent nothing changes


def test_any_number_of_devices_gives_what_one_gives(tiny_encoder: EAT) -> None:
    one = BatchEncoder(tiny_encoder)
    several = BatchEncoder(tiny_encoder, n_workers=2, devices=TWICE)
    assert (several.n_workers, several.n_devices, several.device) == (4, 2, "cpu, cpu")
    batches = [sounds(3, seed) for seed in range(9)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: several.vectors(*batch), batches))
    for batch, vectors in zip(batches, found, strict=True):
        np.testing.assert_array_equal(vectors, one.vectors(*batch))


def test_two_batches_are_computed_at_once_on_two_devices(tiny_encoder: EAT) -> None:
    both = threading.Barrier(2, timeout=20)
    batches = BatchEncoder(tiny_encoder, devices=TWICE)

    def pool(out: Any) -> Tensor:
        both.wait()  # breaks, if the second batch only begins when the first is done
        mean: Tensor = out.pool("mean")
        return mean

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda n: batches.pooled_by(*sounds(2, n), pool), range(2)))
    assert not np.array_equal(*found)


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU stands in for two GPUs; what is copied there gets memory of its own."""
    monkeypatch.setattr(lanes, "EVERY_GPU", "cpu:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(lanes, "_gpus", lambda: TWICE)


@pytest.mark.usefixtures("two_devices")
def test_embed_and_predict_on_every_device_give_the_same_files(
    tmp_path: Path, tiny_folder: Path, write_sound: Callable[..., Path]
) -> None:
    for number, seconds in enumerate((3.0, 0.4, 5.5, 2.0)):
        write_sound(tmp_path / "sounds" / f"{number}.wav", seconds, seed=number)
    results = {}
    for device in ("cpu", "cpu:0"):
        store = tmp_path / f"{device.replace(':', '-')}.store"
        report = embed(
            tmp_path / "sounds", model=tiny_folder, store=store, device=device, batch_size=2
        )
        vectors, windows = Store(store).read()
        kept = windows.drop_columns([c for c in windows.column_names if "part" in c])
        table = tmp_path / f"{report.n_workers}.csv"
        predict(tmp_path / "sounds", model=tiny_folder, output=table, device=device, batch_size=2)
        results[device] = vectors, kept, table.read_bytes(), report.device
    for ours, theirs in zip(*results.values(), strict=True):
        if isinstance(ours, np.ndarray):
            np.testing.assert_array_equal(ours, theirs)
    assert results["cpu"][1].equals(results["cpu:0"][1])
    assert results["cpu"][2] == results["cpu:0"][2]
    assert [one[3] for one in results.values()] == ["cpu", "cpu, cpu"]


def test_every_gpu_needs_one(
    tmp_path: Path, tiny_folder: Path, write_sound: Callable[..., Path]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device, and the message is for those without")
    assert several_devices("cpu") == several_devices("cuda") == []
    with pytest.raises(DeviceError, match=r"'cuda:all' was asked for, and torch sees no CUDA"):
        several_devices("cuda:all")
    with pytest.raises(DeviceError, match="cuda:all"):
        embed(
            write_sound(tmp_path / "a.wav", 1.0),
            model=tiny_folder,
            store=tmp_path / "s",
            device="cuda:all",
        )
    assert not (tmp_path / "s").exists()


class Foreign:
    """An encoder of another package, of which nothing is known."""

    name = "foreign"
    dim = 3


def test_an_encoder_that_may_not_bear_it_is_not_copied() -> None:
    foreign: Any = Foreign()
    (lane,) = open_lanes(foreign, 1)
    assert lane.model is foreign
    sound, _ = sounds(1)
    assert lane.send(sound) is sound  # it takes sound as it lies in memory
    with pytest.raises(UsageError, match=r"foreign: .* name one device, such as cuda:0"):
        open_lanes(foreign, 1, TWICE)


def test_a_device_that_computes_nonsense_is_found_before_any_recording(
    tiny_encoder: EAT, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(model: EAT, _device: torch.device) -> EAT:
        copy = EAT(model.config, name="broken", labels=model.labels).eval()
        torch.nn.init.zeros_(copy.patch_embed.proj.weight)
        return copy

    monkeypatch.setattr(lanes, "_copied_to", broken)
    batches = BatchEncoder(tiny_encoder, n_workers=2, devices=TWICE)
    with pytest.raises(WeightsError, match="gave the same output"):
        batches.check(16_000)


class Small(EAT):
    """A model whose device holds so many windows."""

    holds = 4
    both: threading.Barrier

    def features(self, waveforms: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Refuse more than that, as soon as two batches are there."""
        if len(waveforms) > self.holds:
            self.both.wait()
            raise torch.OutOfMemoryError("tried to allocate 2 GiB")
        return super().features(waveforms, lengths)


def test_lanes_that_run_out_of_memory_together_halve_once(tiny_encoder: EAT) -> None:
    model = Small(tiny_encoder.config, name="small", labels=tiny_encoder.labels).eval()
    model.load_state_dict(tiny_encoder.state_dict())
    small, large = BatchEncoder(model, n_workers=2), BatchEncoder(tiny_encoder)
    Small.both = threading.Barrier(2, timeout=20)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda seed: small.vectors(*sounds(8, seed)), range(2)))
    assert small.notes == ["out of memory with 8 windows at once: continued with 4"]
    for seed, vectors in enumerate(found):
        np.testing.assert_allclose(vectors, large.vectors(*sounds(8, seed)), atol=1e-5)


class FakeCuda:
    """Writes down in which order a lane uses CUDA."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def install(self, patch: pytest.MonkeyPatch) -> None:
        calls = self.calls

        class Stream:
            def __init__(self, device: torch.device) -> None:
                self.device = device

            def synchronize(self) -> None:
                calls.append("wait for the stream")

        class Event:
            def __init__(self, *, blocking: bool) -> None:
                assert blocking  # a thread that spins takes a core from the readers

            def record(self, stream: Stream) -> None:
                assert isinstance(stream, Stream)
                calls.append("mark")

            def synchronize(self) -> None:
                calls.append("wait")

        @contextmanager
        def entered(what: Any) -> Iterator[None]:
            calls.append(f"enter {type(what).__name__}")
            yield
            calls.append(f"leave {type(what).__name__}")

        for name, value in {
            "Stream": Stream, "Event": Event, "device": entered, "stream": entered,
            "empty_cache": lambda: calls.append("empty"),
        }.items():  # fmt: skip
            patch.setattr(torch.cuda, name, value)


def test_a_lane_of_cuda_waits_once_a_batch_and_last(
    tiny_encoder: EAT, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = FakeCuda()
    cuda.install(monkeypatch)
    monkeypatch.setattr(lanes, "_lane", CudaLane)
    batches, plain = BatchEncoder(tiny_encoder), BatchEncoder(tiny_encoder, n_workers=1)
    first, second = sounds(3, 1), sounds(2, 2)
    vectors = batches.vectors(*first)
    assert cuda.calls == [
        "enter device", "enter Stream", "mark", "wait", "leave Stream", "leave device",
    ]  # fmt: skip
    before = vectors.copy()
    np.testing.assert_array_equal(batches.vectors(*second), plain.vectors(*second))
    np.testing.assert_array_equal(vectors, before)  # the next batch uses the same memory
    np.testing.assert_array_equal(vectors, plain.vectors(*first))


def test_a_lane_of_cuda_keeps_its_memory_and_lets_go_when_there_is_too_little(
    tiny_encoder: EAT, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = FakeCuda()
    cuda.install(monkeypatch)
    lane = CudaLane(tiny_encoder, CPU)
    large, _ = sounds(4)
    lane.send(large)
    memory = lane._to._memory
    torch.testing.assert_close(lane.send(large[:2, :800].clone()), large[:2, :800])
    assert lane._to._memory is memory
    torch.testing.assert_close(lane.send(torch.cat([large, large])), torch.cat([large, large]))
    lane.free()
    assert cuda.calls == ["wait for the stream", "empty"]


@given(free=st.integers(10**6, 2 * 10**11), window_s=st.floats(0.5, 60), lanes_=st.integers(1, 4))
def test_a_batch_of_a_device_is_a_power_of_two_that_fits(
    free: int, window_s: float, lanes_: int
) -> None:
    with torch.device("meta"):
        model = EAT(BASE)
    window = round(16_000 * window_s)
    size = device_batch(model, window, free=free, n_lanes=lanes_)
    assert size == 2 ** (size.bit_length() - 1)
    assert 1 <= size <= MOST
    assert size == 1 or 4 * window * size <= HOST_BYTES
    twice = device_batch(model, window, free=2 * free, n_lanes=lanes_)
    assert size <= twice <= 2 * size
    # what one window needs is at least its input and the hidden layer of one MLP
    least = 4 * window + 4 * 4 * 768 * 8 * (window // 2560)
    assert size == 1 or size * lanes_ * least <= free


def test_a_large_gpu_is_filled_and_a_small_one_is_not_overfilled() -> None:
    with torch.device("meta"):
        model = EAT(BASE)
    sizes = [device_batch(model, 160_000, free=gb * 10**9, n_lanes=2) for gb in (130, 8, 4, 1)]
    assert sizes == [64, 32, 16, 4]
    half = model.to(torch.bfloat16)
    assert device_batch(half, 160_000, free=8 * 10**9, n_lanes=2) == 64
