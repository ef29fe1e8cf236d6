"""The real program `dawnchorus store`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dawnchorus.cli.app import main
from dawnchorus.engine.embed import embed
from dawnchorus.models.eat import EAT


@pytest.fixture
def store(tmp_path: Path, tiny_encoder: EAT, write_sound: Callable[..., Path]) -> Path:
    """A store of two windows."""
    embed(write_sound(tmp_path / "a.wav", 1.5), model=tiny_encoder, store=tmp_path / "x.store")
    return tmp_path / "x.store"


def test_info_says_what_is_in_a_store(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "info", str(store), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["recordings"] == "1 done"
    assert facts["windows"] == 2
    assert facts["model"] == "tiny"
    assert main(["store", "info", str(store)]) == 0
    assert "soxr-HQ" in capsys.readouterr().out


def test_check_exits_with_1_and_names_the_damaged_part(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "check", str(store)]) == 0
    assert "1 recordings, 2 windows in 1 parts: all as written" in capsys.readouterr().out
    (part,) = (store / "embeddings").iterdir()
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    assert main(["store", "check", str(store)]) == 1
    output = capsys.readouterr().out
    assert part.name in output
    assert "a.wav" in output


def test_a_folder_that_is_no_store_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "check", str(tmp_path)]) == 1
    assert "not an embedding store" in capsys.readouterr().err
