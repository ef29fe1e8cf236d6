"""Every recording is found once, whatever the folders hold, and nothing found is explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dawnchorus.engine.doctor.scan import doctor
from dawnchorus.engine.embed import embed
from dawnchorus.engine.predict import predict
from dawnchorus.engine.recordings.find import common_root, find_recordings
from dawnchorus.engine.recordings.jobs import in_shard
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.paths import relative_name
from dawnchorus.store.schema import recording_id

WriteSound = Callable[..., Path]


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in find_recordings(root).paths()]


def test_folders_are_walked_in_order_and_other_files_passed_over(tmp_path: Path) -> None:
    for name in ("b/2.WAV", "b/1.flac", "a/ü ber.Mp3", "a/notes.txt", "z.wav"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["z.wav", "a/ü ber.Mp3", "b/1.flac", "b/2.WAV"]


def test_hidden_files_and_those_of_macos_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.wav", "._a.wav", ".hidden/b.wav", ".c.wav"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["a.wav"]


def test_a_file_named_itself_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    odd = touch(tmp_path / "recording.bak")
    assert list(find_recordings(str(odd)).paths()) == [odd]


def test_links_neither_loop_nor_count_twice(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.wav")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "2.wav").symlink_to(tmp_path / "a" / "1.wav")
    scan = find_recordings(tmp_path)
    assert (scan.n_recordings, scan.n_duplicates, scan.n_folders) == (1, 1, 2)
    for both in ([tmp_path, tmp_path / "a"], [tmp_path / "a", tmp_path]):
        assert find_recordings(both).n_recordings == 1


def test_a_link_to_a_file_that_is_gone_is_found_so_that_it_can_be_reported(tmp_path: Path) -> None:
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    assert names(tmp_path) == ["gone.wav"]


def test_finding_nothing_says_what_was_looked_at(tmp_path: Path) -> None:
    for name in ("a/1.txt", "a/2.txt", "b/3.jpg"):
        touch(tmp_path / name)
    with pytest.raises(UsageError, match=r"3 folders with 3 files .*\.txt 2, \.jpg 1.*\.wav"):
        find_recordings(tmp_path)
    with pytest.raises(UsageError, match="no such file or folder"):
        find_recordings(tmp_path / "misspelt")
    with pytest.raises(UsageError, match="not a single path"):
        find_recordings([])


def test_names_and_ids_do_not_depend_on_how_a_recording_was_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = touch(tmp_path / "site" / "night" / "1.wav")
    monkeypatch.chdir(tmp_path)
    assert common_root("site") == common_root([tmp_path / "site"]) == tmp_path / "site"
    assert common_root([path, tmp_path / "other.wav"]) == tmp_path
    name = relative_name(Path("site/night/1.wav"), tmp_path / "site")
    assert name == relative_name(path, tmp_path / "site") == "night/1.wav"
    assert recording_id(name) != recording_id("night/2.wav")


def test_two_recordings_of_one_name_in_two_folders_have_two_ids(tmp_path: Path) -> None:
    paths = [touch(tmp_path / disk / "0001.wav") for disk in ("disk1", "disk2")]
    root = common_root([path.parent for path in paths])
    assert len({recording_id(relative_name(path, root)) for path in paths}) == 2


def test_a_file_named_beside_its_folder_counts_once(tmp_path: Path) -> None:
    path = touch(tmp_path / "a" / "1.wav")
    scan = find_recordings([path, tmp_path / "a", path])
    assert (list(scan.paths()), scan.n_bytes) == ([path], 1)


def test_a_link_to_what_walking_does_not_come_to_is_taken_once(tmp_path: Path) -> None:
    hidden = touch(tmp_path / "in" / ".trash" / "1.wav")
    outside = touch(tmp_path / "out" / "2.wav")
    for name, target in (("a.wav", hidden), ("b.wav", outside), ("c.wav", outside)):
        (tmp_path / "in" / name).symlink_to(target)
    assert names(tmp_path / "in") == ["a.wav", "b.wav"]


def test_shards_share_the_recordings_out_and_none_is_in_two() -> None:
    identities = [recording_id(f"{i}.wav") for i in range(300)]
    shares = [[i for i in identities if in_shard(i, (k, 3))] for k in range(3)]
    assert sorted(i for share in shares for i in share) == sorted(identities)
    assert min(map(len, shares)) > 70
    assert all(in_shard(i, None) for i in identities)


def test_paths_that_can_be_gone_through_once_are_all_taken(
    tmp_path: Path, write_sound: WriteSound, tiny_encoder: EAT
) -> None:
    for name in "ab":
        write_sound(tmp_path / "r" / f"{name}.wav", 1.0)

    def once() -> Iterator[Path]:
        return (tmp_path / "r").glob("*.wav")

    assert find_recordings(once()).n_recordings == 2
    assert common_root(once()) == tmp_path / "r"
    assert embed(once(), store=tmp_path / "s", model=tiny_encoder).n_done == 2
    assert predict(once(), model=tiny_encoder, top_k=1).n_done == 2
    assert len(doctor(once()).findings) == 2
    with pytest.raises(UsageError, match="need a path or several, got int"):
        find_recordings(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="need paths, got NoneType"):
        find_recordings([None])  # type: ignore[list-item]
