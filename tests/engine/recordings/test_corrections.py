"""A list that was put right reaches recordings that are done, without embedding them again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.engine.embed import EmbedReport, embed
from dawnchorus.models.eat import EAT
from dawnchorus.store.read import Store

WriteSound = Callable[..., Path]
Run = Callable[..., EmbedReport]


@pytest.fixture
def run(tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound) -> Run:
    """Embeds with a list of these lines."""
    write_sound(tmp_path / "20240501_060000.wav", 1.5, seed=1)
    write_sound(tmp_path / "b.wav", 1.5, seed=2)

    def embed_list(text: str, **options: object) -> EmbedReport:
        (tmp_path / "l.csv").write_text(text)
        return embed(tmp_path / "l.csv", model=tiny_encoder, store=tmp_path / "s", **options)

    embed_list(
        "path,start_time,site,note\n20240501_060000.wav,2024-05-01T04:30:00,North,x\nb.wav,,North,\n"
    )
    return embed_list


def stored(tmp_path: Path, *columns: str) -> list[tuple[object, ...]]:
    table = Store(tmp_path / "s").recordings()
    return [tuple(row.values()) for row in table.select(list(columns)).to_pylist()]


def test_new_values_arrive_and_the_vectors_stay(tmp_path: Path, run: Run) -> None:
    before, _ = Store(tmp_path / "s").read()
    report = run(
        "path,start_time,site\n20240501_060000.wav,2024-05-01T05:30:00,South\nb.wav,,North\n"
    )
    assert (report.n_done, report.n_skipped, report.n_corrected) == (0, 2, 1)
    assert stored(tmp_path, "recorded_at", "site", "note", "revision") == [
        ("2024-05-01T05:30:00", "South", "x", 1),
        (None, "North", "", 0),
    ]
    after, table = Store(tmp_path / "s").read(["path", "site"])
    np.testing.assert_array_equal(before, after)
    assert table["site"].to_pylist() == ["South"] * 2 + ["North"] * 2
    assert Store(tmp_path / "s").check().damages == ()


def test_a_list_that_says_nothing_new_changes_nothing(tmp_path: Path, run: Run) -> None:
    parts = len(list((tmp_path / "s" / "recordings").iterdir()))
    report = run("path,site,habitat\nb.wav,North,\n")
    assert (report.n_skipped, report.n_corrected) == (1, 0)
    assert len(list((tmp_path / "s" / "recordings").iterdir())) == parts


def test_a_start_that_is_taken_out_of_the_list_is_read_from_the_recording(
    tmp_path: Path, run: Run
) -> None:
    assert run("path,start_time\n20240501_060000.wav,\n").n_corrected == 1
    assert stored(tmp_path, "recorded_at", "recorded_from")[0] == (
        "2024-05-01T06:00:00",
        "file name",
    )


def test_a_time_zone_and_a_site_from_the_folder_arrive_too(
    tmp_path: Path, run: Run, tiny_encoder: EAT
) -> None:
    assert run("path\nb.wav\n", time_zone="Europe/Berlin").n_corrected == 1
    assert run("path\nb.wav\n").n_corrected == 0  # not said again: kept
    assert stored(tmp_path, "time_zone", "site")[1] == ("Europe/Berlin", "North")
    report = embed(tmp_path, model=tiny_encoder, store=tmp_path / "s", site_from="folder")
    assert report.n_corrected == 2
    assert {site for (site,) in stored(tmp_path, "site")} == {tmp_path.name}


def test_a_recording_that_was_only_touched_is_corrected_as_well(tmp_path: Path, run: Run) -> None:
    (tmp_path / "b.wav").touch()
    report = run("path,site\nb.wav,East\n")
    assert (report.n_done, report.n_skipped, report.n_corrected) == (0, 1, 1)
    assert stored(tmp_path, "site")[1] == ("East",)


def test_many_corrections_in_turn_keep_the_newest(tmp_path: Path, run: Run) -> None:
    for site in ("A", "B", "C"):
        run(f"path,site\nb.wav,{site}\n")
    assert stored(tmp_path, "site", "revision")[1] == ("C", 3)
