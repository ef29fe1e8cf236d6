"""Planted archives: recordings that call or do not, and scores that tell it more or less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dawnchorus.labelling.posterior import JudgedWindows
from dawnchorus.labelling.strata import bin_edges, bins_of, draw_windows, n_bins_for


@dataclass(frozen=True)
class CallWorld:
    """``recordings``, ``present`` and ``scores`` of each window."""

    recordings: np.ndarray
    present: np.ndarray
    scores: np.ndarray
    n_recordings: int


def draw_world(
    density: float,
    *,
    seed: int,
    n_windows: int,
    n_recordings: int,
    concentration: float = 2.0,
    site_spread: float = 0.0,
    n_sites: int = 1,
) -> CallWorld:
    """Recordings differ: each has its own share of calls, and noise that shifts all its scores.

    A ``concentration`` of 2 puts most calls in few recordings. ``site_spread`` is the standard
    deviation of the sites' log-odds; recording ``r`` is of site ``r % n_sites``.
    """
    rng = np.random.default_rng([seed, 77])
    site = rng.normal(0, site_spread, n_sites)[np.arange(n_recordings) % n_sites]
    odds = density / (1 - density) * np.exp(site)
    mean = odds / (1 + odds)
    share = rng.beta(mean * concentration, (1 - mean) * concentration)
    recordings = np.repeat(np.arange(n_recordings), n_windows // n_recordings)
    present = rng.random(len(recordings)) < share[recordings]
    noise = rng.normal(0, 0.7, n_recordings)[recordings]
    scores = rng.normal(0, 1, len(recordings)) + 2.5 * present + noise
    return CallWorld(recordings, present, scores, n_recordings)


def judge_world(world: CallWorld, n_judge: int, *, seed: int, whole: bool = False) -> Any:
    """Judge some windows of each bin: sizes of the bins and the judged windows."""
    edges = bin_edges(world.scores, n_bins_for(len(world.scores), n_judge))
    bins = bins_of(world.scores, edges)
    drawn = np.zeros(len(bins), bool)
    rows = draw_windows(bins, world.recordings, n_judge, drawn=drawn, seed=seed)
    sizes = np.bincount(bins, minlength=len(edges) + 1)
    windows = JudgedWindows(bins[rows], world.recordings[rows], world.present[rows], len(sizes))
    return (sizes, windows, bins, rows) if whole else (sizes, windows)
