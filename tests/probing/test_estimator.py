"""The probe as a scikit-learn classifier."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.probes.fitted import FittedProbe
from dawnchorus.probing.estimator import DawnChorusClassifier


@parametrize_with_checks([DawnChorusClassifier(strengths=(0.1,), calibration="none")])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_accepts_it(
    estimator: DawnChorusClassifier, check: Callable[[DawnChorusClassifier], None]
) -> None:
    check(estimator)


def blobs(seed: int = 0, n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 3
    return rng.normal(0, 1, (n, 4)) + 2 * np.eye(4)[label], np.array(["a", "b", "c"])[label]


def test_it_names_scores_and_is_cloned_cross_validated_and_joined_to_others() -> None:
    x, y = blobs()
    model = DawnChorusClassifier().fit(x[:60], y[:60], groups=np.arange(60) // 2)
    assert (model.predict(x[60:]) == y[60:]).mean() > 0.8
    p = model.predict_proba(x[60:])
    assert np.allclose(p.sum(axis=1), 1)
    assert model.probe_.calibration is not None
    assert clone(model).get_params() == model.get_params()
    joined = make_pipeline(
        StandardScaler(), DawnChorusClassifier(strengths=(0.1,), calibration="none")
    )
    groups = np.arange(60) // 2
    scores = cross_val_score(joined, x[:60], y[:60], cv=GroupKFold(2), groups=groups)
    assert scores.mean() > 0.7


def test_several_labels_an_item_give_a_column_each() -> None:
    x, _ = blobs()
    y = (x[:, :2] > 0.7).astype(int)
    model = DawnChorusClassifier(strengths=(0.1,), calibration="none").fit(x, y)
    assert model.predict(x).shape == (90, 2)
    assert (model.predict(x) == y).mean() > 0.85
    assert model.decision_function(x).shape == (90, 2)


def test_with_an_encoder_it_takes_waveforms_and_paths_alike(
    tiny_encoder: EAT, tmp_path: Path, write_sound: Callable[..., Path]
) -> None:
    paths = [write_sound(tmp_path / f"{n}.wav", 0.6 + n % 2, seed=n) for n in range(6)]
    model = DawnChorusClassifier(strengths=(0.1,), encoder=tiny_encoder, calibration="none")
    model.fit(paths, ["short", "long"] * 3)
    p = model.predict_proba([str(paths[0])])
    samples, rate = soundfile.read(paths[0], dtype="float32")
    assert rate == tiny_encoder.sample_rate
    assert np.allclose(model.predict_proba([samples]), p)
    model.probe_.save(tmp_path / "probe")
    FittedProbe.load(tmp_path / "probe").check(tiny_encoder)
    with pytest.raises(ValueError, match="got one path"):
        model.predict(str(paths[0]))
    with pytest.raises(UsageError, match="X contains no sound"):
        model.predict([])


def test_the_public_name_loads_it_late_and_says_what_is_missing() -> None:
    code = (
        "import sys, dawnchorus\n"
        "assert 'sklearn' not in sys.modules\n"
        "sys.modules['sklearn'] = None\n"
        "try:\n    dawnchorus.DawnChorusClassifier\n"
        "except dawnchorus.errors.DependencyError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'dawnchorus[probe]'" in done.stdout
