"""The examples of the manual page run as they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from doc_pages import DOCS, blocks_of

PAGE = DOCS / "how-to/probes.md"


def test_the_examples_on_probes_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    draw = torch.Generator().manual_seed(0)
    kind = np.arange(12) % 2
    time = torch.arange(8000) / 16_000
    hertz = torch.tensor([500.0, 4000.0])[kind][:, None] * (
        1 + 0.05 * torch.randn(12, 1, generator=draw)
    )
    names: dict[str, Any] = {
        "waveforms": 0.2 * torch.sin(2 * torch.pi * hertz * time),
        "labels": np.eye(2)[kind],
        "recordings": np.arange(12) // 2,
    }
    blocks = [block for block in blocks_of(PAGE) if block.language == "python"]
    assert len(blocks) == 3
    for number, (label, wave) in enumerate(zip(kind, names["waveforms"].numpy(), strict=True)):
        folder = tmp_path / "calls" / ("low", "high")[label]
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{number}.wav", wave, 16_000)
    (tmp_path / "recordings").mkdir()
    soundfile.write(tmp_path / "recordings/a.wav", names["waveforms"][:4].flatten(), 16_000)
    for block in blocks:
        exec(block.text, names)  # noqa: S102 - our own page
    assert set(names["table"]["label"].to_pylist()) == {"low", "high"}
    assert list(names["names"]) == [("low", "high")[k] for k in kind]
