"""What every command can be run on: small sounds, a store, a probe, results, recipes.

`Inputs` writes each once for a session, when it is first needed, and tests only read them. A `Call`
is a command with arguments in which ``{calls}`` stands for a path of the inputs and ``{out}`` for a
fresh folder.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
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
from dawnchorus.annotations.annotation_table import AnnotationTable, changed, new_row
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

    def line(self, inputs: Mapping[str, Path], out: Path) -> list[str]:
        """The arguments of the program."""
        names = re.findall(r"{(\w+)}", self.arguments)
        needed = {name: inputs[name] for name in names if name != "out"}
        # split first: a path may hold a blank
        filled = [text.format_map({"out": out, **needed}) for text in self.arguments.split()]
        return [*self.words.split(), *filled]


class Inputs(Mapping[str, Path]):
    """Paths of the inputs by name; the first test that asks for one has it written."""

    def __init__(self, root: Path, model: Path) -> None:
        """Nothing is written yet; ``model`` is a folder that is there."""
        root.mkdir(parents=True)
        self._paths = {"root": root, "model": model}

    def __getitem__(self, name: str) -> Path:
        if name not in self._paths:
            path = self["root"] / name
            self._paths[name] = _MADE[name](self, path) or path
        return self._paths[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("root", "model", *_MADE))

    def __len__(self) -> int:
        return len(_MADE) + 2


def _calls(_: Inputs, folder: Path) -> None:
    for number, (label, pitch) in enumerate(PITCHES.items()):
        for k in range(N_CALLS):
            path = folder / label / f"{k}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, _call(pitch, seed=100 * number + k), RATE)


def _call(pitch: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time_s = np.arange(RATE // 2) / RATE
    wave = np.sin(2 * np.pi * pitch * rng.uniform(0.95, 1.05) * time_s)
    return 0.3 * wave * np.hanning(len(wave)) + 0.02 * rng.normal(size=len(wave))


def _recordings(_: Inputs, folder: Path) -> None:
    for k, name in enumerate(("a.wav", "b.wav")):
        make_sound(folder / name, 2.5 + k, seed=k)


def _manifest(inputs: Inputs, path: Path) -> Path:
    path = path.with_suffix(".parquet")
    write_manifest(manifest_of_folder(inputs["calls"]).manifest, path)
    return path


def _online(_: Inputs, path: Path) -> Path:
    # under a licence that no call accepts: a download of it asks nobody
    rows = [
        {"id": str(k), "path": url, "url": url, "labels": ["owl"], "licence": "all rights reserved"}
        for k, url in enumerate(("https://x.invalid/0.mp3", "https://x.invalid/1.mp3"))
    ]
    path = path.with_suffix(".parquet")
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def _store(inputs: Inputs, folder: Path) -> None:
    embed(inputs["recordings"], store=folder, model=inputs["model"], device="cpu", predict=True)


def _deployment(_: Inputs, folder: Path) -> None:
    for name in ("hill/20240501_045930.wav", "hill/20240502_040000.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_sound(folder / name, 60.0)
    rows = ["hill/20240501_045930.wav,20,25,wren,0.9", "hill/20240501_045930.wav,40,45,wren,0.8"]
    table = "\n".join(["path,start_s,stop_s,label,probability", *rows])
    (folder / "detections.csv").write_text(f"{table}\n")


def _boxes(_: Inputs, path: Path) -> Path:
    path = path.with_suffix(".csv")
    path.write_text("path,start_s,end_s,label\na.wav,0,2,owl\na.wav,3,4,frog\n")
    return path


def _table(_: Inputs, folder: Path) -> None:
    rows = [new_row("a.wav", start, start + 2, "owl", author="ann") for start in (0, 5)]
    AnnotationTable(folder, create=True).append(rows)


def _judged(_: Inputs, folder: Path) -> None:
    # nothing waits, so a command that asks asks nothing
    row = new_row("a.wav", 0, 2, "owl", author="ann", state=None, source="suggested")
    AnnotationTable(folder, create=True).append([row, changed(row, state="absent", author="ann")])


def _probe(inputs: Inputs, folder: Path) -> None:
    labels = read_labels([inputs["calls"]])
    probe_fit(labels, folder, model=inputs["model"], config=PROBE_CONFIG)


def _corpus(_: Inputs, folder: Path) -> None:
    make_corpus(folder)


def _results(inputs: Inputs, folder: Path) -> None:
    benchmark(
        BenchmarkConfig(
            models=[str(inputs["model"])], tasks=["local/bird_species"], probes=[],
            data=str(inputs["corpus"]), output=str(folder), device="cpu",
        )
    )  # fmt: skip


def _recipe(kind: str, **own: Any) -> Callable[[Inputs, Path], Path]:
    def write(inputs: Inputs, path: Path) -> Path:
        values = {**TRAINING, "kind": kind, "data": {"root": str(inputs["corpus"])}, **own}
        path = path.with_suffix(".yaml")
        path.write_text(yaml.safe_dump(values))
        return path

    return write


def _collection(source: str) -> Callable[[Inputs, Path], Path]:
    """A small published collection of a source."""

    def write(_: Inputs, folder: Path) -> Path:
        folder.mkdir()
        return SAMPLES[source].write(folder)

    return write


_EMA = {"start": 0.9, "end": 0.95, "n_steps": 10}
# how each input is made in a path of its name; a function gives the path if it is another
_MADE: dict[str, Callable[[Inputs, Path], Path | None]] = {
    "calls": _calls,
    "recordings": _recordings,
    "manifest": _manifest,
    "online": _online,
    "store": _store,
    "deployment": _deployment,
    "boxes": _boxes,
    "saidrows": _table,
    "judged": _judged,
    "probe": _probe,
    "corpus": _corpus,
    "results": _results,
    "pretraining": _recipe("pretrain", n_clones=2, decoder={"n_layers": 1}, ema=_EMA),
    "posttraining": _recipe("posttrain", pooling="valid"),
    **{"".join(filter(str.isalpha, name)): _collection(name) for name in SAMPLES},
}


def state_of(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, every folder with None.

    What searches keep in a store can be made again at any time, and is left out.
    """
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if "search" not in path.relative_to(folder).parts
    }


def emptied(folder: Path) -> Path:
    """The folder, new and empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
