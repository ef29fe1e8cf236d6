"""What is seen and heard is exactly the span, made by the functions that make it elsewhere."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dawnchorus.audio.decode.read import read_audio
from dawnchorus.audio.spectrogram import spectrogram_image
from dawnchorus.serve.picture_cache import PictureCache
from dawnchorus.serve.session import Session
from dawnchorus.serve.sounds import band_pass, wav
from served import RATE, Browser

PNG_END = b"IEND\xaeB`\x82"


def one(browser: Browser, path: str = "north/a.wav") -> str:
    items = browser.list(place="windows", k=100)["items"]
    return next(item["recording_id"] for item in items if item["path"] == path)


def heard(browser: Browser, query: str) -> tuple[np.ndarray, int]:
    answer = browser.get(f"/api/sound?recording={one(browser)}&{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "audio/wav"
    return soundfile.read(io.BytesIO(answer.content), dtype="int16")


@pytest.mark.parametrize(("start_s", "stop_s"), [(0, 1), (1.25, 1.75), (5.5, 6.0), (0, 6)])
def test_sound_is_the_span_bit_for_bit(
    browser: Browser, home: Path, start_s: float, stop_s: float
) -> None:
    samples, rate = heard(browser, f"start={start_s}&stop={stop_s}")
    whole, _ = soundfile.read(home / "recordings/north/a.wav", dtype="int16")
    assert rate == RATE
    np.testing.assert_array_equal(samples, whole[round(start_s * RATE) : round(stop_s * RATE)])


def test_slowed_down_it_has_the_same_samples_at_a_lower_rate(browser: Browser) -> None:
    usual, _ = heard(browser, "start=0&stop=2")
    slow, rate = heard(browser, "start=0&stop=2&slow=10")
    assert rate == RATE // 10
    np.testing.assert_array_equal(slow, usual)


def test_gain_makes_it_louder_and_clips_at_full_scale(browser: Browser) -> None:
    usual, _ = heard(browser, "start=0&stop=1")
    louder, _ = heard(browser, "start=0&stop=1&gain_db=6.0206")
    assert np.abs(louder - 2.0 * usual).max() <= 1.5
    loudest, _ = heard(browser, "start=0&stop=1&gain_db=60")
    assert (loudest.min(), loudest.max()) == (-32_768, 32_767)


def test_a_band_passes_what_is_in_it_alone(browser: Browser) -> None:
    """The sound is a tone of 1,000 Hz in noise."""
    usual, _ = heard(browser, "start=0&stop=2")
    kept, _ = heard(browser, "start=0&stop=2&low_hz=800&high_hz=1200")
    gone, _ = heard(browser, "start=0&stop=2&low_hz=2000")
    middle = slice(RATE // 4, -RATE // 4)
    level = lambda samples: np.sqrt(np.mean(samples[middle].astype(float) ** 2))  # noqa: E731
    assert level(kept) == pytest.approx(level(usual), rel=0.02)
    assert level(gone) < 0.1 * level(usual)


@settings(max_examples=20, deadline=None)
@given(st.integers(100, 3_900), st.integers(200, 9_000))
def test_a_tone_is_kept_or_lost_by_its_frequency(hz: int, n: int) -> None:
    samples = np.sin(2 * np.pi * hz * np.arange(n) / RATE).astype("f4")
    passed = band_pass(samples, RATE, 1_000.0, 2_000.0)
    assert passed.shape == samples.shape
    middle = slice(n // 4, 3 * n // 4)
    ratio = np.sqrt(np.mean(passed[middle] ** 2) / np.mean(samples[middle] ** 2))
    if n > 4_000 and 1_050 < hz < 1_950:
        assert ratio == pytest.approx(1, abs=0.05)
    if n > 4_000 and (hz < 800 or hz > 2_400):
        assert ratio < 0.05


def test_a_band_of_everything_changes_nothing() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 12_345).astype("f4")
    np.testing.assert_allclose(band_pass(samples, RATE, 0.0, RATE / 2), samples, atol=1e-6)


def test_wav_holds_what_it_is_given() -> None:
    samples = np.array([0.0, 0.5, -0.5, 2.0, -2.0, np.nan], np.float32)
    read, rate = soundfile.read(io.BytesIO(wav(samples, 22_050)), dtype="int16")
    assert rate == 22_050
    assert read.tolist() == [0, 16_384, -16_384, 32_767, -32_768, 0]


@pytest.mark.parametrize(
    "wrong", ["slow=0.001", "slow=1000", "gain_db=99", "low_hz=5&high_hz=5", "low_hz=-1",
              "slow=inf", "stop=x"],
)  # fmt: skip
def test_what_cannot_be_heard_is_refused_in_words(browser: Browser, wrong: str) -> None:
    answer = browser.get(f"/api/sound?recording={one(browser)}&start=0&stop=1&{wrong}")
    assert answer.status_code == 422
    assert len(answer.json()["error"]) > 10


def test_a_picture_is_that_of_the_one_function(browser: Browser, home: Path) -> None:
    answer = browser.get(
        f"/api/picture?recording={one(browser)}&start=1&stop=3&width=200&height=90"
    )
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-high-hz"] == f"{RATE // 2}"
    shown = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
    samples = read_audio(home / "recordings/north/a.wav", start_s=1, stop_s=3)
    np.testing.assert_array_equal(shown, spectrogram_image(samples, RATE, width=200, height=90))


def test_a_second_is_as_wide_at_the_end_as_anywhere(browser: Browser) -> None:
    """The recording ends after 6 s; the right half of this picture is behind its end."""
    answer = browser.get(
        f"/api/picture?recording={one(browser)}&start=5&stop=7&width=200&height=90"
    )
    shown = np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"))
    assert shown[:, :90].max() > 150
    assert shown[:, 110:].max() == shown.min()


def test_a_band_of_a_picture_is_named(browser: Browser) -> None:
    answer = browser.get(
        f"/api/picture?recording={one(browser)}&start=0&stop=1&low_hz=500&high_hz=2000&height=100"
    )
    assert answer.headers["x-high-hz"] == "2000"
    shown = np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"))[:, 20:-20]
    # the tone of 1,000 Hz is a third of the way up
    assert shown.argmax(axis=0) == pytest.approx(67, abs=3)


def test_what_was_seen_before_is_not_sent_again(browser: Browser) -> None:
    address = f"/api/picture?recording={one(browser)}&start=0&stop=1"
    first = browser.get(address)
    again = browser.get(address, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "max-age" in first.headers["cache-control"]
    other = browser.get(f"{address}&width=99", headers={"if-none-match": first.headers["etag"]})
    assert other.status_code == 200


def test_a_recording_that_is_gone_is_said_and_the_rest_works(browser: Browser) -> None:
    items = browser.list(place="windows", k=100)["items"]
    gone = next(item for item in items if "gone" in item["path"])
    assert gone["has_sound"] is False
    assert {item["has_sound"] for item in items if "gone" not in item["path"]} == {True}
    answer = browser.get(f"/api/picture?recording={gone['recording_id']}&start=0&stop=1")
    assert answer.status_code == 404
    assert "--audio-root" in answer.json()["error"]
    assert browser.get("/api/about").json()["stores"][0]["n_missing"] == 1


def test_a_damaged_recording_is_said_in_words(session: Session, home: Path) -> None:
    (home / "recordings/north/b.wav").write_bytes(b"RIFF and nothing more")
    browser = Browser(session).enter()
    answer = browser.get(f"/api/picture?recording={one(browser, 'north/b.wav')}&start=0&stop=1")
    assert answer.status_code == 422
    assert "b.wav" in answer.json()["error"]


def test_pictures_are_kept_on_disk_within_a_bound(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path, memory_bytes=100, disk_bytes=5_000)
    content = b"x" * 992 + PNG_END
    made: list[str] = []

    def make(key: str) -> bytes:
        return cache.get(key, lambda: made.append(key) or content)

    for number in range(20):
        assert make(f"{number:02x}aa") == content
        path = tmp_path / f"{number:02x}" / f"{number:02x}aa.png"
        os.utime(path, ns=(number, number))
    cache.sweep()
    kept = sorted(path.name for path in tmp_path.rglob("*.png"))
    assert kept == [f"{number:02x}aa.png" for number in range(15, 20)]
    assert make("13aa") == content
    assert len(made) == 20  # from disk
    make("00aa")
    assert len(made) == 21
    # one that a full disk cut short is made again
    (tmp_path / "11" / "11aa.png").write_bytes(content[:500])
    assert PictureCache(tmp_path).get("11aa", lambda: content) == content


def test_a_disk_that_refuses_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert PictureCache(tmp_path / "file").get("ab12", lambda: b"png") == b"png"
    assert PictureCache(None).get("ab12", lambda: b"png") == b"png"
