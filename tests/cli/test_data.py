"""From published files to sound on disk, on the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dawnchorus.cli.app import main

WriteSound = Callable[..., Path]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path, write_sound: WriteSound) -> Iterator[str]:
    write_sound(tmp_path / "web" / "a.wav", 1.0)
    handler = partial(_Quiet, directory=tmp_path / "web")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def test_a_folder_of_watkins_becomes_a_manifest(
    tmp_path: Path, write_sound: WriteSound, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("Fin,_Finback_Whale", "Grampus,_Rissos_Dolphin"):
        write_sound(tmp_path / "watkins" / name / "5801.wav", 1.0, 20_000)
    output = tmp_path / "watkins.parquet"
    command = ["data", "make", "watkins", str(tmp_path / "watkins"), "-o", str(output)]
    assert main([*command, "--licence", "any"]) == 0
    said = capsys.readouterr().out
    assert "2 found = 2 kept + 0 left out" in said
    labels = pq.read_table(output)["labels"].to_pylist()
    assert sorted(labels) == [["Balaenoptera physalus"], ["Grampus griseus"]]
    assert main([*command, "--ancestors"]) == 2
    assert "--ancestors is not for watkins" in capsys.readouterr().err


def test_the_sound_of_a_manifest_is_fetched_once(
    web: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"id": name, "path": name, "labels": [], "url": f"{web}/{name}.wav", "licence": "CC0"}
        for name in ("a", "gone")
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "m.parquet")
    command = ["data", "download", str(tmp_path / "m.parquet"), "-o", str(tmp_path / "sounds")]
    assert main([*command, "-q"]) == 2  # nobody is there to be asked
    assert "say --yes" in capsys.readouterr().err
    assert main([*command, "--yes", "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["n_found"], report["n_done"], report["n_failed"]) == (2, 1, 1)
    [there] = pq.read_table(tmp_path / "sounds" / "downloaded.parquet").to_pylist()
    sound = tmp_path / "sounds" / there["path"]
    assert sound.read_bytes() == (tmp_path / "web" / "a.wav").read_bytes()
    assert main([*command, "--yes", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["n_there"] == 1
