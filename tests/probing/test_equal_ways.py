"""One set of clips through every front door: estimator, `probe_fit`, `predict --probe`, store."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus import DawnChorusClassifier, embed, predict, probe_evaluate, probe_fit
from dawnchorus.cli.app import main
from dawnchorus.configs import FitConfig, ProbeRunConfig
from dawnchorus.models.load import load_model
from dawnchorus.probes.fitted import FittedProbe
from dawnchorus.probing.labels import read_labels

RATE = 16_000
HERTZ = {"owl": 900.0, "wren": 4200.0}
CONFIG = ProbeRunConfig(
    fit=FitConfig(strengths=(0.1,)), device="cpu", confidence=0.0, calibration="none", window_s=1.0
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of one window, so that an item of the estimator is a window of the probe."""
    folder = tmp_path_factory.mktemp("clips")
    for label, hertz in HERTZ.items():
        (folder / label).mkdir()
        for k in range(8):
            rng = np.random.default_rng(k + 100 * len(label))
            time_s = np.arange(RATE) / RATE
            wave = 0.1 * np.sin(2 * np.pi * hertz * (1 + 0.1 * rng.normal()) * time_s)
            noisy = wave + 0.1 * rng.normal(size=RATE)
            soundfile.write(folder / label / f"{k}.wav", noisy, RATE)
    return folder


@pytest.fixture(scope="module")
def probe(clips: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probe") / "calls.probe"
    probe_fit(read_labels(clips), folder, model=tiny_folder, config=CONFIG)
    return folder


def names_and_paths(clips: Path) -> tuple[list[str], list[Path]]:
    paths = sorted(clips.glob("*/*.wav"))
    return [path.parent.name for path in paths], paths


def rows_of(table: Path) -> dict[str, dict[str, float]]:
    """Probabilities by file and label."""
    found: dict[str, dict[str, float]] = {}
    with table.open() as file:
        for row in csv.DictReader(file):
            found.setdefault(Path(row["path"]).as_posix(), {})[row["label"]] = float(
                row["probability"]
            )
    return found


def test_the_estimator_fits_the_probe_that_probe_fit_fits(
    clips: Path, probe: Path, tiny_folder: Path
) -> None:
    labels, paths = names_and_paths(clips)
    theirs = FittedProbe.load(probe)
    ours = DawnChorusClassifier(
        strengths=(0.1,), calibration="none", encoder=load_model(tiny_folder, device="cpu")
    ).fit(paths, labels)
    by_probe = predict(paths, probe=theirs, model=tiny_folder, device="cpu", top_k=2).table
    assert by_probe is not None
    expected = {(row["path"], row["label"]): row["probability"] for row in by_probe.to_pylist()}
    for path, row in zip(paths, ours.predict_proba(paths), strict=True):
        for label, p in zip(ours.classes_, row, strict=True):
            key = (path.relative_to(clips).as_posix(), str(label))
            assert p == pytest.approx(expected[key], abs=1e-4)


def test_the_command_line_names_what_python_names(clips: Path, probe: Path, tmp_path: Path) -> None:
    common = ["--device", "cpu", "--top-k", "2", "-q"]
    for name, command in {
        "now.csv": ["predict", "--probe", str(probe), str(clips)],
        "before.csv": ["probe", "predict", str(probe), str(clips)],
    }.items():
        assert main([*command, "-o", str(tmp_path / name), *common]) == 0
    assert (tmp_path / "now.csv").read_text() == (tmp_path / "before.csv").read_text()
    table = predict(clips, probe=probe, device="cpu", top_k=2).table
    assert table is not None
    by_command = rows_of(tmp_path / "now.csv")
    for row in table.to_pylist():
        assert by_command[row["path"]][row["label"]] == pytest.approx(row["probability"], abs=1e-6)


def test_probe_predict_says_that_it_is_predict_now(
    clips: Path, probe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["probe", "predict", str(probe), str(clips), "-o", str(tmp_path / "x.csv")]
    assert main([*line, "--device", "cpu"]) == 0
    assert "probe predict is now predict --probe" in capsys.readouterr().err


def test_a_score_is_the_same_from_sound_from_the_cache_and_from_a_store(
    clips: Path, probe: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    embed(clips, store=tmp_path / "s", model=tiny_folder, device="cpu", window_s=1.0,
          dtype="float32")  # fmt: skip
    labels, cache = read_labels(clips), tmp_path / "cache"
    ways = [
        probe_evaluate(probe, labels, config=CONFIG, seen=True),
        probe_evaluate(probe, labels, config=CONFIG, seen=True, cache=cache),
        probe_evaluate(probe, labels, config=CONFIG, seen=True, cache=cache),
        probe_evaluate(probe, labels, config=CONFIG, seen=True, store=tmp_path / "s"),
    ]
    first = ways[0].evaluation
    for report in ways[1:]:
        assert report.n_windows == len(first.truth)
        # a store has its windows in the order of its recordings, not of the labels
        assert np.array_equal(report.evaluation.truth, first.truth)
        np.testing.assert_allclose(report.evaluation.probabilities, first.probabilities, atol=1e-4)


def test_an_evaluation_of_the_clips_held_out_says_what_the_fit_says(
    clips: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    """Clips of val: the fit scores them as `probe_evaluate` does when it gets them alone."""
    rows = [
        f"{path},{label},{'val' if int(path.stem) % 2 else 'train'}"
        for label, path in zip(*names_and_paths(clips), strict=True)
    ]
    table = tmp_path / "all.csv"
    table.write_text("\n".join(["path,label,split", *rows]) + "\n")
    report = probe_fit(read_labels(table), tmp_path / "p", model=tiny_folder, config=CONFIG)
    table.write_text("\n".join(["path,label,split", *(r for r in rows if ",val" in r)]) + "\n")
    again = probe_evaluate(tmp_path / "p", read_labels(table), config=CONFIG, seen=True)
    assert report.evaluation is not None
    np.testing.assert_allclose(
        again.evaluation.probabilities, report.evaluation.probabilities, atol=1e-6
    )
    assert again.evaluation.scores == report.evaluation.scores


def test_a_probe_is_scored_on_the_readout_that_it_was_fitted_on(
    clips: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    of_block = ProbeRunConfig(**{**CONFIG.model_dump(exclude={"fit"}), "readout": "0:mean"})
    probe_fit(read_labels(clips), tmp_path / "p", model=tiny_folder, config=of_block)
    left_out = probe_evaluate(tmp_path / "p", read_labels(clips), config=CONFIG, seen=True)
    named = probe_evaluate(tmp_path / "p", read_labels(clips), config=of_block, seen=True)
    p = left_out.evaluation.probabilities
    assert np.array_equal(p, named.evaluation.probabilities)
    assert (p.argmax(axis=1) == left_out.evaluation.truth.argmax(axis=1)).mean() > 0.9
