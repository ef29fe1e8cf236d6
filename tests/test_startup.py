"""Importing and asking for help stay light, and every public name is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dawnchorus

HEAVY = {"torch", "pyarrow", "pydantic", "huggingface_hub", "soundfile", "numpy", "sklearn"}


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after some code."""
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split("\n")[-2].split())


@pytest.mark.cli
@pytest.mark.parametrize(
    "code",
    ["import dawnchorus", "from dawnchorus.cli.app import main; main(['--help'])"],
    ids=["import", "help"],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    assert loaded_after(code) & HEAVY == set()
    assert "torch" in loaded_after("import dawnchorus; dawnchorus.load_model")


def test_every_public_name_is_there() -> None:
    for name in dawnchorus.__all__:
        assert getattr(dawnchorus, name) is not None, name
    with pytest.raises(AttributeError, match="nonsense"):
        _ = dawnchorus.nonsense
