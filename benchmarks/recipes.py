"""What do labels, self-supervision and a teacher each give, at the same number of steps?

    python benchmarks/recipes.py --data CORPUS --out runs/recipes --steps 400 --seeds 1 2 3

Trains six arms a seed with the two local recipes, batches halved and the band statistics off, so
that nothing but the named signals teaches:

    labels               post-training
    self                 pretraining
    both                 pretraining for half of the steps, post-training for the other half
    labels+teacher       as labels, with the soft targets of the recipe's teacher
    self+teacher         as both, without labels
    both+teacher         as both, with the teacher

A step of either stage costs about alike; the minutes of each arm are printed beside its scores.
What is finished is not done again, what was stopped resumes. ``--score val`` or ``--score test``
prints the scores of what there is: probe, retrieval and NMI of ``local_tasks.py``, mean over tasks
and seeds, with the deviation over seeds.
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

RECIPES = Path(__file__).parents[1] / "recipes"
STAGES = {
    "labels": (0.0, True, False),
    "self": (1.0, False, False),
    "both": (0.5, True, False),
    "labels+teacher": (0.0, True, True),
    "self+teacher": (0.5, False, True),
    "both+teacher": (0.5, True, True),
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
    parser.add_argument("--layers", nargs="+", default=["8", "-1", "pre_norm:bands:0.2"])
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
    return config


def shortened(recipe: str, name: str, steps: int, seed: int) -> dict[str, Any]:
    """A recipe with halved batches and so many steps."""
    config: dict[str, Any] = yaml.safe_load((RECIPES / f"{recipe}.yaml").read_text("utf-8"))
    config |= {"name": name, "steps": steps, "seed": seed, "warmup_steps": steps // 10}
    config["validate_every"] = max(1, steps // 4)
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
    script = Path(__file__).with_name("local_tasks.py")
    folder = options.out / f"scores-{options.score}-{'-'.join(options.layers).replace(':', '_')}"
    print(f"{'arm':16}{'seeds':>6}{'probe':>16}{'retrieval':>16}{'NMI':>16}{'minutes':>9}")
    for arm in options.arms:
        found, minutes = [], []
        for seed in options.seeds:
            name = f"{arm}-{options.steps}-{seed}"
            if not (options.out / name / "seconds.json").is_file():
                continue
            scores = folder / f"{name}.json"
            if not scores.is_file():
                program = [sys.executable, str(script), "--data", str(options.data)]
                program += ["--model", str(options.out / name), "--split", options.score]
                program += ["--no-baselines", "--out", str(folder), "--layers", *options.layers]
                subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
            tasks = json.loads(scores.read_text("utf-8"))
            found.append(
                [
                    float(np.mean([t[measure] for t in tasks.values() if measure in t]))
                    for measure in ("probe", "retrieval", "nmi")
                ]
            )
            minutes.append(seconds(arm, seed, options) / 60)
        if found:
            mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
            cells = "".join(f"{m:9.3f} ±{s:5.3f}" for m, s in zip(mean, spread, strict=True))
            print(f"{arm:16}{len(found):6}{cells}{np.mean(minutes):9.1f}")


def seconds(arm: str, seed: int, options: argparse.Namespace) -> float:
    """How long the stages of an arm took."""
    n_first = round(STAGES[arm][0] * options.steps)
    names = {f"{arm}-{options.steps}-{seed}"} | ({f"self-{n_first}-{seed}"} if n_first else set())
    files = [options.out / name / "seconds.json" for name in names]
    return sum(json.loads(file.read_text("utf-8"))["seconds"] for file in files)


if __name__ == "__main__":
    main()
