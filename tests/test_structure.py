"""The script that measures the code counts a small package right."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "structure.py"

A = '''"""A docstring is no code."""
from __future__ import annotations
from dawnchorus import b

# a comment
def shared(first: int, *, second: int) -> int:
    """Nor is this one."""

    return first
'''
B = """from dawnchorus.a import shared as other
class Thing:
    def method(self, x: int) -> int:
        def inner() -> None: ...
        return x
def shared() -> None: ...
"""
REPEATED = "\n".join(f"value_{n} = {n}" for n in range(6)) + "\n"


@pytest.fixture(scope="module")
def structure() -> ModuleType:
    if not SCRIPT.is_file():
        pytest.skip("the scripts of benchmarks/ are not in this copy")
    spec = importlib.util.spec_from_file_location("structure", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["structure"] = module  # dataclasses look their own module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["structure"]
    return module


@pytest.fixture
def figures(structure: ModuleType, tmp_path: Path) -> dict[str, object]:
    package = tmp_path / "src" / "dawnchorus"
    package.mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    texts = {"__init__.py": "", "a.py": A, "b.py": B, "c.py": REPEATED, "d.py": REPEATED + "x = 1"}
    for name, text in texts.items():
        (package / name).write_text(text)
    (tmp_path / "tests" / "test_a.py").write_text("assert True\n\n# nothing\nassert True\n")
    measured: dict[str, object] = structure.measure(tmp_path)
    return measured


def test_lines_functions_and_parameters_are_counted(figures: dict[str, object]) -> None:
    assert figures["files"] == 5
    assert figures["code lines"] == 4 + 6 + 6 + 7
    assert figures["test lines"] == 2
    assert figures["functions"] == 4
    assert figures["parameters"] == 3
    assert figures["comments per 100 code lines"] == round(100 / 23, 1)


def test_repeats_shared_names_and_circles_are_found(figures: dict[str, object]) -> None:
    assert figures["lines in repeats of 6 or more"] == 12
    assert figures["shared names"] == {"shared": 2}
    assert figures["cycles"] == [["dawnchorus.a", "dawnchorus.b"]]


def test_a_table_stands_beside_an_earlier_state(
    structure: ModuleType, figures: dict[str, object]
) -> None:
    lines = structure.table(figures, {**figures, "files": 7, "packages": {"old": 9}})
    assert lines[0] == "| figure | before | now |"
    assert "| files | 7 | 5 |" in lines
    assert "| `old`, code lines | 9 | - |" in lines
