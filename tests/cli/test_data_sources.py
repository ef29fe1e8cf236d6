"""The commands that make manifests of published collections and fetch their sound."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dawnchorus.cli.app import run_command
from dawnchorus.errors import TaskError, UsageError
from rude_server import Answer, RudeServer, rude_server
from source_samples import BLACKBIRD, gbif_zip, three_media


def run(*arguments: object) -> int:
    """Run `dawnchorus data ...`."""
    return run_command("data", [str(argument) for argument in arguments])


@pytest.fixture
def server() -> Iterator[RudeServer]:
    """A rude server."""
    with rude_server() as server:
        yield server


@pytest.fixture
def archive(server: RudeServer, tmp_path: Path) -> Path:
    """Four recordings, one under ND, one without a species, one whose file is gone."""
    nd = "https://creativecommons.org/licenses/by-nc-nd/4.0/"
    occurrences = [
        BLACKBIRD | {"gbifID": str(i), "catalogNumber": f"XC{i}", "recordedBy": f"R{i}"}
        for i in range(4)
    ]
    occurrences[3] |= {"scientificName": "Turdus", "species": ""}
    media = []
    for i in range(4):
        url = server.says(f"/{i}", Answer(b"ID3" + bytes(1000 + i)))
        media += three_media(str(i), str(i), identifier=url, license=nd if i == 2 else "CC BY 4.0")
    server.says("/1", Answer(status=404))
    return gbif_zip(tmp_path / "xc.zip", occurrences, media)


def test_from_an_archive_to_sound_on_disk(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "xc.parquet"
    assert run("make", "xeno-canto", archive, "-o", manifest) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(manifest)
    assert "4 recordings found, 2 kept, 2 dropped" in err
    assert "1 dropped: no-derivatives licence (xeno-canto/XC2)" in err
    assert "1 dropped: name: not named to the species (xeno-canto/XC3)" in err
    assert "licences: CC BY 4.0 2" in err

    folder = tmp_path / "sound"
    assert run("download", manifest, "-o", folder, "--dry-run") == 0
    assert "2 files to fetch" in capsys.readouterr().err
    with pytest.raises(UsageError, match="add --yes to start"):
        run("download", manifest, "-o", folder)
    capsys.readouterr()
    assert run("download", manifest, "-o", folder, "--yes") == 3
    out, err = capsys.readouterr()
    assert "1 files fetched" in err
    assert "1 failed: HTTP 404" in err
    (row,) = pq.read_table(out.strip()).to_pylist()
    assert (folder / row["path"]).read_bytes() == b"ID3" + bytes(1000)


def test_reports_in_json(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tmp_path / "xc.parquet"
    assert run("make", "xeno-canto", archive, "-o", manifest, "--json", "-q") == 0
    out, err = capsys.readouterr()
    made = json.loads(out)
    assert (made["n_found"], made["n_kept"], err) == (4, 2, "")
    assert run("download", manifest, "-o", tmp_path / "s", "--json", "-q", "--yes") == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["failed"] == {"HTTP 404": 1}
    assert err == ""


def test_names_are_resolved_by_a_table_of_the_user(archive: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_text(
        "taxonID,canonicalName,taxonRank,acceptedNameUsageID,kingdom\n"
        "1,Merula vulgaris,species,,Animalia\n6171845,Turdus merula,species,1,Animalia\n"
    )
    manifest = tmp_path / "xc.parquet"
    assert run("make", "xeno-canto", archive, "-o", manifest, "--backbone", names, "-q") == 0
    assert pq.read_table(manifest)["labels"].to_pylist() == [["Merula vulgaris"]] * 2


def test_malformed_lines_are_told_and_change_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    occurrences = [BLACKBIRD | {"gbifID": "1", "catalogNumber": "XC1"}]
    archive = gbif_zip(tmp_path / "x.zip", occurrences, three_media("1", "1"), more="cut\toff\n")
    assert run("make", "xeno-canto", archive, "-o", tmp_path / "x.parquet") == 3
    assert "occurrence.txt, line 3: 2 fields, the header has 223" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("xeno-canto",), "which file or folder"),
        (("xeno-canto", "x", "--query", "gen:Pica"), "--query asks the API, and stands instead"),
        (("xeno-canto", "--query", "Pica"), "'Pica' has no tag"),
        (("xeno-canto", "x", "--licence", "CC BX"), "'CC BX' is not known"),
        (("xeno-canto", "x", "--backbone", "b", "--match-service"), "exclude each other"),
    ],
)
def test_wrong_options_are_said_at_once(arguments: tuple[str, ...], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        run("make", *arguments)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("macaulay", "x"), "macaulay"),
        (("xeno-canto", "x", "--ancestors"), "--ancestors"),
        (("inaturalist", "x", "--query", "gen:Pica"), "--query"),
        (("audioset", "x", "--backbone", "b"), "--backbone"),
        (("watkins", "x", "--key", "k"), "--key"),
    ],
)
def test_a_source_has_its_own_options_and_no_others(
    arguments: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("make", *arguments) == 2
    assert f"No such {'command' if arguments[0] == 'macaulay' else 'option'}" in (
        err := capsys.readouterr().err
    )
    assert problem in err


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such file or folder"):
        run("make", "xeno-canto", tmp_path / "none", "-o", tmp_path / "x.parquet")
