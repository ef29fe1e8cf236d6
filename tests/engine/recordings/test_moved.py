"""Recordings that are reached by another path are known by what is in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dawnchorus.engine.embed import EmbedReport, embed
from dawnchorus.engine.predict import predict
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.store.read import Store

WriteSound = Callable[..., Path]
Again = Callable[..., EmbedReport]


@pytest.fixture
def disk(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Two recordings."""
    write_sound(tmp_path / "disk" / "x" / "a.wav", 1.5, seed=1)
    write_sound(tmp_path / "disk" / "b.wav", 1.5, seed=2)
    return tmp_path / "disk"


@pytest.fixture
def again(disk: Path, tmp_path: Path, tiny_encoder: EAT) -> Again:
    """Embeds into the store of the two recordings."""

    def run(
        path: Path | list[Path], store: Path = tmp_path / "s", **options: object
    ) -> EmbedReport:
        return embed(path, model=tiny_encoder, store=store, **options)

    assert run(disk).n_done == 2
    return run


def paths(store: Path) -> list[str]:
    return Store(store).recordings()["path"].to_pylist()


def test_a_link_to_the_folder_leads_to_the_same_recordings(
    disk: Path, tmp_path: Path, again: Again
) -> None:
    (tmp_path / "link").symlink_to(disk)
    report = again(tmp_path / "link")
    assert (report.n_done, report.n_skipped) == (0, 2)
    assert any(f"they lie in {tmp_path}/link now" in warning for warning in report.warnings)
    assert paths(tmp_path / "s") == ["b.wav", "x/a.wav"]


def test_a_disk_that_is_mounted_elsewhere_goes_on_under_the_same_names(
    disk: Path, tmp_path: Path, again: Again, write_sound: WriteSound
) -> None:
    shutil.move(disk, tmp_path / "mnt")
    write_sound(tmp_path / "mnt" / "c.wav", 1.5, seed=3)
    report = again(tmp_path / "mnt")
    assert (report.n_done, report.n_skipped) == (1, 2)
    assert paths(tmp_path / "s") == ["b.wav", "c.wav", "x/a.wav"]
    # a part of it, from another folder above
    report = again(tmp_path / "mnt" / "x")
    assert (report.n_done, report.n_skipped) == (0, 1)


def test_store_and_recordings_move_together(disk: Path, tmp_path: Path, again: Again) -> None:
    new = tmp_path / "new"
    new.mkdir()
    shutil.move(disk, new / "disk")
    shutil.move(tmp_path / "s", new / "s")
    report = again(new / "disk", store=new / "s")
    assert (report.n_done, report.n_skipped) == (0, 2)
    assert len(paths(new / "s")) == 2


def test_files_with_other_names_are_told_and_not_embedded_twice(
    disk: Path, tmp_path: Path, again: Again
) -> None:
    (disk / "b.wav").rename(disk / "renamed.wav")
    report = again(disk)
    assert (report.n_done, report.n_skipped) == (0, 2)
    assert any("under another name" in warning for warning in report.warnings)
    # some of the recordings of a run lie elsewhere
    (tmp_path / "other").mkdir()
    (disk / "x").rename(tmp_path / "other" / "x")
    (disk / "renamed.wav").rename(disk / "b.wav")
    report = again([disk, tmp_path / "other"])
    assert (report.n_done, report.n_skipped) == (0, 2)
    assert any(f"--audio-root {tmp_path}/other" in warning for warning in report.warnings)


def test_a_copy_is_a_recording_of_its_own(disk: Path, tmp_path: Path, again: Again) -> None:
    shutil.copy(disk / "b.wav", disk / "copy.wav")
    assert again(disk).n_done == 1
    shutil.copytree(disk, tmp_path / "backup")
    assert again(tmp_path / "backup").n_done == 3
    assert len(paths(tmp_path / "s")) == 6


def test_another_card_with_the_same_names_does_not_take_their_place(
    disk: Path, tmp_path: Path, again: Again, write_sound: WriteSound
) -> None:
    card = tmp_path / "card"
    write_sound(card / "b.wav", 2.5, seed=9)  # another recording of this name
    (card / "x").mkdir()
    shutil.copy(disk / "x" / "a.wav", card / "x" / "a.wav")
    shutil.move(disk, tmp_path / "away")
    report = again(card)
    assert (report.n_done, report.n_skipped) == (1, 1)
    assert paths(tmp_path / "s") == ["../card/b.wav", "b.wav", "x/a.wav"]


def test_segments_of_a_store_whose_recordings_are_gone_name_the_remedy(
    disk: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    embed(disk, model=tiny_encoder, store=tmp_path / "p", predict=True)
    shutil.move(disk, tmp_path / "mnt")
    ask = {"output": tmp_path / "x.csv", "threshold": 0.0, "segments": 1}
    with pytest.raises(UsageError, match="--audio-root"):
        predict(tmp_path / "p", **ask)
    report = predict(tmp_path / "p", audio_root=tmp_path / "mnt", **ask)
    assert list((report.segments or tmp_path).rglob("*.flac"))


def test_an_audio_root_that_is_not_there_names_recordings_as_it_says(
    disk: Path, tmp_path: Path, tiny_encoder: EAT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    embed(disk, model=tiny_encoder, store=tmp_path / "n", audio_root="gone/away", predict=True)
    assert Store(tmp_path / "n").header.audio_root == (tmp_path / "gone" / "away").as_posix()
    assert paths(tmp_path / "n") == ["../../disk/b.wav", "../../disk/x/a.wav"]
    named = predict(disk, model=tiny_encoder, threshold=0.0, audio_root="gone/away").table
    assert named["path"][0].as_py() == "../../disk/b.wav"
    whole = predict(tmp_path / "n", threshold=0.0, audio_root="disk", absolute_paths=True).table
    assert whole["path"][0].as_py().startswith(tmp_path.as_posix())
