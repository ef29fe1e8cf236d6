"""A probe that was edited or damaged is refused in words, or scores as the one that was saved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from dawnchorus.configs import FitConfig, ScheduleConfig
from dawnchorus.errors import DawnChorusError, WeightsError
from dawnchorus.paths import sha256_of_file
from dawnchorus.probes.calibration import Calibration
from dawnchorus.probes.features import Features
from dawnchorus.probes.fit import fit_probe
from dawnchorus.probes.fitted import EncoderMark, FittedProbe

WORDS = ("ant", "bee", "cat")
KINDS = {
    "linear": FitConfig(strengths=(1.0,)),
    "mlp": FitConfig(probe_type="mlp", schedule=ScheduleConfig(n_epochs=1)),
    "knn": FitConfig(probe_type="knn", neighbours=(3,)),
}
PLATT = {
    "method": "platt", "multi_label": False, "n_classes": 3, "reason": "", "temperature": 1.0,
    "slope": [1.0, 1.0, 2.0], "offset": [0.0, 0.0, 0.5], "isotonic": [],
}  # fmt: skip
JUNK: list[Any] = [
    None, True, False, -1, 0, 1, 2, 10**12, 10**400, 0.5, -0.5, 1e308, "", "x", "0" * 64, [], {},
    [[]], ["ant"], ["ant", "ant", "bee"], [0, 0, 1], [1.0, None, 2.0], {"a": {}},
    [None, None, None],
]  # fmt: skip


def items() -> Features:
    rng = np.random.default_rng(0)
    y = np.eye(3)[np.repeat(np.arange(3), 12)]
    x = rng.standard_normal((36, 6)) + 2 * np.pad(y, [(0, 0), (0, 3)])
    return Features(x.astype(np.float32), y)


@pytest.fixture(scope="module", params=KINDS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copied by every test."""
    probe = fit_probe(
        KINDS[request.param], items(), items(), WORDS, False, readout=("-1",),
        encoder=EncoderMark("toy", "0" * 64),
    )  # fmt: skip
    probe.thresholds = {"ant": 0.25, "cat": 1.0}
    probe.calibration = Calibration.from_json(PLATT)
    probe.notes = probe.notes.with_(window_s=1.5)
    folder = tmp_path_factory.mktemp("whole") / "a.probe"
    probe.save(folder)
    return folder


def edited(whole: Path, folder: Path, change: dict[str, Any]) -> Path:
    path = Path(shutil.copytree(whole, folder / "a.probe", dirs_exist_ok=True))
    told = json.loads((path / "probe.json").read_text())
    (path / "probe.json").write_text(json.dumps(told | change))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ["ant", "ant", "bee"]}, "classes: 'ant' is there twice"),
        ({"classes": ["ant", "bee"]}, "trained .* need different numbers from 0 to 1"),
        ({"trained": [-1, -2, 0]}, "trained"),
        ({"trained": [0, 0, 1]}, "trained .* need different"),
        ({"trained": [0, 1]}, "tensors missing, unknown or reshaped"),
        ({"thresholds": {"ant": float("nan")}}, "NaN is not a number"),
        ({"thresholds": {"ant": 1.5}}, "thresholds.ant: .* got 1.5"),
        ({"thresholds": {"dog": 0.5}}, "'dog' is not one of its classes"),
        ({"calibration": PLATT | {"temperature": 0}}, "a temperature above 0"),
        ({"calibration": PLATT | {"slope": [1.0, -1.0, 1.0]}}, "a slope is below 0"),
        ({"calibration": PLATT | {"slope": [1.0, "x", 1.0]}}, "need finite numbers"),
        ({"calibration": PLATT | {"n_classes": 2, "slope": [], "offset": []}}, "of another probe"),
        ({"calibration": PLATT | {"multi_label": True}}, "of another probe"),
        ({"shape": [7]}, "tensors missing, unknown or reshaped"),
        ({"shape": [10**9]}, "shape"),
        ({"shape": [2, 3, 6]}, "reads features|tensors missing"),
        ({"multi_label": "yes"}, "multi_label"),
        ({"readout": "1:median"}, "median"),
        ({"readout": ["1:2:3:4"]}, "layer '1:2:3:4'"),
        ({"encoder": {"name": "toy"}}, "weights_sha256"),
        ({"notes": {"window_s": -1}}, "window_s"),
        ({"more": 1}, "unknown key 'more'"),
        ({"version": 3}, "format version 3"),
    ],
)
def test_a_description_that_cannot_be_true_is_refused(
    whole: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(WeightsError, match=said):
        FittedProbe.load(edited(whole, tmp_path, change))


def test_a_claim_of_endless_layers_takes_no_time_or_memory(whole: Path, tmp_path: Path) -> None:
    config = json.loads((whole / "probe.json").read_text())["config"]
    for change in ({"hidden_dims": [10**9, 10**9]}, {"hidden_dims": [1] * 5000}):
        path = edited(whole, tmp_path, {"config": config | change | {"probe_type": "mlp"}})
        with pytest.raises(WeightsError, match=r"tensors missing|a probe has at most 1024"):
            FittedProbe.load(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "integers", "zero"])
def test_numbers_that_cannot_be_right_are_refused(
    whole: Path, tmp_path: Path, value: float | str
) -> None:
    tensors = load_file(whole / "probe.safetensors")
    if value == "integers":
        tensors["mean"] = tensors["mean"].to(torch.int64)
    elif value == "zero":
        tensors["scale"] = torch.zeros_like(tensors["scale"])
    else:
        tensors["mean"] = torch.full_like(tensors["mean"], float(value))
    path = edited(whole, tmp_path, {})
    save_file(tensors, path / "probe.safetensors")
    path = edited(
        path, tmp_path / "b", {"weights_sha256": sha256_of_file(path / "probe.safetensors")}
    )
    with pytest.raises(WeightsError, match=r"mean holds|scale: features"):
        FittedProbe.load(path)


def same_or_refused(whole: Path, path: Path) -> None:
    """Loads and scores as before, or is refused in words; labels may have been renamed."""
    x = items().x
    try:
        probe = FittedProbe.load(path)
        found = probe.probabilities(x)
    except DawnChorusError:
        return
    assert found.shape == (36, len(probe.classes))
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
    assert all(name in probe.classes for name in probe.thresholds)
    assert set(probe.logits(x).argmax(axis=1)) <= set(probe.trained)
    assert probe.logits(x)[:, probe.trained].shape == FittedProbe.load(whole).logits(x).shape


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data())
def test_any_edited_description_is_refused_or_scores_as_before(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = edited(whole, tmp_path_factory.mktemp("edited"), {})
    told = json.loads((path / "probe.json").read_text())
    spot = told
    key: Any = data.draw(st.sampled_from([*told, "more"]))
    while isinstance(spot.get(key), dict) and spot[key] and data.draw(st.booleans()):
        spot, key = spot[key], data.draw(st.sampled_from(sorted(spot[key])))
    if data.draw(st.booleans()):
        spot[key] = data.draw(st.sampled_from(JUNK))
    else:
        spot.pop(key, None)
    (path / "probe.json").write_text(json.dumps(told))
    same_or_refused(whole, path)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_any_damaged_file_is_refused_or_scores_as_before(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = edited(whole, tmp_path_factory.mktemp("bytes"), {})
    file = path / data.draw(st.sampled_from(["probe.json", "probe.safetensors"]))
    content = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    how = data.draw(st.sampled_from(["flip", "cut", "insert", "empty"]))
    if how == "flip":
        content[at] ^= data.draw(st.integers(1, 255))
    elif how == "insert":
        content[at:at] = data.draw(st.sampled_from([b"[" * 5000, b"\xff", b"NaN", b'"a":1,']))
    else:
        del content[0 if how == "empty" else at :]
    file.write_bytes(content)
    if file.name.endswith("safetensors") and data.draw(st.booleans()):
        told = json.loads((path / "probe.json").read_text())
        told["weights_sha256"] = sha256_of_file(file)
        (path / "probe.json").write_text(json.dumps(told))
    same_or_refused(whole, path)


def test_a_probe_that_version_1_wrote_loads_and_scores_the_same(
    whole: Path, tmp_path: Path
) -> None:
    """Keys as they were: ``taught``, ``staircases``, and ``not_taught`` among the notes."""
    path = edited(whole, tmp_path, {})
    values = json.loads((path / "probe.json").read_text())
    new = FittedProbe.load(path)
    values["version"], values["taught"] = 1, values.pop("trained")
    values["calibration"]["staircases"] = values["calibration"].pop("isotonic")
    values["notes"]["not_taught"] = values["notes"].pop("not_trained")
    values["notes"]["scores"] = {"accuracy": {"value": 1.0, "low": None, "high": None}}
    (path / "probe.json").write_text(json.dumps(values))
    old = FittedProbe.load(path)
    assert np.array_equal(old.probabilities(items().x), new.probabilities(items().x))
    assert (old.trained, old.thresholds, old.calibration) == (
        new.trained, new.thresholds, new.calibration,
    )  # fmt: skip
    assert old.notes.window_s == 1.5
    with pytest.warns(DeprecationWarning, match=r"read notes\.window_s"):
        assert old.notes["window_s"] == 1.5
    old.save(tmp_path / "again")
    assert FittedProbe.load(tmp_path / "again").notes == old.notes
