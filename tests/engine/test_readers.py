"""However many threads read, a store and a table of detections hold the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.engine.embed import embed
from dawnchorus.engine.pipeline import pieces
from dawnchorus.engine.predict import predict
from dawnchorus.store.read import Store

WriteSound = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, write_sound: WriteSound, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Long and short recordings of several formats, some that cannot be read."""
    monkeypatch.setattr(pieces, "PIECE_S", 1.0)
    root = tmp_path / "in"
    write_sound(root / "a_long.wav", 26.0, 48_000, seed=1)
    for number in range(4):
        write_sound(root / f"b{number}.flac", 0.4 + number, 22_050, 2, seed=number)
    (root / "c_text.wav").write_bytes(b"no sound")
    write_sound(root / "d_long.flac", 30.0, 44_100, seed=7)
    content = bytearray((root / "d_long.flac").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 9_000] = bytes(9_000)
    (root / "e_damaged.flac").write_bytes(content)
    (root / "f_empty.wav").write_bytes(b"")
    soundfile.write(root / "g.mp3", np.zeros(44_100), 44_100, "MPEG_LAYER_III")
    return root


def test_a_store_is_the_same_with_one_reading_thread_and_with_several(
    folder: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    stores = []
    for workers in (1, 4):
        store = tmp_path / f"{workers}.store"
        report = embed(folder, store=store, model=tiny_folder, workers=workers, device="cpu")
        assert report.n_readers == workers
        assert (report.n_found, report.n_failed) == (10, 2)
        stores.append(Store(store))
    (vectors, windows), (others, other_windows) = (store.read() for store in stores)
    np.testing.assert_array_equal(vectors, others)
    assert windows.equals(other_windows)
    loose = ["started", "ended", "parts"]
    rows, other_rows = (store.recordings().drop(loose).to_pylist() for store in stores)
    assert rows == other_rows


def test_detections_are_the_same_with_one_reading_thread_and_with_several(
    folder: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    tables = []
    for workers in (1, 4):
        output = tmp_path / f"{workers}.csv"
        options = {"top_k": 2, "model": tiny_folder, "device": "cpu", "workers": workers}
        predict(folder, output=output, **options)
        tables.append(output.read_bytes())
    assert tables[0] == tables[1]
    assert tables[0].count(b"\n") > 20
