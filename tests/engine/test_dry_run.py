"""A dry run says what the real run then does, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dawnchorus.engine.dry_run import embed_dry_run, predict_dry_run
from dawnchorus.engine.embed import embed
from dawnchorus.engine.predict import predict
from dawnchorus.errors import StoreError, UsageError
from dawnchorus.models.eat import EAT

WriteSound = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Sound of 12.4 s, 2 s, 1.7 s, and a file that is none."""
    write_sound(tmp_path / "r" / "a.wav", 12.4, 44_100)
    write_sound(tmp_path / "r" / "b.flac", 2.0)
    write_sound(tmp_path / "r" / "c.ogg", 1.7, 22_050)
    (tmp_path / "r" / "bad.wav").write_text("not sound")
    return tmp_path / "r"


def test_an_embed_is_foretold_and_nothing_is_written(folder: Path, tiny_encoder: EAT) -> None:
    store = folder.parent / "s.store"
    said = embed_dry_run(folder, store=store, model=tiny_encoder, batch_size=2)
    assert list(folder.parent.iterdir()) == [folder]
    done = embed(folder, store=store, model=tiny_encoder, batch_size=2)
    assert (said.n_found, said.n_windows) == (done.n_found, done.n_windows) == (4, 17)
    assert said.hours * 3600 == pytest.approx(done.duration_s)
    assert [failure.path for failure in said.refused] == ["bad.wav"]
    assert said.seconds is not None
    assert said.seconds > 0
    assert said.fits
    n_bytes = sum(path.stat().st_size for path in (store / "embeddings").rglob("*.parquet"))
    assert said.written_mb * 1e6 == pytest.approx(n_bytes, rel=3)
    again = embed_dry_run(folder, store=store, model=tiny_encoder)
    assert (again.n_there, again.n_windows, again.seconds) == (3, 0, None)
    with pytest.raises(StoreError, match="of other settings: hop"):
        embed_dry_run(folder, store=store, model=tiny_encoder, hop_s=0.5)


def test_a_predict_is_foretold_and_nothing_is_written(folder: Path, tiny_encoder: EAT) -> None:
    said = predict_dry_run(folder, output="x.csv", model=tiny_encoder, top_k=2)
    assert list(folder.parent.iterdir()) == [folder]
    done = predict(folder, output=folder.parent / "x.csv", model=tiny_encoder, top_k=2)
    assert (said.n_found, said.n_windows) == (done.n_found, done.n_windows)
    size = (folder.parent / "x.csv").stat().st_size
    assert said.written_mb * 1e6 == pytest.approx(size, rel=2)  # paths are short here
    embed(folder, store=folder.parent / "s", model=tiny_encoder, predict=True)
    with pytest.raises(UsageError, match="a dry run is for recordings"):
        predict_dry_run(folder.parent / "s")
