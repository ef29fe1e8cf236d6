"""Do thresholds hold what they promise? Simulated fits, the plain threshold and with confidence.

Recordings hold one clip or several, some of which are calls. Scores of calls are higher by a
distance, those of one recording lie higher or lower together, and some recordings have more calls
than others. A fit sees so many recordings; its threshold is measured on 100,000 clips of others.

    python benchmarks/threshold_confidence.py --draws 200 --target 0.9

Columns: the share of fits that gave a threshold; of all fits, the share that gave one under the
target; of those that gave one, the share that meets it; recall at the threshold beside that of the
best possible one; coverage of the 95% intervals of precision and of recall, where there is one.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dawnchorus.probes.thresholds import ClassThreshold, find_thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Clips = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]

DISTANCE = {"well": 4.0, "fairly": 2.5}
SHIFT = 0.4  # of the scores of a recording, in standard deviations of its clips
SIZES = ((10, 10), (20, 1), (20, 5), (40, 1), (40, 3), (100, 1), (100, 3))


class Case(NamedTuple):
    """What is fitted to."""

    n_recordings: int
    n_clips: int
    balance: float
    separated: str


def draw(case: Case, n_recordings: int, rng: np.random.Generator) -> Clips:
    """Scores, which clips are calls, and recordings."""
    sizes = np.ones(n_recordings, int)
    share = np.full(n_recordings, case.balance)
    if case.n_clips > 1:
        sizes += rng.poisson(case.n_clips - 1, n_recordings)
        share = rng.beta(2 * case.balance, 2 * (1 - case.balance), n_recordings)
    group = np.repeat(np.arange(n_recordings), sizes)
    hits = rng.random(len(group)) < share[group]
    scores = DISTANCE[case.separated] * hits + rng.normal(size=len(group))
    return scores + SHIFT * rng.normal(size=n_recordings)[group], hits, group


class Others:
    """Clips of other recordings, on which a threshold is worth what it is."""

    def __init__(self, case: Case, n_recordings: int) -> None:
        """Draw them."""
        scores, hits, _ = draw(case, n_recordings, np.random.default_rng(99))
        order = np.argsort(scores)
        self.scores = scores[order]
        self.right = np.cumsum(hits[order][::-1])[::-1]
        self.precisions = self.right / np.arange(len(scores), 0, -1)

    def at(self, value: float) -> tuple[float, float]:
        """Precision and recall."""
        place = min(int(np.searchsorted(self.scores, value)), len(self.scores) - 1)
        return float(self.precisions[place]), float(self.right[place] / self.right[0])

    def best_recall(self, target: float) -> float:
        """Of the lowest threshold with the precision."""
        place = int((self.precisions >= target).argmax())
        return float(self.right[place] / self.right[0])


def row(case: Case, confidence: float, target: float, n_draws: int) -> str:
    """Cells of one case and rule."""
    others = Others(case, 100_000 // case.n_clips)
    met, recalls = [], []
    covered: dict[str, list[bool]] = {"precision": [], "recall": []}
    for seed in range(n_draws):
        clips = draw(case, case.n_recordings, np.random.default_rng(seed))
        found = fitted(clips, confidence, target)
        if found.value is None:
            continue
        precision, recall = others.at(found.value)
        met.append(precision >= target)
        recalls.append(recall)
        for name, true in (("precision", precision), ("recall", recall)):
            low, high = getattr(found, f"{name}_low"), getattr(found, f"{name}_high")
            if low is not None:
                covered[name].append(low <= true <= high)
    cells = [
        f"{len(met) / n_draws:.0%}",
        f"{(len(met) - sum(met)) / n_draws:.0%}",
        share(met),
        f"{np.mean(recalls):.2f}" if recalls else "",
        f"{others.best_recall(target):.2f}",
        share(covered["precision"]),
        share(covered["recall"]),
    ]
    return " | ".join(cells)


def fitted(clips: Clips, confidence: float, target: float) -> ClassThreshold:
    """The threshold of the one class."""
    scores, hits, group = clips
    return find_thresholds(
        scores[:, None], hits[:, None], ["call"], group, precision=target, confidence=confidence
    )[0]


def share(values: list[bool]) -> str:
    """In per cent; nothing of under ten."""
    return f"{np.mean(values):.0%}" if len(values) >= 10 else ""


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--target", type=float, default=0.9)
    parser.add_argument("--confidence", type=float, nargs="+", default=[0.0, 0.8])
    args = parser.parse_args()
    print(
        "| recordings | clips in each | calls | separated | confidence | gave one | missed | met | "
        "recall | possible | precision covered | recall covered |"
    )
    print("|" + "---|" * 12)
    for separated in DISTANCE:
        for n_recordings, n_clips in SIZES:
            for balance in (0.2, 0.5):
                case = Case(n_recordings, n_clips, balance, separated)
                for confidence in args.confidence:
                    told = f"{n_recordings} | {n_clips} | {balance:.0%} | {separated}"
                    cells = row(case, confidence, args.target, args.draws)
                    print(f"| {told} | {confidence:g} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
