"""The cache of clips gives back what it was given, or says that it has not got it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace as Clip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.embedding.cache import PieceCache, encoding
from dawnchorus.embedding.content import FileHashes, content_key
from dawnchorus.embedding.encode import PieceValues
from dawnchorus.embedding.pieces import PieceRule
from dawnchorus.errors import TaskError
from dawnchorus.models.eat import EAT
from dawnchorus.paths import cache_folder


def clip(n_pieces: int, seed: int, dtype: type = np.float32) -> PieceValues:
    values = np.random.default_rng(seed).standard_normal((n_pieces, 3)).astype(dtype)
    return PieceValues(values, tuple(range(1, n_pieces + 1)))


def same(a: PieceValues, b: PieceValues) -> bool:
    return a.n_samples == b.n_samples and np.array_equal(a.values, b.values)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.integers(1, 4), max_size=4), max_size=4))
def test_what_was_flushed_is_there_for_the_next_process(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    cache = PieceCache(folder, {"a": 1})
    kept = {}
    for number, part in enumerate(parts):
        for place, n_pieces in enumerate(part):
            kept[f"{number}-{place}"] = clip(n_pieces, 10 * number + place)
            cache.add(f"{number}-{place}", kept[f"{number}-{place}"])
        cache.flush()
    again = PieceCache(folder, {"a": 1})
    for name, values in zip(kept, again.load(list(kept)), strict=True):
        assert same(values, kept[name])
    assert "not there" not in again


def test_other_facts_are_another_cache_and_their_order_is_none(tmp_path: Path) -> None:
    cache = PieceCache(tmp_path, {"a": 1, "b": 2})
    cache.add("x", clip(1, 0))
    cache.flush()
    assert "x" in PieceCache(tmp_path, {"b": 2, "a": 1})
    assert "x" not in PieceCache(tmp_path, {"a": 1, "b": 3})


@pytest.mark.parametrize("damage", [b"", b"\xff" * 40], ids=["empty", "nonsense"])
def test_clips_of_a_damaged_part_are_missing_and_the_others_are_there(
    damage: bytes, tmp_path: Path
) -> None:
    cache = PieceCache(tmp_path, {})
    cache.add("x", clip(2, 0))
    cache.flush()
    [broken] = tmp_path.rglob("*.safetensors")
    cache.add("y", clip(1, 1))
    cache.flush()
    broken.write_bytes(damage)
    again = PieceCache(tmp_path, {})
    assert ("x" in again, "y" in again) == (False, True)
    with pytest.raises(TaskError, match="1 of 2 clips are not in it"):
        again.load(["x", "y"])


def test_a_cache_without_a_folder_holds_what_it_is_given(tmp_path: Path) -> None:
    cache = PieceCache(None, {})
    cache.add("x", clip(2, 0, np.float16))
    cache.flush()
    assert same(cache.load(["x"])[0], clip(2, 0, np.float16))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("a file where a folder is needed")
    cache = PieceCache(tmp_path, {})
    cache.add("x", clip(1, 0))
    with pytest.raises(TaskError, match=r"embeddings cannot be kept.*name another cache folder"):
        cache.flush()


def test_everything_that_changes_a_value_changes_the_encoding(tiny_encoder: EAT) -> None:
    rule = PieceRule.of(tiny_encoder)

    def facts(
        weights: str = "w", readout: str = "0", by: EAT = tiny_encoder, **more: object
    ) -> str:
        values = {"window_s": 1.0, "sample_rate": 16_000} | more
        made = encoding(
            by,
            weights,
            readout=readout,
            precision="float32",
            rule=PieceRule(**values),  # type: ignore[arg-type]
        )
        return PieceCache(None, made).key

    assert (
        facts()
        == PieceCache(
            None, encoding(tiny_encoder, "w", readout="0", precision="float32", rule=rule)
        ).key
    )
    others = [
        facts(weights="v"),
        facts(readout="1"),
        facts(window_s=0.5),
        facts(sample_rate=8_000),
        facts(first_only=True),
        facts(first_only=True, crop_s=0.5),
    ]
    assert len({facts(), *others}) == 7


def test_a_file_is_hashed_again_when_it_changes(tmp_path: Path) -> None:
    sound, folder = tmp_path / "a.wav", tmp_path / "cache"
    folder.mkdir()
    sound.write_bytes(b"one")
    hashes = FileHashes(folder)
    first = hashes.of(sound)
    hashes.save()
    assert FileHashes(folder).of(sound) == first
    sound.write_bytes(b"another")
    assert FileHashes(folder).of(sound) != first
    (folder / "files.json").write_text("{")
    assert FileHashes(folder).of(sound) != first  # a damaged memory is no memory
    with pytest.raises(FileNotFoundError):
        hashes.of(tmp_path / "b.wav")


def test_a_span_names_a_part_of_a_file_and_no_stop_its_end() -> None:
    keys = {
        content_key("h", Clip(start_s=start_s, stop_s=stop_s))
        for start_s, stop_s in ((0.0, None), (0.0, float("nan")), (0.0, 1.0), (0.5, 1.0))
    }
    assert keys == {"h:0.0000-nan", "h:0.0000-1.0000", "h:0.5000-1.0000"}


def test_the_cache_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAWNCHORUS_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("DAWNCHORUS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "dawnchorus"
