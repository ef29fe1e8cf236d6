"""Watkins: folders with odd names, files of any rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.errors import TaskError
from dawnchorus.sources.report import SourceReport
from dawnchorus.sources.watkins import read, scientific_name


def sound(path: Path, rate: int, seconds: float = 0.5) -> None:
    """A file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(1).normal(0, 0.1, round(rate * seconds))
    soundfile.write(path, noise, rate)


def test_a_folder_is_one_label_commas_and_underscores_included(tmp_path: Path) -> None:
    sound(tmp_path / "Fin,_Finback_Whale" / "61064006.wav", 10_240)
    sound(tmp_path / "Fin,_Finback_Whale" / "6106400A.wav", 10_240)
    sound(tmp_path / "Grampus,_Rissos_Dolphin" / "85040001.wav", 166_600)
    sound(tmp_path / "Sea_Serpent" / "1.wav", 8_000)
    sound(tmp_path / "Walrus" / "63001001.wav", 600)
    (tmp_path / "Walrus" / "72001001.wav").write_bytes(b"")
    report = SourceReport("watkins")
    rows = list(read(tmp_path, report))
    assert [row.published.name for row in rows if row.published] == [
        "Balaenoptera physalus",
        "Balaenoptera physalus",
        "Grampus griseus",
    ]
    assert rows[0].id == "watkins/Fin,_Finback_Whale/61064006"
    assert rows[0].group == rows[1].group == "watkins:61064"  # one tape
    assert rows[0].recorded_at == "1961"
    assert [row.note.partition("; ")[2] for row in rows] == [
        "sample rate: 10240 Hz",
        "sample rate: 10240 Hz",
        "sample rate: 166600 Hz",
    ]
    assert [row.duration_s for row in rows] == [0.5, 0.5, 0.5]
    assert report.dropped == {
        "name of the folder is not known": 1,
        "sound is empty": 1,
        "sampled at under 1000 or over 500000 Hz": 1,
    }


def test_a_table_says_what_a_file_is(tmp_path: Path) -> None:
    sound(tmp_path / "Sea_Serpent" / "85040001.wav", 8_000)
    (tmp_path / "watkins.csv").write_text(
        "audio_path,species,canonical_name\n"
        'audio/85040001.flac,"Serpent, great","Hydrurga leptonyx"\n'
    )
    (row,) = read(tmp_path, SourceReport("watkins"))
    assert row.published is not None
    assert row.published.name == "Hydrurga leptonyx"
    (tmp_path / "watkins.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TaskError, match="need a column of files"):
        list(read(tmp_path, SourceReport("watkins")))


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("Beluga,_White_Whale", "Delphinapterus leucas"),
        ("Short-Finned_(Pacific)_Pilot_Whale", "Globicephala macrorhynchus"),
        ("Commerson's_Dolphin", "Cephalorhynchus commersonii"),
        ("Heaviside_s_Dolphin", "Cephalorhynchus heavisidii"),
        ("Orcinus_orca", "Orcinus orca"),
        ("Killer_Whale", "Orcinus orca"),
        ("Unheard_Of", None),
    ],
)
def test_folders_are_known_in_either_language(folder: str, name: str | None) -> None:
    assert scientific_name(folder) == name
