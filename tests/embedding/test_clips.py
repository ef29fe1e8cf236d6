"""A clip that cannot be embedded is listed; the fit goes on with the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch

from dawnchorus.clips.manifest import MANIFEST_SCHEMA, Manifest
from dawnchorus.embedding.encode import PieceEncoder, vectors_or_nan
from dawnchorus.embedding.features import clip_features
from dawnchorus.embedding.pieces import PieceRule
from dawnchorus.engine.encoding.batches import BatchEncoder
from dawnchorus.models.eat import EAT

WriteSound = Callable[..., Path]


def clips_of(folder: Path, names: list[str]) -> Manifest:
    """A manifest of whole files."""
    rows = [{"id": name, "path": name, "labels": [], "kind": "sound"} for name in names]
    return Manifest(pa.Table.from_pylist(rows, MANIFEST_SCHEMA), folder, named="clips")


@pytest.mark.parametrize("loud_first", [True, False], ids=["first", "last"])
def test_clips_that_cannot_be_embedded_are_listed_and_the_others_are(
    tmp_path: Path,
    write_sound: WriteSound,
    tiny_encoder: EAT,
    monkeypatch: pytest.MonkeyPatch,
    *,
    loud_first: bool,
) -> None:
    for name in "abc":
        write_sound(tmp_path / f"{name}.wav", 1.0)
    loud = 1e6 * np.random.default_rng(0).standard_normal(16_000)
    soundfile.write(tmp_path / "loud.wav", loud, 16_000, subtype="FLOAT")
    os.mkfifo(tmp_path / "pipe.wav")
    names = ["a.wav", "b.wav", "pipe.wav", "c.wav"]
    names.insert(0 if loud_first else 4, "loud.wav")
    run = BatchEncoder._encode

    def overflowing(
        self: BatchEncoder, model: EAT, waveforms: torch.Tensor, *rest: object
    ) -> torch.Tensor:
        values = run(self, model, waveforms, *rest)
        values[waveforms.abs().amax(dim=1) > 100] = torch.nan
        return values

    monkeypatch.setattr(BatchEncoder, "_encode", overflowing)
    ready = PieceEncoder(
        name="tiny",
        encode=vectors_or_nan(BatchEncoder(tiny_encoder).vectors, tiny_encoder.dim),
        rule=PieceRule.of(tiny_encoder),
        most_samples=8 * 16_000,
    )
    found = clip_features(clips_of(tmp_path, names), ready, {}, cache=None)
    assert {failure.path: failure.reason for failure in found.failures} == {
        "loud.wav": "not-encoded",
        "pipe.wav": "missing",
    }
    assert sorted(set(found.clip.tolist())) == sorted(names.index(f"{name}.wav") for name in "abc")
    assert np.isfinite(found.vectors).all()
