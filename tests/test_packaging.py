"""What pyproject.toml asks for is used, and what messages ask for is in it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dawnchorus import __version__

ROOT = Path(__file__).parents[1]
SOURCES = {
    path: path.read_text(encoding="utf-8") for path in (ROOT / "src" / "dawnchorus").rglob("*.py")
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# How a package is imported, where that is not its name.
IMPORTED_AS = {
    "lightning-fabric": "lightning_fabric",
    "scikit-learn": "sklearn",
    "umap-learn": "umap",
    "universal_pathlib": "upath",
    "PyYAML": "yaml",
    "huggingface-hub": "huggingface_hub",
}
# Found by another library, at the word that leads it there.
REACHED_BY = {
    "s3fs": '"s3"',
    "gcsfs": '"gs"',
    "tensorboard": "torch.utils.tensorboard",
    "tzdata": "zoneinfo",
}
# The site is built by programs, which `docs/conf.py` names.
OF_THE_SITE = "docs"


def names_of(requirements: list[str]) -> list[str]:
    return [re.split(r"[><=;\[ ]", requirement)[0] for requirement in requirements]


PACKAGES = sorted(
    {("base", name) for name in names_of(PROJECT["dependencies"])}
    | {
        (extra, name)
        for extra, requirements in PROJECT["optional-dependencies"].items()
        for name in names_of(requirements)
        if extra != OF_THE_SITE
    }
)


@pytest.mark.parametrize(("extra", "package"), PACKAGES)
def test_a_package_that_is_asked_for_is_used(extra: str, package: str) -> None:
    module = IMPORTED_AS.get(package, package)
    pattern = rf"^\s*(import|from) {module}\b|import_module\(.{module}\b"
    if package in REACHED_BY:
        pattern = re.escape(REACHED_BY[package])
    assert any(re.search(pattern, text, re.MULTILINE) for text in SOURCES.values()), (
        f"{package} of {extra} is not used anywhere"
    )


def test_a_missing_package_is_asked_for_by_an_extra_that_brings_it() -> None:
    """What `DependencyError` names must be in the extra that it names."""
    call = re.compile(r'DependencyError\(\s*"([\w-]+)",\s*"(\w+)"')
    found = {match for text in SOURCES.values() for match in call.findall(text)}
    assert found
    for package, extra in found:
        assert package in names_of(PROJECT["optional-dependencies"][extra]), (package, extra)


def test_the_version_is_one() -> None:
    assert PROJECT["version"] == __version__
