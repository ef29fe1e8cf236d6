"""The real program `dawnchorus store`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dawnchorus.cli.app import main
from dawnchorus.engine.embed import embed
from dawnchorus.models.eat import EAT
from dawnchorus.store.read import Store


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


def test_export_writes_what_was_asked_for_and_says_how_many(
    tmp_path: Path,
    tiny_encoder: EAT,
    write_sound: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_sound(tmp_path / "r" / "20240501T041500Z.wav", 1.5)
    write_sound(tmp_path / "r" / "20240501T050000-0400.wav", 1.5, seed=1)
    embed(tmp_path / "r", model=tiny_encoder, store=tmp_path / "s", predict=True)
    out = tmp_path / "dawn.csv"
    columns = ["--columns", "path,local_time", "--no-vectors", "--scores"]
    dawn = ["--time-of-day", "04:00-07:00", "--dates", "2024-05-01..2024-05-01"]
    assert main(["store", "export", str(tmp_path / "s"), "-o", str(out), *columns, *dawn]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}: 4 windows\n"
    assert "warning: offsets from UTC are mixed" in said.err
    lines = out.read_text().splitlines()
    assert lines[0].replace('"', "").split(",") == [
        "path",
        "local_time",
        *(tiny_encoder.labels or ()),
    ]
    zone = ["--time-zone", "-04:00"]
    out = tmp_path / "zone.csv"
    assert main(["store", "export", str(tmp_path / "s"), "-o", str(out), *dawn, *zone]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}: 2 windows\n"
    assert "warning" not in said.err
    assert "local time; UTC and clocks without a zone: -04:00" in said.err
    where = ["--where", "path=20240501T041500Z.wav", "--label", "wren", "--min-score", "0"]
    assert (
        main(["store", "export", str(tmp_path / "s"), "-o", str(tmp_path / "w.npz"), *where]) == 0
    )
    assert "2 windows" in capsys.readouterr().out
    assert main(["store", "export", str(tmp_path / "s"), "-o", str(out)]) == 1
    assert "exists already" in capsys.readouterr().err
    bad = ["--time-of-day", "dawn"]
    assert main(["store", "export", str(tmp_path / "s"), "-o", str(out), *bad]) == 2


def test_merge_makes_one_store_and_counts(
    store: Path,
    tmp_path: Path,
    tiny_encoder: EAT,
    write_sound: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    embed(
        write_sound(tmp_path / "b.wav", 2.5, seed=5), model=tiny_encoder, store=tmp_path / "y.store"
    )
    both = [str(store), str(tmp_path / "y.store")]
    assert main(["store", "merge", *both, "-o", str(tmp_path / "all.store")]) == 0
    assert "2 recordings with 5 windows merged, 0 were there already" in capsys.readouterr().out
    paths = Store(tmp_path / "all.store").recordings()["path"].to_pylist()
    assert paths == ["a.wav", "b.wav"]
    assert main(["store", "merge", str(store), "-o", str(tmp_path / "all.store"), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts == {"n_merged": 0, "n_duplicates": 1, "n_windows": 0}
    embed(tmp_path / "b.wav", model=tiny_encoder, store=tmp_path / "z.store", hop_s=0.5)
    assert (
        main(["store", "merge", str(tmp_path / "z.store"), "-o", str(tmp_path / "all.store")]) == 1
    )
    assert "hop_s" in capsys.readouterr().err
