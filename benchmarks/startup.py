"""Seconds to import and to print the help, beside torch's import, and what an installation weighs.

python benchmarks/startup.py
python benchmarks/startup.py --against OTHER/src   the loads by another version too, in turns
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib.metadata import distribution, distributions
from typing import Final

from packaging.requirements import Requirement
from paired import paired

LOAD: Final = "import dawnchorus; dawnchorus.load_model('dawnchorus_eat_tiny', device='cpu')"
TORCH: Final = "import torch"
# arguments of a fresh interpreter, and the seconds that are promised
WAYS: Final = {
    "python -c pass": (["-c", "pass"], None),
    "import dawnchorus": (["-c", "import dawnchorus"], 0.2),
    "dawnchorus --help": (["-m", "dawnchorus", "--help"], 0.3),
    "dawnchorus embed --help": (["-m", "dawnchorus", "embed", "--help"], 0.3),
    TORCH: (["-c", "import torch"], None),
    "dawnchorus.load_model": (["-c", "import dawnchorus; dawnchorus.load_model"], None),
    "load_model of the bundled": (["-c", LOAD], 2.0),
}


def run(arguments: list[str], source: str | None = None) -> None:
    """Run a fresh interpreter to its end; ``source``: the folder of another version."""
    env = os.environ if source is None else {**os.environ, "PYTHONPATH": source}
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=env)


def needed(name: str, found: set[str]) -> set[str]:
    """The package and all that it needs here, by normalised name."""
    name = name.lower().replace("_", "-")
    here = {d.metadata["Name"].lower().replace("_", "-") for d in distributions()}
    if name in found or name not in here:
        return found
    found.add(name)
    for line in distribution(name).requires or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed(requirement.name, found)
    return found


def main() -> None:
    """Print times and sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", help="folder of another version's source")
    parser.add_argument("--only", nargs="*", help="ways whose name holds one of these")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    chosen = {
        name: way
        for name, way in WAYS.items()
        if not options.only or any(word in name for word in [*options.only, TORCH])
    }
    work = {name: lambda a=a: run(a) for name, (a, _) in chosen.items()}
    if options.against:
        work |= {
            f"{name}, before": lambda a=a: run(a, options.against)
            for name, (a, _) in chosen.items()
            if "load_model" in name
        }
    took = paired(work, rounds=options.rounds)
    for name, seconds in took.items():
        goal = WAYS.get(name, ([], None))[1]
        print(
            f"{name:34s}{seconds:6.3f} s{seconds / took[TORCH]:8.2f} of torch's import",
            "" if goal is None else f"  (promised: {goal:g} s)",
        )
    if options.only:
        return
    packages = needed("dawnchorus", set())
    sizes = {name: installed_bytes(name) for name in packages}
    print(f"\n{len(packages)} packages, {sum(sizes.values()) / 1e6:.0f} MB; the largest:")
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True)[:6]:
        print(f"  {name:24s}{sizes[name] / 1e6:7.1f} MB")


def installed_bytes(name: str) -> int:
    """Bytes on disk of a package's files."""
    paths = (file.locate() for file in distribution(name).files or [])
    return sum(path.stat().st_size for path in paths if path.is_file())


if __name__ == "__main__":
    main()
