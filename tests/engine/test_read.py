"""The reading thread: whole recordings or a verdict, and an end whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from queue import Queue

import numpy as np
import pytest
import torch

from dawnchorus.engine import read
from dawnchorus.engine.pipeline import Encoded, run_windows
from dawnchorus.engine.read import (
    Broken,
    Cut,
    Ended,
    Item,
    Job,
    ReadClock,
    ReadSettings,
    read_all,
    read_job,
    stat_job,
)

WriteSound = Callable[..., Path]
SETTINGS = ReadSettings(sample_rate=16_000, window=16_000, hop=16_000)


def job(path: Path, **more: object) -> Job:
    plain = Job(recording_id=path.name, path=path, name=path.name, size=None, modified_ns=None)
    return stat_job(read.replace(plain, **more))


def items(path: Path, **more: object) -> list[Item]:
    return list(read_job(job(path, **more), SETTINGS, threading.Event(), ReadClock()))


def test_a_recording_ends_with_its_true_length(tmp_path: Path, write_sound: WriteSound) -> None:
    *cuts, end = items(write_sound(tmp_path / "a.wav", 2.5, 44_100, 2))
    assert [cut.window.index for cut in cuts if isinstance(cut, Cut)] == [0, 1, 2]
    assert isinstance(end, Ended)
    assert (end.n_samples, end.n_windows) == (110_250, 3)
    assert end.source.channels == 2


def test_windows_that_are_there_already_are_not_sent_again(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    path = write_sound(tmp_path / "a.wav", 4.0)
    rest = items(path, first_window=2)
    whole = items(path)
    assert [i.window.index for i in rest if isinstance(i, Cut)] == [2, 3]
    assert isinstance(rest[0], Cut)
    assert isinstance(whole[2], Cut)
    np.testing.assert_array_equal(rest[0].window.samples, whole[2].window.samples)
    assert isinstance(rest[-1], Ended)
    assert rest[-1].n_windows == 4


def test_a_recording_that_changes_while_it_is_read_is_not_taken_for_whole(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    path = write_sound(tmp_path / "a.wav", 2.0)
    stream = read_job(job(path), SETTINGS, threading.Event(), ReadClock())
    assert isinstance(next(stream), Cut)
    with path.open("ab") as file:
        file.write(b"more")
    *_, last = stream
    assert isinstance(last, Broken)
    assert last.reason == "changed"


def test_the_thread_ends_when_it_is_told_to_although_nobody_takes_its_items(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    queue: Queue[Item | None] = Queue(maxsize=1)
    stop = threading.Event()
    jobs = [job(write_sound(tmp_path / "a.wav", 5.0))]
    thread = threading.Thread(target=read_all, args=(jobs, SETTINGS, queue, stop, ReadClock()))
    thread.start()
    queue.get()
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_a_fault_of_ours_in_the_thread_is_not_a_bad_recording(
    tmp_path: Path, write_sound: WriteSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(read, "cut_blocks", fault)
    events = run_windows(
        [job(write_sound(tmp_path / "a.wav", 1.0))],
        SETTINGS,
        lambda waveforms, _lengths: waveforms.numpy(),
        batch_size=2,
        clock=ReadClock(),
    )
    with pytest.raises(ZeroDivisionError):
        list(events)


def test_batches_are_filled_across_recordings(tmp_path: Path, write_sound: WriteSound) -> None:
    jobs = [job(write_sound(tmp_path / f"{i}.wav", 1.5, seed=i)) for i in range(5)]
    sizes: list[int] = []

    def encode(waveforms: torch.Tensor, _lengths: torch.Tensor) -> np.ndarray:
        sizes.append(len(waveforms))
        return waveforms[:, :3].numpy()

    events = list(run_windows(jobs, SETTINGS, encode, batch_size=4, clock=ReadClock()))
    assert sizes == [4, 4, 2]
    ends = [event.source.job.name for event in events if isinstance(event, Ended)]
    assert ends == [f"{i}.wav" for i in range(5)]
    windows = [(e.source.job.name, *e.window.tolist()) for e in events if isinstance(e, Encoded)]
    assert windows == [(f"{i}.wav", 0, 1) for i in range(5)]


def test_seconds_of_the_stages_do_not_overlap(tmp_path: Path, write_sound: WriteSound) -> None:
    clock = ReadClock()
    path = write_sound(tmp_path / "a.flac", 20.0, 44_100)
    list(read_job(job(path), SETTINGS, threading.Event(), clock))
    assert clock.seconds["read"] > 0
    assert clock.seconds["resample"] > 0
