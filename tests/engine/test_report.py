"""What a report says of a run follows from what was counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dawnchorus.engine.report import RunReport


def report(*, n_workers: int) -> RunReport:
    return RunReport(
        model="m",
        device="cpu",
        precision="float32",
        n_found=1,
        n_done=1,
        n_skipped=0,
        n_failed=0,
        n_windows=10,
        duration_s=100.0,
        elapsed_s=10.0,
        seconds={"read": 3.0, "resample": 1.0, "frontend": 4.0, "encoder": 32.0, "write": 0.5},
        n_workers=n_workers,
        failures=(),
        warnings=(),
    )


def test_a_stage_with_several_workers_is_busy_for_its_share_of_each() -> None:
    assert report(n_workers=4).busy == pytest.approx(
        {"reading": 0.4, "encoder": 0.9, "writing": 0.05}
    )
    assert report(n_workers=1).busy["encoder"] == pytest.approx(3.6)


def test_reading_is_busy_for_its_share_of_each_reading_thread() -> None:
    assert replace(report(n_workers=4), n_readers=8).busy["reading"] == pytest.approx(0.05)


def test_the_factor_counts_sound_by_the_run_s_own_time() -> None:
    assert report(n_workers=2).real_time_factor == pytest.approx(10.0)
