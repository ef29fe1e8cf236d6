"""What a label is worth: mAP by number of labels, for each strategy of `label suggest`.

    OMP_NUM_THREADS=2 python benchmarks/label_rounds.py ../shared/data

The train clips of each local task are the archive, a simulated judge knows their labels, and a
linear probe of what was judged so far ranks the validation clips. Test clips are never read. Each
label is looked for by itself, from one sound of it on, in rounds of at most 20. Every label that
somebody judges counts, those that mixed draws for an estimate too, on which no probe is trained.
After the tasks come several of them as one archive, in which a label is rarer (`JOINED`).
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from dawnchorus import load_model
from dawnchorus.audio.decode.read import read_audio
from dawnchorus.labelling.choose import Choosable, choose
from dawnchorus.labelling.suggest import FIRST_GUESS, HALF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

STRATEGIES = ("mixed", "margin", "high", "diverse", "random")
BUDGETS = (10, 20, 40, 80, 160)
ROUND = 20  # labels between two fits
STRENGTH = 0.1  # C of the probe, as in a fit that has too little to choose it
SHORTEST_S = 0.32  # what the encoder is given of a shorter clip, the rest being silence
# tasks as one archive; those of `MANY` share no recording, so what is absent in another is absent
THREE = ("local/digits", "local/digit_speakers", "local/finch_syllables_b")
MANY = (
    "local/bird_groups", "local/orthoptera", "local/esc50", *THREE, "local/command_speakers",
    "local/finch_syllables_a",
)  # fmt: skip
JOINED = (THREE, MANY)
BATCH_S, MOST_CLIPS = 80.0, 64  # of sound, and clips, in a batch


@dataclass(frozen=True)
class Task:
    """Vectors and labels of a task: ``train`` is the archive, ``val`` is what is scored on."""

    name: str
    labels: list[str]
    x: Floats
    y: Flags
    recordings: NDArray[np.int64]
    x_val: Floats
    y_val: Flags


def read_tasks(data: Path, names: list[str]) -> Iterator[Task]:
    """Local tasks, embedded with the bundled model; each clip once."""
    every = pq.read_table(data / "manifest.parquet").to_pylist()
    names = names or list(dict.fromkeys(task for row in every for task in row["tasks"] or ()))
    rows = [
        row
        for row in every
        if row["split"] in ("train", "val") and set(row["tasks"] or ()) & set(names)
    ]
    rows.sort(key=lambda row: row["path"])
    vectors = dict(zip((row["id"] for row in rows), embedded(rows, data), strict=True))
    for name in names:
        own = [row for row in rows if name in row["tasks"]]
        labels = sorted({label for row in own for label in row["labels"]})
        x = np.array([vectors[row["id"]] for row in own], np.float64)
        y = np.array([[label in row["labels"] for label in labels] for row in own])
        train = np.array([row["split"] == "train" for row in own])
        paths = np.unique([row["path"] for row in own], return_inverse=True)[1]
        scale = x[train].std(axis=0) + 1e-9
        x = (x - x[train].mean(axis=0)) / scale
        yield Task(name, labels, x[train], y[train], paths[train], x[~train], y[~train])


def joined(tasks: list[Task]) -> Task:
    """Several tasks as one archive: a clip has the labels of its own task and no other's."""
    width = sum(len(task.labels) for task in tasks)
    y: dict[str, list[Flags]] = {"train": [], "val": []}
    first = 0
    for task in tasks:
        for split, own in (("train", task.y), ("val", task.y_val)):
            wide = np.zeros((len(own), width), bool)
            wide[:, first : first + own.shape[1]] = own
            y[split].append(wide)
        first += len(task.labels)
    before = np.cumsum([0, *(task.recordings.max() + 1 for task in tasks)])
    return Task(
        name=f"{len(tasks)} tasks as one archive",
        labels=[f"{task.name} {label}" for task in tasks for label in task.labels],
        x=np.concatenate([task.x for task in tasks]),
        y=np.concatenate(y["train"]),
        recordings=np.concatenate(
            [task.recordings + n for task, n in zip(tasks, before[:-1], strict=True)]
        ),
        x_val=np.concatenate([task.x_val for task in tasks]),
        y_val=np.concatenate(y["val"]),
    )


def embedded(rows: list[dict[str, Any]], data: Path) -> NDArray[np.float32]:
    """A vector for each row, ``(rows, dim)``; batches hold clips of about one length."""
    encoder = load_model("dawnchorus_eat_tiny")
    rate = encoder.sample_rate
    sounds = list(cut(rows, data, rate))
    order = np.argsort([len(sound) for sound in sounds], kind="stable")
    vectors: dict[int, NDArray[np.float32]] = {}
    while len(vectors) < len(order):
        left = order[len(vectors) : len(vectors) + MOST_CLIPS]
        longest_s = len(sounds[left[-1]]) / rate
        at = left[: max(1, int(BATCH_S / longest_s))]
        lengths = [max(int(SHORTEST_S * rate), len(sounds[one])) for one in at]
        waves = np.zeros((len(at), max(lengths)), np.float32)
        for wave, one in zip(waves, at, strict=True):
            wave[: len(sounds[one])] = sounds[one]
        with torch.inference_mode():
            found = encoder.embed(torch.from_numpy(waves), torch.tensor(lengths))
        vectors |= dict(zip(at.tolist(), found.numpy(), strict=True))
    return np.array([vectors[one] for one in range(len(rows))])


def cut(rows: list[dict[str, Any]], data: Path, rate: int) -> Iterator[NDArray[np.float32]]:
    """The sound of each row; rows of one file follow each other, and it is decoded once."""
    path, whole = "", np.zeros(0, np.float32)
    for row in rows:
        if row["path"] != path:
            path, whole = row["path"], read_audio(data / row["path"], sample_rate=rate)
        stop_s = row["stop_s"] or len(whole) / rate
        yield whole[int((row["start_s"] or 0.0) * rate) : int(stop_s * rate)]


def scores_of(task: Task, k: int, known: NDArray[np.int64], x: Floats) -> tuple[Floats, float]:
    """What is known of clips after some were judged: their scores, and the boundary."""
    y = task.y[known, k]
    if y.all():  # nothing was called absent yet: how much they sound like the positives
        like = task.x[known].mean(axis=0)
        scores = x @ like / (np.linalg.norm(x, axis=1) + 1e-12)
        return scores, float(np.quantile(scores, FIRST_GUESS))
    probe = LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3).fit(task.x[known], y)
    return probe.predict_proba(x)[:, 1], HALF


def curve(task: Task, k: int, strategy: str, seed: int) -> list[float]:
    """Average precision on the validation clips at each of `BUDGETS` that the archive holds."""
    draws = np.random.default_rng([seed, k])
    start = int(draws.choice(np.flatnonzero(task.y[:, k])))
    done = np.zeros(len(task.x), bool)
    done[start] = True
    known, n_judged, found = [start], 0, []
    for budget in (budget for budget in BUDGETS if budget < len(task.x)):
        while n_judged < budget:
            n = min(budget - n_judged, ROUND)
            scores, boundary = None, 0.0
            if strategy not in ("diverse", "random"):
                scores, boundary = scores_of(task, k, np.array(known), task.x)
            windows = Choosable(
                scores=scores,
                boundary=boundary,
                recordings=task.recordings,
                done=done,
                estimated=done,  # of thousands of windows few are drawn twice
                n_positives=int(task.y[done, k].sum()),
                vectors=lambda rows: task.x[rows],
            )
            chosen = choose(windows, n, strategy, int(draws.integers(1 << 30)))
            done[chosen.rows] = True
            learned = chosen.rows if strategy == "random" else chosen.rows[~chosen.at_random]
            known += learned.tolist()
            n_judged += len(chosen.rows)
        scores, _ = scores_of(task, k, np.array(known), task.x_val)
        found.append(float(average_precision_score(task.y_val[:, k], scores)))
    return found


def measured(task: Task, n_labels: int, seeds: int) -> dict[str, NDArray[np.float64]]:
    """The mAP of a task ``(seeds, budgets)`` for each strategy."""
    can = [k for k in range(len(task.labels)) if task.y[:, k].sum() > 1 and task.y_val[:, k].any()]
    draws = np.random.default_rng(0)
    chosen = sorted(draws.permutation(can)[:n_labels].tolist())
    return {
        strategy: np.array(
            [
                np.mean([curve(task, k, strategy, seed) for k in chosen], axis=0)
                for seed in range(seeds)
            ]
        )
        for strategy in STRATEGIES
    }


def main() -> None:
    """Print a table for each task, and their mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the local tasks")
    parser.add_argument("--labels", type=int, default=6, help="labels of a task, drawn once")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="*", default=[], help="such as local/digits; none: all")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    began = time.monotonic()
    tasks = list(read_tasks(options.data, options.tasks))
    print(f"embedded in {time.monotonic() - began:.0f} s")
    by_name = {task.name: task for task in tasks}
    whole_sets = [names for names in JOINED if set(names) <= set(by_name)]
    tasks += [joined([by_name[name] for name in names]) for names in whole_sets]
    print(f"{'task':24} {'pool':>5}  strategy " + "".join(f"{n:>15}" for n in BUDGETS))
    whole: dict[str, list[NDArray[np.float64]]] = {strategy: [] for strategy in STRATEGIES}
    for task in tasks:
        task_began = time.monotonic()
        found = measured(task, options.labels, options.seeds)
        for strategy, values in found.items():
            cells = (
                f"{m:.3f} ± {s:.3f}" for m, s in zip(values.mean(0), values.std(0), strict=True)
            )
            name, pool = (task.name, str(len(task.x))) if strategy == STRATEGIES[0] else ("", "")
            print(f"{name:24} {pool:>5}  {strategy:9}" + "".join(f"{c:>15}" for c in cells))
            if values.shape[1] == len(BUDGETS) and task.name.startswith("local/"):
                whole[strategy].append(values)
        print(f"{'':24} {time.monotonic() - task_began:.0f} s", flush=True)
    n_whole = len(whole[STRATEGIES[0]])
    print(f"mean of the {n_whole} tasks whose archive is large enough for all columns")
    for strategy, values in whole.items() if n_whole else ():
        means = np.mean(values, axis=0)
        cells = (f"{m:.3f} ± {s:.3f}" for m, s in zip(means.mean(0), means.std(0), strict=True))
        print(f"{'':31} {strategy:9}" + "".join(f"{c:>15}" for c in cells))
    print(f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
