"""Sound in memory is made fit for a model, or refused with the clip that is at fault."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.waveforms import as_lengths, as_waveforms

FLOATS = 0.1 * np.random.default_rng(0).standard_normal((2, 16_000)).astype(np.float32)
FULL = {"int8": 2**7, "int16": 2**15, "int32": 2**31}


def logits(encoder: EAT, sound: object, lengths: object = None) -> torch.Tensor:
    with torch.inference_mode():
        found = encoder.encode(sound, lengths).logits  # type: ignore[arg-type]  # as users call it
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["int16", "int32"])
@pytest.mark.parametrize("given", [np.asarray, torch.from_numpy])
def test_integers_give_what_their_floats_give(
    tiny_encoder: EAT, kind: str, given: Callable[[object], object]
) -> None:
    sound = given((FLOATS.astype(np.float64) * FULL[kind]).astype(kind))
    torch.testing.assert_close(
        logits(tiny_encoder, sound), logits(tiny_encoder, torch.from_numpy(FLOATS)),
        atol=5e-3, rtol=0,
    )  # fmt: skip


def test_full_scale_is_one_and_silence_is_zero_in_every_integer_type() -> None:
    for kind, full in FULL.items():
        scaled = as_waveforms(np.array([-full, 0, full // 2], dtype=kind))
        torch.testing.assert_close(scaled, torch.tensor([[-1.0, 0.0, 0.5]]))
    scaled = as_waveforms(torch.tensor([0, 128, 192], dtype=torch.uint8))
    torch.testing.assert_close(scaled, torch.tensor([[-1.0, 0.0, 0.5]]))


@pytest.mark.parametrize(
    "sound",
    [
        torch.from_numpy(FLOATS),
        torch.from_numpy(FLOATS).double(),
        FLOATS,
        FLOATS.astype(np.float64),
        FLOATS.astype(">f4"),
        FLOATS.tolist(),
        [FLOATS[0], FLOATS[1]],
        (torch.from_numpy(FLOATS[0]), FLOATS[1].astype(np.float64)),
        np.asfortranarray(FLOATS),
        FLOATS[:, ::-1][:, ::-1],
    ],
)
def test_tensors_arrays_and_lists_are_one(sound: object) -> None:
    torch.testing.assert_close(as_waveforms(sound).float(), torch.from_numpy(FLOATS))


def test_one_clip_needs_no_batch(tiny_encoder: EAT) -> None:
    one = torch.from_numpy(FLOATS[0])
    assert tiny_encoder(one).shape == (1, 5)
    torch.testing.assert_close(
        tiny_encoder.embed(one, 9_000), tiny_encoder.embed(one[None], [9_000])
    )


def test_an_array_that_cannot_be_written_is_read_without_a_warning() -> None:
    locked = FLOATS.copy()
    locked.flags.writeable = False
    assert as_waveforms(locked).shape == (2, 16_000)


@pytest.mark.parametrize(
    ("sound", "complaint"),
    [
        (torch.zeros(2, 1, 16_000), r"shape \(2, 1, 16000\); need \(batch, samples\)"),
        (np.zeros((16_000, 2), np.float32), r"like \(samples, channels\).*mean\(axis=1\)"),
        (torch.zeros(0, 16_000), "no sound in it"),
        (torch.zeros(2, 0), "no sound in it"),
        (np.zeros(16_000, np.int64), "int64 has no full scale"),
        (np.zeros(16_000, np.uint16), "uint16 has no full scale"),
        (torch.zeros(16_000, dtype=torch.int64), "int64 has no full scale"),
        (torch.zeros(16_000, dtype=torch.bool), "of type bool"),
        (np.zeros(16_000, bool), "of type bool"),
        (torch.zeros(16_000, dtype=torch.complex64), "of type complex64"),
        (torch.zeros(16_000, device="meta"), "dense tensor with values"),
        (torch.zeros(4, 400).to_sparse(), "dense tensor with values"),
        ([np.zeros(400), np.zeros(500)], "clips of 2 shapes.*lengths="),
        ([[0.0, 0.1], [0.2]], "different lengths"),
        ("dawn.wav", r"got str; recordings on disk go to dawnchorus\.embed\(\)"),
        (None, "got NoneType"),
        ({"raw_wav": FLOATS}, "got dict"),
    ],
)
def test_what_is_no_sound_is_refused_in_words(sound: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        as_waveforms(sound, what="tiny: waveforms")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_sample_that_is_not_a_number_is_refused_with_its_clip(
    tiny_encoder: EAT, bad: float
) -> None:
    sound = torch.from_numpy(FLOATS.copy())
    sound[1, 70:73] = bad
    for call in (tiny_encoder, tiny_encoder.embed, tiny_encoder.encode):
        with pytest.raises(UsageError, match=r"tiny: waveforms: clip 1 holds 3 .* sample 70"):
            call(sound)


@pytest.mark.parametrize(
    ("lengths", "complaint"),
    [
        ([9_000], r"shape \(1,\) for 2 clips"),
        ([9_000, 9_000, 9_000], r"shape \(3,\) for 2 clips"),
        ([[9_000, 9_000]], r"shape \(1, 2\) for 2 clips"),
        (9_000, r"shape \(1,\) for 2 clips"),
        ([9_000, 16_001], "clip 1 has a length of 16001 samples; need 1 to 16000"),
        ([0, 9_000], "clip 0 has a length of 0 samples"),
        ([-5, 9_000], "clip 0 has a length of -5 samples"),
        ([0.5, 1.0], "of type float32; need whole numbers of samples, not seconds"),
        (torch.tensor([True, False]), "of type bool"),
        ("all", "got str"),
    ],
)
def test_lengths_that_are_not_those_of_the_clips_are_refused(
    tiny_encoder: EAT, lengths: object, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        logits(tiny_encoder, FLOATS, lengths)


def test_lengths_may_be_a_list_an_array_or_a_tensor_of_any_whole_type(tiny_encoder: EAT) -> None:
    want = logits(tiny_encoder, FLOATS, torch.tensor([9_000, 16_000]))
    for lengths in ([9_000, 16_000], np.array([9_000, 16_000], np.int32), (9_000, 16_000)):
        torch.testing.assert_close(logits(tiny_encoder, FLOATS, lengths), want)
    assert as_lengths(None, torch.zeros(2, 5)) is None


def test_floats_that_were_never_scaled_give_a_warning() -> None:
    with pytest.warns(UserWarning, match="samples up to 9830, where full scale is 1"):
        as_waveforms(np.full(400, 9830.0))


def test_gradients_reach_the_waveform(tiny_encoder: EAT) -> None:
    sound = torch.from_numpy(FLOATS.copy()).requires_grad_()
    tiny_encoder(sound).sum().backward()
    assert sound.grad is not None
    assert bool(sound.grad.abs().sum() > 0)
