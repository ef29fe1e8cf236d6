"""What every command can be run on: small sounds, a store, a probe, results, recipes.

`make_inputs` writes them once for a session, and tests only read them. A `Call` is a command with
arguments in which ``{calls}`` stands for a path of the inputs and ``{out}`` for a fresh folder.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import yaml

from benchmark.corpus import make_corpus
from conftest import make_sound
from dawnchorus.benchmark.run import benchmark
from dawnchorus.clips.folders import manifest_of_folder
from dawnchorus.clips.manifest import write_manifest
from dawnchorus.configs import FitConfig, ProbeRunConfig
from dawnchorus.configs.benchmark import BenchmarkConfig
from dawnchorus.engine.embed import embed
from dawnchorus.probing.fit import probe_fit
from dawnchorus.probing.labels import read_labels
from sources.test_every_source import SAMPLES

RATE = 16_000
PITCHES = {"owl": 700.0, "wren": 5000.0}
N_CALLS = 8  # of each label
TRAINING: dict[str, Any] = {
    "name": "small",
    "steps": 2,
    "warmup_steps": 1,
    "learning_rate": 0.001,
    "window_s": 1.0,
    "device": "cpu",
    "buckets": [{"crop_s": 1.0, "batch_size": 4}],
    "checkpoint_every": 1,
    "validate_every": 2,
    "log_every": 1,
}
# What a command writes has its own time, wherever it is run.
PROBE_CONFIG = ProbeRunConfig(fit=FitConfig(probe_type="linear", seed=0))


@dataclass(frozen=True)
class Call:
    """A command with its arguments.

    Attributes:
        words: the command, such as ``data split``.
        arguments: its arguments in one line; names of inputs stand in braces.
        writes: what is in ``{out}`` after a call that is right.
        code: the exit code.
        message: what standard error says of a call that is wrong.
    """

    words: str
    arguments: str = ""
    writes: tuple[str, ...] = ()
    code: int = 0
    message: str = ""

    def line(self, inputs: dict[str, Path], out: Path) -> list[str]:
        """The arguments of the program."""
        # split first: a path may hold a blank
        filled = [text.format(out=out, **inputs) for text in self.arguments.split()]
        return [*self.words.split(), *filled]


def make_inputs(root: Path, model: Path) -> dict[str, Path]:
    """Write all inputs below ``root``; gives their paths by name."""
    inputs = {"root": root, "model": model, "calls": root / "calls"}
    for number, (label, pitch) in enumerate(PITCHES.items()):
        for k in range(N_CALLS):
            path = inputs["calls"] / label / f"{k}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, _call(pitch, seed=100 * number + k), RATE)
    inputs["recordings"] = root / "recordings"
    for k, name in enumerate(("a.wav", "b.wav")):
        make_sound(inputs["recordings"] / name, 2.5 + k, seed=k)
    inputs |= _manifests(root, inputs["calls"])
    inputs |= _made_by_runs(root, model, inputs)
    return inputs | _recipes(root, inputs["corpus"]) | _collections(root)


def _call(pitch: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time_s = np.arange(RATE // 2) / RATE
    wave = np.sin(2 * np.pi * pitch * rng.uniform(0.95, 1.05) * time_s)
    return 0.3 * wave * np.hanning(len(wave)) + 0.02 * rng.normal(size=len(wave))


def _manifests(root: Path, calls: Path) -> dict[str, Path]:
    manifest = root / "all.parquet"
    write_manifest(manifest_of_folder(calls).manifest, manifest)
    online = root / "online.parquet"
    # under a licence that no call accepts: a download of it asks nobody
    rows = [
        {"id": str(k), "path": url, "url": url, "labels": ["owl"], "licence": "all rights reserved"}
        for k, url in enumerate(("https://x.invalid/0.mp3", "https://x.invalid/1.mp3"))
    ]
    pq.write_table(pa.Table.from_pylist(rows), online)
    return {"manifest": manifest, "online": online}


def _made_by_runs(root: Path, model: Path, inputs: dict[str, Path]) -> dict[str, Path]:
    made = {name: root / name for name in ("store", "probe", "results", "corpus")}
    embed(inputs["recordings"], store=made["store"], model=model, device="cpu", predict=True)
    probe_fit(read_labels([inputs["calls"]]), made["probe"], model=model, config=PROBE_CONFIG)
    make_corpus(made["corpus"])
    benchmark(
        BenchmarkConfig(
            models=[str(model)], tasks=["local/bird_species"], data=str(made["corpus"]),
            output=str(made["results"]), probes=[], device="cpu",
        )
    )  # fmt: skip
    return made


def _recipes(root: Path, corpus: Path) -> dict[str, Path]:
    data = {"root": str(corpus)}
    recipes = {
        "pretraining": {
            **TRAINING, "kind": "pretrain", "data": data, "n_clones": 2,
            "decoder": {"n_layers": 1}, "ema": {"start": 0.9, "end": 0.95, "n_steps": 10},
        },
        "posttraining": {**TRAINING, "kind": "posttrain", "data": data, "pooling": "valid"},
    }  # fmt: skip
    for name, values in recipes.items():
        (root / f"{name}.yaml").write_text(yaml.safe_dump(values))
    return {name: root / f"{name}.yaml" for name in recipes}


def _collections(root: Path) -> dict[str, Path]:
    """A small published collection of each source, by the name of the source without hyphens."""
    paths = {}
    for source, sample in SAMPLES.items():
        name = "".join(filter(str.isalpha, source))
        (root / name).mkdir()
        paths[name] = sample.write(root / name)
    return paths


def state_of(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, every folder with None."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def emptied(folder: Path) -> Path:
    """The folder, new and empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
