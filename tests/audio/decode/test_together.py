"""Decoders of several threads: each recording gets its own errors and messages."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.audio.decode import messages
from dawnchorus.audio.decode.messages import decoder_messages
from dawnchorus.audio.decode.read import open_recording
from dawnchorus.audio.decode.together import Gate
from dawnchorus.errors import AudioError

LONG_S = 20.0


def told(path: Path) -> tuple[int, str | None]:
    """Samples and damage, or the error."""
    try:
        with open_recording(path) as recording:
            n_samples = sum(map(len, recording.blocks(10_000)))
            return n_samples, recording.damage
    except AudioError as error:
        return 0, f"{error.reason}: {error}"


def damaged_mp3s(folder: Path) -> list[Path]:
    """Every other one prints complaints while it is decoded."""
    paths = []
    for number in range(6):
        path = folder / f"{number}.mp3"
        noise = 0.1 * np.random.default_rng(number).standard_normal(200_000)
        soundfile.write(path, noise, 44_100, "MPEG_LAYER_III")
        if number % 2:
            content = bytearray(path.read_bytes())
            middle = len(content) // (number + 2)
            for at in range(middle, len(content) - 100, 3_000):
                content[at : at + 40] = bytes((number,)) * 40
            path.write_bytes(content)
        paths.append(path)
    return paths


def test_mp3s_decoded_at_once_have_their_own_complaints(tmp_path: Path) -> None:
    paths = damaged_mp3s(tmp_path)
    wanted = [told(path) for path in paths]
    assert [damage is None for _, damage in wanted] == [True, False] * 3
    with ThreadPoolExecutor(len(paths)) as pool:
        for _ in range(3):
            assert list(pool.map(told, paths)) == wanted


def test_files_that_cannot_be_opened_have_their_own_errors(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + bytes(40))
    (tmp_path / "b.wav").write_bytes(b"nothing that is known" * 100)
    (tmp_path / "c.flac").write_bytes(b"fLaC" + bytes(400))
    soundfile.write(tmp_path / "d.wav", np.zeros(100), 8_000)
    paths = sorted(tmp_path.iterdir()) * 5
    wanted = [told(path) for path in paths]
    assert len({text for _, text in wanted}) == 4
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(told, paths)) == wanted


@pytest.mark.skipif(not messages._can_be_set(), reason="the decoder prints to the terminal here")
def test_messages_of_one_of_two_listeners_make_both_unsure() -> None:
    with decoder_messages() as first:
        with decoder_messages() as second:
            pipe = messages._pipe
            assert pipe is not None
            messages.os.write(_writer(), b"Warning: something\n")
        assert second.messages == []
        assert not second.is_sure
        messages.os.write(_writer(), b"Warning: now alone\n")
    assert first.messages == ["now alone"]
    assert not first.is_sure
    with decoder_messages() as third:
        messages.os.write(_writer(), b"Warning: mine\n")
    assert (third.messages, third.is_sure) == (["mine"], True)


def _writer() -> int:
    """The end of the pipe that the decoder prints into."""
    pipe = messages._pipe
    assert pipe is not None
    number: int = messages.ctypes.CDLL(None).fileno(messages.ctypes.c_void_p(pipe.stream))
    return number


def test_who_is_alone_waits_for_the_others_and_lets_nobody_in() -> None:
    gate, seen = Gate(), []
    inside, leave, alone = threading.Event(), threading.Event(), threading.Event()

    def stays() -> None:
        with gate.together():
            inside.set()
            assert leave.wait(LONG_S)
            seen.append("left")

    def wants_to_be_alone() -> None:
        with gate.alone():
            seen.append("alone")
            alone.set()

    threads = [threading.Thread(target=stays), threading.Thread(target=wants_to_be_alone)]
    threads[0].start()
    assert inside.wait(LONG_S)
    threads[1].start()
    assert not alone.is_set()
    leave.set()
    assert alone.wait(LONG_S)
    with gate.together(), gate.together():
        seen.append("together")
    for thread in threads:
        thread.join(LONG_S)
    assert seen == ["left", "alone", "together"]
