"""Of equal trials the surer one wins."""

from __future__ import annotations

import pytest

from dawnchorus.probes.choose import Trial, best_of


@pytest.mark.parametrize(("ties", "epoch"), [("loss", 2), ("first", 1)])
def test_of_equal_epochs_the_surer_or_the_first_is_kept(ties: str, epoch: int) -> None:
    trial = Trial({}, [0.5, 0.8, 0.8, 0.7], [1.0, 0.9, 0.6, 0.5])
    assert trial.best(ties)[2] == epoch
    worse = Trial({}, [0.7], [0.1])
    assert best_of([worse, trial], ties) == (trial, epoch)
