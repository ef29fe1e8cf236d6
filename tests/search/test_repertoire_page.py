"""The recipe for repertoires runs as its page has it, on calls whose types are planted."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from dawnchorus.cli.app import main
from doc_pages import DOCS, Session, blocks_of
from planted_store import plant

# three types that all recordings have, and one that a single recording repeats
CLIPS = {f"{name}.wav": [0] * 6 + [1] * 6 + [2] * 6 for name in "abcdef"} | {"g.wav": [3] * 14}


def test_the_recipe_for_a_repertoire_finds_the_types_that_recordings_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(tmp_path / "clips.store", CLIPS)
    monkeypatch.chdir(tmp_path)
    shell, python = (b for b in blocks_of(DOCS / "how-to" / "repertoire.md") if b.language)
    embed, cluster = shell.text.splitlines()
    assert embed == "dawnchorus embed clips/ -o clips.store"
    program, *arguments = shlex.split(cluster)
    assert program == "dawnchorus"
    assert main([*arguments, "-q"]) == 0
    assert "stability" in capsys.readouterr().out
    assert Session(tmp_path).run(python).startswith("3 types: ['unnamed 0', 'unnamed 1'")


def test_without_it_there_is_no_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant(tmp_path / "clips.store", CLIPS)
    assert main(["cluster", str(tmp_path / "clips.store"), "-o", str(tmp_path / "m"), "-q"]) == 0
    assert "stability" not in capsys.readouterr().out
    header, first = (tmp_path / "m" / "clusters.csv").read_text().splitlines()[:2]
    column = header.split(",").index("stability")
    assert first.replace('"', "").split(",")[column] == ""
