"""Seconds to import and to print the help, and what an installation weighs.

python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution, distributions

from packaging.requirements import Requirement
from paired import paired

WAYS = {
    "python -c pass": ["-c", "pass"],
    "import dawnchorus": ["-c", "import dawnchorus"],
    "dawnchorus --help": ["-m", "dawnchorus", "--help"],
    "dawnchorus embed --help": ["-m", "dawnchorus", "embed", "--help"],
    "dawnchorus.load_model": ["-c", "import dawnchorus; dawnchorus.load_model"],
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
    """Print both tables."""
    took = paired({name: lambda a=a: run(a) for name, a in WAYS.items()}, rounds=7)
    for name, seconds in took.items():
        print(f"{name:26s}{seconds:6.3f} s")
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
