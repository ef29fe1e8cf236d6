"""`verify` and `probe` by another backend: what they say, and in words why not."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from dawnchorus.cli.app import main
from dawnchorus.models import plugins
from dawnchorus.models.backends import export as exporting
from dawnchorus.models.eat import EAT

pytestmark = pytest.mark.cli
Capture = pytest.CaptureFixture[str]
RATE = 16_000


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAWNCHORUS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Twelve half seconds of a low and of a high tone."""
    rng, time_s = np.random.default_rng(0), np.arange(RATE // 2) / RATE
    for label, hz in (("owl", 700), ("wren", 5000)):
        (tmp_path / "calls" / label).mkdir(parents=True)
        for number in range(12):
            sound = 0.3 * np.sin(2 * np.pi * hz * (1 + 0.05 * rng.normal()) * time_s)
            sound += 0.02 * rng.normal(size=len(sound))
            soundfile.write(tmp_path / "calls" / label / f"{number}.wav", sound, RATE)
    return tmp_path / "calls"


def told(capsys: Capture) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(("backend", "least"), [("onnx", 0.99999), ("onnx-int8", 0.995)])
def test_verify_says_how_near_a_backend_is_and_nothing_of_it_without_one(
    backend: str, least: float, tiny_folder: Path, capsys: Capture
) -> None:
    assert main(["verify", str(tiny_folder), "--json"]) == 0
    assert backend not in told(capsys)
    assert main(["verify", str(tiny_folder), "--backend", backend, "--json"]) == 0
    facts = told(capsys)
    assert facts["verdict"] == "right"
    cosine = float(str(facts[backend]).split("at least ")[1].split(",")[0])
    assert least <= cosine <= 1


def test_verify_refuses_a_backend_that_is_too_far_on_this_machine(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Its export held the gate where it was made."""
    assert main(["verify", str(tiny_folder), "--backend", "onnx", "--json"]) == 0
    monkeypatch.setitem(exporting.LEAST_COSINES, "onnx", 1.1)
    capsys.readouterr()
    assert main(["verify", str(tiny_folder), "--backend", "onnx", "--json"]) == 1
    assert told(capsys)["verdict"].startswith("WRONG: the backend is too far from torch")


def test_a_probe_by_a_backend_is_that_by_torch_and_embeds_for_itself(
    tiny_folder: Path, clips: Path, tmp_path: Path, capsys: Capture
) -> None:
    weights, scores = {}, {}
    for backend in ("torch", "onnx"):
        place = tmp_path / f"{backend}.probe"
        by = ["--backend", backend, "--cache", str(tmp_path / "kept"), "--json"]
        by += ["--model", str(tiny_folder), "--device", "cpu"]
        assert main(["probe", "fit", str(clips), "-o", str(place), *by]) == 0
        said = capsys.readouterr().err
        # vectors of one backend are not taken for those of another
        assert "24 clips (0 embedded before)" in said
        assert main(["probe", "evaluate", str(place), str(clips), "--seen", *by]) == 0
        scores[backend] = told(capsys)["scores"]
        weights[backend] = load_file(place / "probe.safetensors")
    assert weights["onnx"].keys() == weights["torch"].keys()
    for name, values in weights["torch"].items():
        np.testing.assert_allclose(weights["onnx"][name], values, rtol=0.02, atol=1e-3)
    assert scores["onnx"]["accuracy"] == scores["torch"]["accuracy"]


@pytest.fixture
def lines(tiny_folder: Path, clips: Path, tmp_path: Path) -> dict[str, list[str]]:
    """Commands of which only the backend is missing, by name."""
    place, model = tmp_path / "a.probe", ["--model", str(tiny_folder)]
    fit = ["probe", "fit", str(clips), "-o", str(place), *model, "--no-cache", "-q"]
    return {
        "verify": ["verify", str(tiny_folder)],
        "probe fit": fit,
        "probe evaluate": ["probe", "evaluate", str(place), str(clips), *model, "--seen",
                           "--no-cache", "-q"],
    }  # fmt: skip


@pytest.mark.parametrize("command", ["verify", "probe fit", "probe evaluate"])
def test_without_the_extra_it_is_named_in_one_line(
    command: str,
    lines: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    if command == "probe evaluate":
        assert main(lines["probe fit"]) == 0
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    capsys.readouterr()
    assert main([*lines[command], "--backend", "onnx"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "pip install 'dawnchorus[onnx]'" in said.err


@pytest.mark.parametrize("command", ["verify", "probe fit"])
def test_a_backend_that_there_is_not_is_refused_with_those_that_there_are(
    command: str, lines: dict[str, list[str]], tmp_path: Path, capsys: Capture
) -> None:
    assert main([*lines[command], "--backend", "tflite"]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in ("tflite", "torch", "onnx", "onnx-int8"))
    assert not (tmp_path / "a.probe").exists()


def test_another_packages_encoder_has_no_backend(
    clips: Path,
    tiny_encoder: EAT,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.setitem(plugins._registered, "theirs", tiny_encoder.to)
    line = ["probe", "fit", str(clips), "-o", str(tmp_path / "a.probe"), "--model", "theirs"]
    assert main([*line, "--backend", "onnx", "--no-cache", "-q"]) == 2
    assert "theirs: another package's encoder; only our models have" in capsys.readouterr().err
    assert not (tmp_path / "a.probe").exists()


def test_an_export_of_other_weights_beside_the_model_is_refused(
    tiny_folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_folder, model)
    exporting.export_named(str(model), "onnx", model / "onnx")
    record = json.loads((model / "onnx" / "export.json").read_text(encoding="utf-8"))
    stale = json.dumps({**record, "weights_sha256": "0" * 64})
    (model / "onnx" / "export.json").write_text(stale, encoding="utf-8")
    assert main(["verify", str(model), "--backend", "onnx"]) == 1
    assert "is stale" in capsys.readouterr().err
