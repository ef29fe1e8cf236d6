"""`models`, `describe`, `verify`, and how the program answers mistakes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from dawnchorus.cli.app import main
from dawnchorus.models import parity
from dawnchorus.models.card import known_cards
from dawnchorus.models.parity import Parity


def test_every_known_model_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in listed} == set(known_cards())
    assert {"esp_aves2_sl_eat_all_ssl_all", "dawnchorus_eat_tiny"} <= set(known_cards())


def test_describe_says_where_the_weights_come_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "esp_aves2_sl_eat_all_ssl_all"]) == 0
    said = capsys.readouterr().out
    for fact in ("EarthSpeciesProject/", "CC BY-NC-SA 4.0", "-5.553", "af10ff12"):
        assert fact in said


def test_the_bundled_model_is_what_its_card_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "dawnchorus_eat_tiny"]) == 0
    assert "verdict             right" in capsys.readouterr().out


def test_verify_finds_other_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "dawnchorus_eat_tiny", "--json"]) == 0
    folder = Path(json.loads(capsys.readouterr().out)["weights"]).parent
    other = tmp_path / "dawnchorus_eat_tiny"
    shutil.copytree(folder, other)
    weights = load_file(folder / "model.safetensors")
    weights["blocks.3.mlp.fc1.weight"][0] += 1
    save_file(weights, other / "model.safetensors")
    assert main(["verify", str(other)]) == 1
    assert "right" not in capsys.readouterr().out.split("verdict")[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["emebd"], "embed"),
        (["embed", "x", "--batchsize", "3"], "--batchsize"),
        (["describe", "esp_aves2_sl_eat_all_ssl_al"], "Did you mean"),
        (["verify", "nowhere.safetensors"], "no such file"),
    ],
)
def test_a_mistake_is_answered_in_a_line_with_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_labels_are_listed_with_level_and_threshold(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["describe", str(tiny_folder), "--list-labels"]) == 0
    header, first, *_ = capsys.readouterr().out.splitlines()
    assert header.startswith("label,level,threshold,threshold_is,precision,")
    assert first == "blackbird,,0.5,guess,,,,"
    assert main(["describe", "dawnchorus_eat_tiny", "--list-labels"]) == 0
    listed = capsys.readouterr().out
    facts = known_cards()["dawnchorus_eat_tiny"].label_facts
    own = facts.thresholds["Sayornis nigricans"]
    assert f"\nSayornis nigricans,species,{own},own,0." in listed
    assert f"\nCorvidae,family,{facts.threshold},shared,0." in listed


def test_verify_compares_bfloat16_where_it_is_what_auto_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["verify", "dawnchorus_eat_tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bfloat16"] == "not used on this machine"
    monkeypatch.setenv("DAWNCHORUS_PRECISION", "bfloat16")
    measured = Parity(cosine=0.9995, overlap=0.98, n_windows=53)
    monkeypatch.setattr(parity, "bfloat16_parity", lambda _model: measured)
    assert main(["verify", "dawnchorus_eat_tiny"]) == 0
    said = capsys.readouterr().out
    assert "bfloat16            cosine at least 0.99950, 98.0 % of the 10 nearest" in said
    assert "needed 0.999 and 95 %" in said
    far = Parity(cosine=0.9995, overlap=0.94, n_windows=53)
    monkeypatch.setattr(parity, "bfloat16_parity", lambda _model: far)
    assert main(["verify", "dawnchorus_eat_tiny"]) == 1
    assert "too far from float32" in capsys.readouterr().out
