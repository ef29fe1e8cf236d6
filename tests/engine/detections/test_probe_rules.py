"""What a probe's thresholds let through: nothing of a class that has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dawnchorus.configs import FitConfig, Readout
from dawnchorus.engine.detections.probe_rules import rule_for, silent_labels
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.probes.features import Features
from dawnchorus.probes.fit import fit_probe
from dawnchorus.probes.fitted import EncoderMark, FittedProbe

CLASSES = ("owl", "Robin", "wren")


@pytest.fixture
def probe(tiny_encoder: EAT) -> FittedProbe:
    """Three classes on the mean of the last layer; fitted on noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 8)).astype(np.float32)
    return fit_probe(
        FitConfig(strengths=(0.1,)), Features(x, np.tile(np.eye(3), (4, 1))), None, CLASSES, False,
        encoder=EncoderMark.of(tiny_encoder), readout=Readout(),
    )  # fmt: skip


def rule(probe: FittedProbe, **chosen: Any) -> dict[str, Any]:
    return rule_for(probe, chosen)


def test_a_probe_without_any_threshold_is_refused_unless_the_user_chooses(
    probe: FittedProbe,
) -> None:
    for chosen in ({}, {"merge": True}, {"labels": ("owl",)}, {"threshold": None}):
        with pytest.raises(UsageError, match=r"no threshold for any of .*--threshold 0\.5"):
            rule_for(probe, chosen)
    for chosen in ({"top_k": 1}, {"threshold": 0.0}, {"thresholds": {"owl": 0.5}}):
        assert rule_for(probe, chosen) == chosen
    assert rule_for(None, {}) == {}


def test_of_the_labels_asked_for_only_those_with_a_threshold_give_rows(
    probe: FittedProbe,
) -> None:
    probe.thresholds = {"owl": 0.4, "Robin": 0.3}
    assert rule(probe) == {"thresholds": {"owl": 0.4, "Robin": 0.3}}
    assert rule(probe, labels=("ROBIN", "wren", "gull")) == {
        "labels": ("ROBIN", "gull"),  # the gull is not known, which is said elsewhere
        "thresholds": {"Robin": 0.3},
    }
    with pytest.raises(UsageError, match=r"any of wren: .*thresholds for owl, Robin"):
        rule(probe, labels=("wren",))


def test_a_threshold_of_the_user_s_wins_over_the_probe_s(probe: FittedProbe) -> None:
    probe.thresholds = {"owl": 0.4, "Robin": 0.3}
    merged = rule(probe, labels=("owl", "robin", "wren"), thresholds={"robin": 0.9, "wren": 0.8})
    assert merged == {
        "labels": ("owl", "robin", "wren"),
        "thresholds": {"owl": 0.4, "robin": 0.9, "wren": 0.8},
    }


def test_classes_that_give_no_rows_are_named(probe: FittedProbe) -> None:
    probe.thresholds = {"owl": 0.4}
    assert "no rows of Robin, wren" in silent_labels(probe, {})[0]
    assert "no rows of wren" in silent_labels(probe, {"labels": ("WREN", "owl")})[0]
    for chosen in ({"top_k": 1}, {"threshold": 0.5}, {"thresholds": {"wren": 0.5}}):
        assert silent_labels(probe, chosen) == []
    assert silent_labels(None, {}) == []


def test_names_of_a_birdnet_list_mean_the_probe_s_classes(probe: FittedProbe) -> None:
    probe.thresholds = {"owl": 0.4, "Robin": 0.3}
    assert rule(probe, labels=("Robin_European Robin", "gull")) == {
        "labels": ("Robin", "gull"),
        "thresholds": {"Robin": 0.3},
    }
    merged = rule(probe, labels=("Robin_European Robin",), thresholds={"Robin_Robin": 0.9})
    assert merged["thresholds"] == {"Robin": 0.9}
    with pytest.raises(UsageError, match=r"no threshold for any of wren"):
        rule(probe, labels=("Wren_Eurasian Wren",))
    assert "no rows of wren" in silent_labels(probe, {"labels": ("Wren_Eurasian Wren",)})[0]
