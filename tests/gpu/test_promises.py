"""What a GPU has to give, wherever there is one: `python -m pytest -m gpu tests/gpu`.

``DAWNCHORUS_GPU_TESTS=cpu`` runs the same promises on the CPU, to see that they can be run.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from gpu_promises import PROMISES, Promise

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def device() -> torch.device:
    wanted = os.environ.get("DAWNCHORUS_GPU_TESTS", "cuda")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    return torch.device(wanted)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_a_gpu_gives(promise: Promise, device: torch.device, tmp_path: Path) -> None:
    figures = promise(device, tmp_path)
    assert figures
    assert all(value == value for value in figures.values())
