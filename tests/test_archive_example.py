"""DESIGN's fourth example, as written there, on the model that ships with the package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import dawnchorus

MODEL = "dawnchorus_eat_tiny"


def test_an_archive_becomes_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_sound: Callable[..., Path]
) -> None:
    write_sound(tmp_path / "recordings" / "night1.wav", 25.0, 48_000, seed=1)
    write_sound(tmp_path / "recordings" / "site" / "night2.flac", 10.0, 32_000, seed=2)
    monkeypatch.chdir(tmp_path)

    from dawnchorus import Store, embed  # noqa: PLC0415 - the example, as written

    report = embed("recordings/", model="dawnchorus_eat_tiny", store="archive.store")
    vectors, windows = Store("archive.store").read()

    assert (report.n_found, report.n_done, report.n_windows) == (2, 2, 7)
    model = dawnchorus.load_model(MODEL, device="cpu")
    with torch.no_grad():
        own = model.embed(0.1 * torch.randn(1, 80_000))
    assert vectors.shape == (7, own.shape[1])
    assert vectors.dtype == np.float32
    assert windows["path"].to_pylist() == ["night1.wav"] * 5 + ["site/night2.flac"] * 2
    again = embed("recordings/", model="dawnchorus_eat_tiny", store="archive.store")
    assert (again.n_skipped, again.n_windows) == (2, 0)
