"""What a card says of raw scores: what becomes of them, and where nothing is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from dawnchorus.audio.decode.read import read_audio
from dawnchorus.cli.app import main
from dawnchorus.configs.readout import Readout
from dawnchorus.engine.detections import classify
from dawnchorus.engine.detections.raw_scores import RawScores, part_of
from dawnchorus.engine.embed import embed
from dawnchorus.engine.predict import predict
from dawnchorus.errors import UsageError
from dawnchorus.models.card import BUNDLED, Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.label_facts import LabelFacts, ScoreCalibration, UnfamiliarSounds
from dawnchorus.models.load import load_model
from dawnchorus.models.weights_file import weights_sha256_of
from dawnchorus.store.read import Store

WriteSound = Callable[..., Path]
LINE = ScoreCalibration(slope=2.0, offset=-0.5)


@pytest.fixture
def recording(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Five windows of one second."""
    path = write_sound(tmp_path / "recordings" / "a.wav", 5.0, seed=1)
    samples, rate = soundfile.read(path)
    samples[2 * rate : 3 * rate] *= np.random.default_rng(0).standard_normal(rate)
    soundfile.write(path, samples, rate)
    return path


def outputs(path: Path, encoder: EAT) -> tuple[np.ndarray, np.ndarray]:
    """Logits and vectors of a recording's windows, straight from the network."""
    samples = torch.from_numpy(read_audio(path, sample_rate=16_000)).reshape(-1, 16_000)
    with torch.no_grad():
        out = encoder.encode(samples)
    assert out.logits is not None
    return out.logits.numpy(), out.pool("valid").numpy()


def with_facts(encoder: EAT, **facts: object) -> EAT:
    """The same network with a card that says something of its scores."""
    model = EAT(encoder.config, name="tiny", labels=encoder.labels)
    model.load_state_dict(encoder.state_dict())
    values = {"name": "tiny", "config": encoder.config, "label_facts": LabelFacts(**facts)}
    model.card = Card(**values, sha256=weights_sha256_of(model))
    return model.eval()


def beyond(path: Path, encoder: EAT, n: int) -> tuple[UnfamiliarSounds, list[int]]:
    """A card that calls ``n`` of a recording's windows unfamiliar, and which they are."""
    _, vectors = outputs(path, encoder)
    weights = vectors[2] - vectors.mean(axis=0)
    far = vectors @ weights
    order = np.argsort(-far)
    limit = (far[order[n - 1]] + far[order[n]]) / 2
    known = UnfamiliarSounds(
        readout="output:valid", weights=tuple(weights.tolist()), offset=-float(limit)
    )
    return known, sorted(order[:n].tolist())


def test_a_calibrated_model_reports_what_its_line_makes_of_the_logit(
    recording: Path, tiny_encoder: EAT
) -> None:
    logits, _ = outputs(recording, tiny_encoder)
    wanted = 1 / (1 + np.exp(-(2.0 * logits - 0.5)))
    report = predict(recording, model=with_facts(tiny_encoder, calibration=LINE), top_k=5)
    assert report.probabilities == "calibrated"
    for row in report.table.to_pylist():
        column = (tiny_encoder.labels or []).index(row["label"])
        assert row["probability"] == pytest.approx(wanted[row["window"], column], abs=1e-5)
    assert report.n_rows == wanted.size
    # thresholds are held against the probability that is reported
    middle = float(np.median(wanted))
    few = predict(recording, model=with_facts(tiny_encoder, calibration=LINE), threshold=middle)
    assert few.n_rows == (wanted.astype(np.float32) >= np.float32(middle)).sum()


def test_a_model_that_nobody_has_measured_reports_its_sigmoid(
    recording: Path, tiny_encoder: EAT
) -> None:
    report = predict(recording, model=with_facts(tiny_encoder), top_k=1)
    assert (report.probabilities, report.n_unfamiliar) == ("sigmoid", None)
    highest = outputs(recording, tiny_encoder)[0].max(axis=1)
    np.testing.assert_allclose(report.table["probability"], 1 / (1 + np.exp(-highest)), atol=1e-5)


def test_nothing_is_named_in_unfamiliar_windows_unless_that_is_wanted(
    recording: Path, tiny_encoder: EAT
) -> None:
    unfamiliar, which = beyond(recording, tiny_encoder, 2)
    model = with_facts(tiny_encoder, unfamiliar=unfamiliar)
    report = predict(recording, model=model, top_k=1, name_unfamiliar=False)
    assert report.table["window"].to_pylist() == [n for n in range(5) if n not in which]
    assert (report.n_unfamiliar, report.n_windows) == (2, 5)
    assert predict(recording, model=model).n_unfamiliar == 2  # by the model's own thresholds
    for asked in ({"top_k": 1}, {"threshold": 0.0}):
        named = predict(recording, model=model, **asked)
        assert set(named.table["window"].to_pylist()) == set(range(5))
    all_named = predict(recording, model=model, top_k=1, name_unfamiliar=True)
    assert all_named.table["window"].to_pylist() == [0, 1, 2, 3, 4]
    assert all_named.n_unfamiliar is None  # not looked for
    plain = predict(recording, model=tiny_encoder, top_k=1)
    assert all_named.table["probability"].to_pylist() == pytest.approx(
        plain.table["probability"].to_pylist(), abs=1e-6
    )


def test_an_empty_result_says_that_no_window_was_familiar(
    recording: Path, tiny_encoder: EAT
) -> None:
    unfamiliar, _ = beyond(recording, tiny_encoder, 2)
    every = unfamiliar.model_copy(update={"offset": 1e6})
    report = predict(recording, model=with_facts(tiny_encoder, unfamiliar=every))
    assert (report.n_rows, report.n_unfamiliar) == (0, 5)
    assert "no window sounds like what the model was trained on" in report.empty_because
    # the highest probability of a run is of a window that its threshold kept out
    facts = {"unfamiliar": unfamiliar, "threshold": 1.0}
    report = predict(recording, model=with_facts(tiny_encoder, **facts))
    logits, _ = outputs(recording, tiny_encoder)
    familiar = [n for n in range(5) if n not in beyond(recording, tiny_encoder, 2)[1]]
    best = 1 / (1 + np.exp(-logits[familiar].max()))
    assert f"highest probability was {best:.3f}" in report.empty_because


def test_a_silent_window_is_counted_as_silent_alone(recording: Path, tiny_encoder: EAT) -> None:
    samples, rate = soundfile.read(recording)
    samples[:rate] = 0
    soundfile.write(recording, samples, rate)
    unfamiliar, _ = beyond(recording, tiny_encoder, 2)
    every = unfamiliar.model_copy(update={"offset": 1e6})
    report = predict(recording, model=with_facts(tiny_encoder, unfamiliar=every))
    assert report.n_unfamiliar == 4
    assert any("1 windows hold no signal" in warning for warning in report.warnings)


def test_a_store_keeps_raw_scores_and_gives_the_rows_of_its_recordings(
    recording: Path, tmp_path: Path, tiny_encoder: EAT, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfamiliar, which = beyond(recording, tiny_encoder, 2)
    model = with_facts(tiny_encoder, calibration=LINE, unfamiliar=unfamiliar)
    embed(recording, model=model, store=tmp_path / "s", predict=True)
    logits, _ = outputs(recording, tiny_encoder)
    scores, _ = Store(tmp_path / "s").read_scores()
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-3)  # float16
    monkeypatch.setattr(classify, "known_card", {"tiny": model.card}.get)
    direct = predict(recording, model=model, top_k=5, name_unfamiliar=False)
    stored = predict(tmp_path / "s", top_k=5, name_unfamiliar=False)
    assert (stored.probabilities, stored.n_unfamiliar) == ("calibrated", len(which))
    keys = ["window", "label", "rank"]
    assert stored.table.select(keys).to_pylist() == direct.table.select(keys).to_pylist()
    np.testing.assert_allclose(stored.table["probability"], direct.table["probability"], atol=2e-3)
    assert predict(tmp_path / "s", top_k=1, name_unfamiliar=True).n_rows == 5
    # a store whose vectors are of something else cannot tell, and does not claim to
    embed(recording, model=model, store=tmp_path / "m", predict=True, readout="output:max")
    other = predict(tmp_path / "m", top_k=1, name_unfamiliar=False)
    assert (other.n_unfamiliar, other.n_rows) == (None, 5)


def test_weights_for_other_embeddings_are_refused(recording: Path, tiny_encoder: EAT) -> None:
    short = UnfamiliarSounds(readout="output:valid", weights=(1.0, 2.0), offset=0.0)
    with pytest.raises(UsageError, match="2 weights for embeddings of 64"):
        predict(recording, model=with_facts(tiny_encoder, unfamiliar=short))


@pytest.mark.parametrize(
    ("readout", "columns"),
    [
        ("8:valid", (0, 10)),
        ("-1:valid,8:valid", (10, 20)),
        ("-1:valid,8:std", None),
        ("8:valid:0.5", None),
        ("8:valid,8:bands", None),  # of another width, so it is not known where the first ends
    ],
)
def test_an_embedding_is_found_in_vectors_that_hold_more(
    readout: str, columns: tuple[int, int] | None
) -> None:
    whole = Readout.parse(readout)
    found = part_of(Readout.parse("8:valid"), whole, 10 * len(whole.parts))
    assert found == (None if columns is None else slice(*columns))


def test_settings_for_other_weights_bring_no_measured_facts(
    tiny_folder: Path, tiny_encoder: EAT, tmp_path: Path
) -> None:
    named = tmp_path / "named"
    named.mkdir()
    for file in tiny_folder.iterdir():
        (named / file.name).write_bytes(file.read_bytes())
    facts = LabelFacts(level="song", threshold=0.9, calibration=LINE)
    Card(name="tiny", config=tiny_encoder.config, label_facts=facts).write(named / "card.yaml")
    assert load_model(named, "cpu").card.label_facts == facts
    other = load_model(named, "cpu", checkpoint_path=tiny_folder / "model.safetensors")
    assert other.card.label_facts == LabelFacts(level="song")


def test_the_program_says_how_many_windows_sound_unfamiliar(
    recording: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copytree(tiny_folder, tmp_path / "tiny")
    card = Card.read(model / "card.yaml")
    weights = (0.0,) * card.config.dim
    known = UnfamiliarSounds(readout="output:valid", weights=weights, offset=1.0)
    facts = LabelFacts(calibration=LINE, unfamiliar=known)
    card.model_copy(update={"label_facts": facts}).write(model / "card.yaml")
    run = ["predict", str(recording), "-m", str(model), "--top-k", "1", "--device", "cpu"]
    assert main([*run, "--no-name-unfamiliar"]) == 0
    told = capsys.readouterr()
    assert "5 of 5 windows sound unlike all that the model was trained on" in told.err
    assert len(told.out.splitlines()) == 1  # the header alone
    assert main([*run, "--name-unfamiliar"]) == 0
    told = capsys.readouterr()
    assert "sound unlike" not in told.err
    assert len(told.out.splitlines()) == 6
    assert main([*run, "--no-name-unfamiliar", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["probabilities"], report["n_unfamiliar"]) == ("calibrated", 5)


def test_the_bundled_model_names_nothing_in_noise_hum_and_near_silence() -> None:
    rng = np.random.default_rng(7)
    time = np.arange(80_000) / 16_000
    noise = rng.standard_normal((3, 80_000))
    hum = np.sin(2 * np.pi * 50 * time) + 0.3 * np.sin(2 * np.pi * 150 * time)
    sounds = np.stack([0.1 * noise[0], 0.3 * hum + 0.001 * noise[1], 1e-4 * noise[2]])
    model = load_model("dawnchorus_eat_tiny", "cpu")
    raw = RawScores.of_card(model.card)
    assert raw.readout is not None
    with torch.no_grad():
        out = model.encode(torch.from_numpy(sounds.astype(np.float32)), layers=raw.readout.layers)
    far = raw.unlike_training(raw.readout.pool(out).numpy())
    lowest = np.array(model.card.label_facts.lowest(model.labels), np.float32)
    named = (raw.of_logits(out.logits.numpy()) >= lowest).any(axis=1)
    assert not (named & (far <= 0)).any()
    assert (far > 0).sum() >= 2


def test_the_bundled_card_says_on_what_each_threshold_rests(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["describe", "dawnchorus_eat_tiny", "--list-labels", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    own = [row for row in rows if row["threshold_is"] == "own"]
    shared = [row for row in rows if row["threshold_is"] == "shared"]
    assert len(own) + len(shared) == len(rows)
    assert len(own) >= 5
    for row in own:
        assert row["recordings"] >= 5, row
        assert 0.7 <= row["precision"] <= 1, row
    for row in rows:
        assert row["precision_low"] <= row["precision"] <= row["precision_high"], row
    assert len({row["threshold"] for row in shared}) == 1
    assert main(["describe", "dawnchorus_eat_tiny"]) == 0
    text = capsys.readouterr().out
    assert "calibration" in text
    assert "not calibrated" not in text


def test_the_bundled_model_stays_small() -> None:
    folder = BUNDLED / "dawnchorus_eat_tiny"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 12e6
