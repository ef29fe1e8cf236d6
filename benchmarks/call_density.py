"""Does the interval of a density hold the truth as often as it says? By simulation.

python benchmarks/call_density.py [--simulations 200] [--judge 200] > table.md

Each simulation plants an archive: recordings that differ in how much they call (a beta distribution
of concentration 2, so that most calls are in few recordings) and in noise that shifts all scores of
a recording. 200 windows are drawn as `label density --judge 200` draws them, and judged without a
mistake. A 90% interval should hold the share of all windows with the call in 90 of 100 simulations.

Compared: the prior of 0.1, 0.5 and 1 (uniform); the draws as they are, with the prior in bins where
nothing was heard counted in the lower end too; and as many windows judged at random over the whole
archive, with the prior 0.1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from call_worlds import CallWorld, draw_world, judge_world
from dawnchorus.labelling.density import Density, Settings, draw_density
from dawnchorus.labelling.posterior import JudgedWindows
from dawnchorus.labelling.strata_density import stratum_densities

DENSITIES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0005)
N_WINDOWS, N_RECORDINGS, N_SITES = 60_000, 120, 6
N_DRAWS = 1000


def estimates(world: CallWorld, n_judge: int, seed: int) -> dict[str, Density]:
    """The density by each method."""
    sizes, judged = judge_world(world, n_judge, seed=seed)
    found = {}
    for prior in (0.1, 0.5, 1.0):
        draws = draw_density(sizes, judged, Settings(prior=prior, n_draws=N_DRAWS, seed=seed))
        found[f"prior {prior:g}"] = draws.density(0.9)
        if prior != 0.5:
            shares = draws.calls.sum(axis=1) / sizes.sum()
            low, high = np.quantile(shares, [0.05, 0.95])
            plain = Density(int(sizes.sum()), n_judge, float(shares.mean()), low, high, "own")
            found[f"prior {prior:g}, draws as they are"] = plain
    rows = np.random.default_rng([seed, 5]).choice(len(world.scores), n_judge, replace=False)
    everywhere = np.zeros(n_judge, np.int64)
    judged = JudgedWindows(everywhere, world.recordings[rows], world.present[rows], 1)
    draws = draw_density(np.array([len(world.scores)]), judged, Settings(n_draws=N_DRAWS))
    return {**found, "at random, prior 0.1": draws.density(0.9)}


def one_density(density: float, n: int, n_judge: int) -> dict[str, tuple[float, float, float]]:
    """Coverage, median width over the truth, and mean estimate over the truth, by method."""
    kept: dict[str, list[tuple[bool, float, float, float]]] = {}
    for seed in range(n):
        world = draw_world(density, seed=seed, n_windows=N_WINDOWS, n_recordings=N_RECORDINGS)
        truth = float(world.present.mean())
        for name, found in estimates(world, n_judge, seed).items():
            inside = found.low <= truth <= found.high
            line = (inside, found.high - found.low, found.density, truth)
            kept.setdefault(name, []).append(line)
    table = {}
    for name, lines in kept.items():
        inside, width, value, truths = np.array(lines, float).T
        mean = truths.mean()
        table[name] = (inside.mean(), float(np.median(width)) / mean, value.mean() / mean)
    return table


def sites(density: float, n: int, n_judge: int) -> tuple[float, float]:
    """Coverage of sites whose log-odds differ by a standard deviation of 1.2, and median width."""
    inside, widths = [], []
    for seed in range(n):
        world = draw_world(
            density, seed=seed, n_windows=N_WINDOWS, n_recordings=N_RECORDINGS,
            site_spread=1.2, n_sites=N_SITES,
        )  # fmt: skip
        sizes, judged, bins, rows = judge_world(world, n_judge, seed=seed, whole=True)
        site = world.recordings % N_SITES
        table = np.zeros((N_SITES, len(sizes)), np.int64)
        np.add.at(table, (site, bins), 1)
        counts = np.full(N_SITES, N_RECORDINGS // N_SITES)
        settings = Settings(n_draws=N_DRAWS, seed=seed)
        for one, found in enumerate(stratum_densities(table, counts, judged, site[rows], settings)):
            truth = float(world.present[site == one].mean())
            inside.append(found.low <= truth <= found.high)
            widths.append(found.high - found.low)
    return float(np.mean(inside)), float(np.median(widths))


def main() -> None:
    """Print both tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--judge", type=int, default=200)
    given = parser.parse_args()
    tables = {d: one_density(d, given.simulations, given.judge) for d in DENSITIES}
    print("| method | " + " | ".join(f"{d:g}" for d in DENSITIES) + " |")
    print("|---" * (len(DENSITIES) + 1) + "|")
    for name in next(iter(tables.values())):
        cells = [tables[d][name] for d in DENSITIES]
        print(
            f"| {name} | " + " | ".join(f"{c:.2f} ({w:.2g}; {v:.2g})" for c, w, v in cells) + " |"
        )
    print()
    n = max(given.simulations // 4, 10)
    for density in DENSITIES[::2]:
        coverage, width = sites(density, n, given.judge)
        print(f"sites at {density:g}: {coverage:.2f} of {n * N_SITES} inside, width {width:.3g}")


if __name__ == "__main__":
    main()
