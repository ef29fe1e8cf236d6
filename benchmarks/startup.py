"""Seconds to import and to print the help, and what an installation weighs.

python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution, distributions
from typing import Final

from packaging.requirements import Requirement
from paired import paired

LOAD: Final = "import dawnchorus; dawnchorus.load_model('dawnchorus_eat_tiny', device='cpu')"
# arguments of a fresh interpreter, and the seconds that are promised
WAYS: Final = {
    "python -c pass": (["-c", "pass"], None),
    "import dawnchorus": (["-c", "import dawnchorus"], 0.2),
    "dawnchorus --help": (["-m", "dawnchorus", "--help"], 0.3),
    "dawnchorus embed --help": (["-m", "dawnchorus", "embed", "--help"], 0.3),
    "import torch": (["-c", "import torch"], None),
    "dawnchorus.load_model": (["-c", "import dawnchorus; dawnchorus.load_model"], None),
    "load_model of the bundled": (["-c", LOAD], 2.0),
}


def run(arguments: list[str]) -> None:
    """Run a fresh interpreter to its end."""
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


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
    took = paired({name: lambda a=a: run(a) for name, (a, _) in WAYS.items()}, rounds=7)
    for name, seconds in took.items():
        goal = WAYS[name][1]
        print(f"{name:26s}{seconds:6.3f} s", "" if goal is None else f"  (promised: {goal:g})")
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
