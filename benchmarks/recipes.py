"""What do labels, self-supervision and a teacher each give, at the same number of steps?

    python benchmarks/recipes.py --data CORPUS --out runs/recipes --steps 400 --seeds 1 2 3

Trains six arms a seed with the two local recipes, batches halved and the band statistics off, so
that nothing but the named signals teaches:

    labels               post-training
    self                 pretraining
    both                 pretraining for half of the steps, post-training for the other half
    labels_teacher       as labels, with the soft targets of the recipe's teacher
    self_teacher         as both, without labels
    both_teacher         as both, with the teacher

A step of either stage costs about alike; the minutes of each arm are printed beside its scores.
What is finished is not done again, what was stopped resumes. ``--score val`` or ``--score test``
prints the scores of what there is: probe, retrieval and NMI of `dawnchorus benchmark`, mean over
tasks and seeds, with the standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dawnchorus.benchmark.results import main_scores
from dawnchorus.benchmark.run import benchmark
from dawnchorus.configs.benchmark import BenchmarkConfig

RECIPES = Path(__file__).parents[1] / "recipes"
STAGES = {
    "labels": (0.0, True, False),
    "self": (1.0, False, False),
    "both": (0.5, True, False),
    "labels_teacher": (0.0, True, True),
    "self_teacher": (0.5, False, True),
    "both_teacher": (0.5, True, True),
}  # share of steps in pretraining, labels, teacher


def main() -> None:
    """Train the arms seed by seed, or score them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--arms", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--score", choices=("val", "test"), help="score instead of training")
    parser.add_argument("--readout", default="8,-1", help="scored")
    parser.add_argument("--tasks", nargs="+", help="scored; default: all of the corpus")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.score:
        show(options)
        return
    for seed in options.seeds:
        for arm in options.arms:
            train(arm, seed, options)


def train(arm: str, seed: int, options: argparse.Namespace) -> None:
    """Run the stages of one arm, as far as they are not there."""
    share, labels, teacher = STAGES[arm]
    n_first = round(share * options.steps)
    start = None
    if n_first:
        start = f"self-{n_first}-{seed}"
        run("pretrain", pretraining(start, n_first, seed), options)
    if n_first < options.steps:
        name = f"{arm}-{options.steps}-{seed}"
        config = posttraining(name, options.steps - n_first, seed)
        config["label_weight"] *= labels
        if not teacher:
            del config["data"]["teacher"]
        if start:
            config["init_from"] = str(options.out / start)
        run("posttrain", config, options)


def pretraining(name: str, steps: int, seed: int) -> dict[str, Any]:
    """The local pretraining recipe, its schedules drawn together to so many steps."""
    config = shortened("eat_tiny_pretrain_local", name, steps, seed)
    # the teacher looks back over a quarter of the run, as far as the paper's does
    config["ema"] = {"start": 0.97, "end": 1 - 4 / steps, "n_steps": steps // 3}
    return config


def posttraining(name: str, steps: int, seed: int) -> dict[str, Any]:
    """The local post-training recipe without its band statistics."""
    config = shortened("eat_tiny_local", name, steps, seed)
    config["band_statistics_weight"] = 0.0
    config["init_from"] = None
    return config


def shortened(recipe: str, name: str, steps: int, seed: int) -> dict[str, Any]:
    """A recipe with halved batches and so many steps."""
    config: dict[str, Any] = yaml.safe_load((RECIPES / f"{recipe}.yaml").read_text("utf-8"))
    config |= {"name": name, "steps": steps, "seed": seed, "warmup_steps": steps // 10}
    config["validate_every"] = steps  # costs as much as 50 steps
    config["log_every"] = 10
    for bucket in config["buckets"]:
        bucket["batch_size"] //= 2
    return config


def run(command: str, config: dict[str, Any], options: argparse.Namespace) -> None:
    """Call the program; note the seconds it took."""
    folder = options.out / config["name"]
    done = folder / "seconds.json"
    if done.is_file():
        return
    recipe = options.out / f"{config['name']}.yaml"
    recipe.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    print(f"{time.strftime('%H:%M')} {command} {config['name']}", flush=True)
    began = time.monotonic()
    program = [sys.executable, "-m", "dawnchorus", command, str(recipe), "--quiet"]
    subprocess.run([*program, "--data", str(options.data), "--runs", str(options.out)], check=True)
    done.write_text(json.dumps({"seconds": time.monotonic() - began}), "utf-8")


def show(options: argparse.Namespace) -> None:
    """Score every finished arm and print the mean and spread over seeds."""
    print(f"{'arm':16}{'seeds':>6}{'probe':>16}{'retrieval':>16}{'NMI':>16}{'minutes':>9}")
    for arm in options.arms:
        names = {seed: f"{arm}-{options.steps}-{seed}" for seed in options.seeds}
        there = [s for s in options.seeds if (options.out / names[s] / "seconds.json").is_file()]
        if not there:
            continue
        found = [scores(names[seed], options) for seed in there]
        mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
        cells = "".join(f"{m:9.3f} ±{s:5.3f}" for m, s in zip(mean, spread, strict=True))
        minutes = np.mean([seconds(arm, seed, options) for seed in there]) / 60
        print(f"{arm:16}{len(there):6}{cells}{minutes:9.1f}", flush=True)


def scores(name: str, options: argparse.Namespace) -> list[float]:
    """Means over tasks of probe, retrieval and NMI; what was computed is kept."""
    config = BenchmarkConfig(
        models=(f"{name}={options.out / name}",),
        tasks=tuple(options.tasks or ["local/*"]),
        data=str(options.data),
        output=str(options.out / "scores"),
        split=options.score,
        readouts=(options.readout,),
        device="cpu",
    )
    benchmark(config)
    rows = [row for row in main_scores(config) if row["model"] == name]
    kinds = {"retrieval_roc_auc": "retrieval", "nmi": "nmi"}
    return [
        float(np.mean([r["value"] for r in rows if kinds.get(r["measure"], "probe") == kind]))
        for kind in ("probe", "retrieval", "nmi")
    ]


def seconds(arm: str, seed: int, options: argparse.Namespace) -> float:
    """How long the stages of an arm took."""
    n_first = round(STAGES[arm][0] * options.steps)
    names = {f"{arm}-{options.steps}-{seed}"} | ({f"self-{n_first}-{seed}"} if n_first else set())
    files = [options.out / name / "seconds.json" for name in names]
    return sum(json.loads(file.read_text("utf-8"))["seconds"] for file in files)


if __name__ == "__main__":
    main()
