"""The reading thread: whole recordings or a verdict, and an end whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import Queue

import numpy as np
import pytest
import soundfile
import torch

from dawnchorus.audio.windows import Window
from dawnchorus.engine.encoding.canary import Canary
from dawnchorus.engine.pipeline import read
from dawnchorus.engine.pipeline.events import (
    CutWindow,
    EncodedWindows,
    FailedRecording,
    FinishedRecording,
    ReadItem,
)
from dawnchorus.engine.pipeline.read import ReadSettings, StageClock, read_all, read_job
from dawnchorus.engine.pipeline.stream import run_windows
from dawnchorus.engine.recordings.jobs import RecordingJob, with_file_facts
from dawnchorus.error_log import log_errors_beside

WriteSound = Callable[..., Path]
SETTINGS = ReadSettings(sample_rate=16_000, window=16_000, hop=16_000)


def job(path: Path, **more: object) -> RecordingJob:
    plain = RecordingJob(
        recording_id=path.name, path=path, name=path.name, size=None, modified_ns=None
    )
    return with_file_facts(replace(plain, **more))


def plain(waveforms: torch.Tensor, _lengths: torch.Tensor) -> np.ndarray:
    return waveforms[:, :3].numpy().copy()


def items(path: Path, **more: object) -> list[ReadItem]:
    return list(read_job(job(path, **more), SETTINGS, threading.Event(), StageClock()))


def test_a_recording_ends_with_its_true_length(tmp_path: Path, write_sound: WriteSound) -> None:
    *cuts, end = items(write_sound(tmp_path / "a.wav", 2.5, 44_100, 2))
    assert [cut.window.index for cut in cuts if isinstance(cut, CutWindow)] == [0, 1, 2]
    assert isinstance(end, FinishedRecording)
    assert (end.n_samples, end.n_windows) == (110_250, 3)
    assert end.recording.channels == 2


def test_windows_that_are_there_already_are_not_sent_again(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    path = write_sound(tmp_path / "a.wav", 4.0)
    rest = items(path, first_window=2)
    whole = items(path)
    assert [i.window.index for i in rest if isinstance(i, CutWindow)] == [2, 3]
    assert isinstance(rest[0], CutWindow)
    assert isinstance(whole[2], CutWindow)
    np.testing.assert_array_equal(rest[0].window.samples, whole[2].window.samples)
    assert isinstance(rest[-1], FinishedRecording)
    assert rest[-1].n_windows == 4


def test_a_recording_that_changes_while_it_is_read_is_not_taken_for_whole(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    path = write_sound(tmp_path / "a.wav", 2.0)
    stream = read_job(job(path), SETTINGS, threading.Event(), StageClock())
    assert isinstance(next(stream), CutWindow)
    with path.open("ab") as file:
        file.write(b"more")
    *_, last = stream
    assert isinstance(last, FailedRecording)
    assert last.reason == "changed"


def test_the_thread_ends_when_it_is_told_to_although_nobody_takes_its_items(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    queue: Queue[ReadItem | None] = Queue(maxsize=1)
    stop = threading.Event()
    jobs = [job(write_sound(tmp_path / "a.wav", 5.0))]
    thread = threading.Thread(target=read_all, args=(jobs, SETTINGS, queue, stop, StageClock()))
    thread.start()
    queue.get()
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_an_error_that_nobody_foresaw_is_one_recording_s_failure_with_its_traceback_kept(
    tmp_path: Path, write_sound: WriteSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = read.cut_blocks

    def fault(blocks: Iterable[np.ndarray], window: int, hop: int) -> Iterator[Window]:
        first, *rest = list(blocks)
        if len(first) == 16_001:
            raise ZeroDivisionError("seventeen")
        return cut([first, *rest], window, hop)

    monkeypatch.setattr(read, "cut_blocks", fault)
    for name, seconds in (("a", 1.0), ("b", 16_001 / 16_000), ("c", 1.0)):
        write_sound(tmp_path / f"{name}.wav", seconds)
    with log_errors_beside(tmp_path / "out.store"):
        jobs = [job(path) for path in sorted(tmp_path.glob("*.wav"))]
        events = list(run_windows(jobs, SETTINGS, plain, batch_size=2, clock=StageClock()))
    assert [type(e) for e in events if not isinstance(e, EncodedWindows)] == [
        FinishedRecording,
        FailedRecording,
        FinishedRecording,
    ]
    (failed,) = [event for event in events if isinstance(event, FailedRecording)]
    assert failed.reason == "internal"
    log = tmp_path / "out.store.faults.log"
    assert "b.wav" in failed.message
    assert "ZeroDivisionError: seventeen" in failed.message
    assert str(log) in failed.message
    assert "Traceback" in log.read_text()
    assert "in fault" in log.read_text()


def test_a_recording_that_an_encoder_cannot_take_fails_alone(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    paths = [write_sound(tmp_path / f"{i}.wav", 1.5, seed=i) for i in range(4)]
    soundfile.write(paths[2], np.ones(8_000), 16_000)

    def encode(waveforms: torch.Tensor, lengths: torch.Tensor) -> np.ndarray:
        if waveforms.abs().max() > 0.9:
            raise IndexError("too loud for me")
        return plain(waveforms, lengths)

    with log_errors_beside(tmp_path / "o"):
        jobs = [job(path) for path in paths]
        events = list(run_windows(jobs, SETTINGS, encode, batch_size=7, clock=StageClock()))
    ends = [(e.job.name, e.n_windows) for e in events if isinstance(e, FinishedRecording)]
    assert ends == [("0.wav", 2), ("1.wav", 2), ("3.wav", 2)]
    assert [e.job.name for e in events if isinstance(e, FailedRecording)] == ["2.wav"]


def test_an_encoder_that_can_take_no_recording_ends_the_run(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    def encode(_waveforms: torch.Tensor, _lengths: torch.Tensor) -> np.ndarray:
        raise RuntimeError("no kernel")

    jobs = [job(write_sound(tmp_path / f"{i}.wav", 1.0, seed=i)) for i in range(2)]
    with log_errors_beside(tmp_path / "o"), pytest.raises(RuntimeError, match="no kernel"):
        list(run_windows(jobs, SETTINGS, encode, batch_size=2, clock=StageClock()))


def test_windows_that_give_no_numbers_fail_their_recording_and_no_other(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    paths = [write_sound(tmp_path / f"{i}.wav", 3.0, seed=i) for i in range(3)]
    loud = 1e6 * soundfile.read(paths[1])[0]
    loud[:32_000] = 0.1  # its first windows are encoded before anything is noticed
    soundfile.write(paths[1], loud, 16_000, subtype="FLOAT")
    canary = Canary("m")

    def encode(waveforms: torch.Tensor, lengths: torch.Tensor) -> np.ndarray:
        values = plain(waveforms, lengths)
        values[(waveforms.abs() > 100).any(dim=1).numpy()] = np.nan
        canary.check(waveforms, values)
        return values

    jobs = [job(path) for path in paths]
    events = list(run_windows(jobs, SETTINGS, encode, batch_size=4, clock=StageClock()))
    ends = [e.job.name for e in events if isinstance(e, FinishedRecording)]
    assert ends == ["0.wav", "2.wav"]
    (failed,) = [event for event in events if isinstance(event, FailedRecording)]
    assert (failed.job.name, failed.reason) == ("1.wav", "not-encoded")
    assert "window 2" in failed.message
    encoded = [(e.job.name, *e.window.tolist()) for e in events if isinstance(e, EncodedWindows)]
    assert ("0.wav", 0, 1, 2) in encoded
    assert encoded[-1] in {("2.wav", 0, 1, 2), ("2.wav", 1, 2), ("2.wav", 2)}


def test_batches_are_filled_across_recordings(tmp_path: Path, write_sound: WriteSound) -> None:
    jobs = [job(write_sound(tmp_path / f"{i}.wav", 1.5, seed=i)) for i in range(5)]
    sizes: list[int] = []

    def encode(waveforms: torch.Tensor, _lengths: torch.Tensor) -> np.ndarray:
        sizes.append(len(waveforms))
        return waveforms[:, :3].numpy()

    events = list(run_windows(jobs, SETTINGS, encode, batch_size=4, clock=StageClock()))
    assert sizes == [4, 4, 2]
    ends = [event.job.name for event in events if isinstance(event, FinishedRecording)]
    assert ends == [f"{i}.wav" for i in range(5)]
    windows = [(e.job.name, *e.window.tolist()) for e in events if isinstance(e, EncodedWindows)]
    assert windows == [(f"{i}.wav", 0, 1) for i in range(5)]


def test_seconds_of_the_stages_do_not_overlap(tmp_path: Path, write_sound: WriteSound) -> None:
    clock = StageClock()
    path = write_sound(tmp_path / "a.flac", 20.0, 44_100)
    list(read_job(job(path), SETTINGS, threading.Event(), clock))
    assert clock.seconds["read"] > 0
    assert clock.seconds["resample"] > 0
