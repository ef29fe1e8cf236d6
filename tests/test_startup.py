"""Importing and asking for help stay light, and every public name is there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dawnchorus

HEAVY = {"torch", "pyarrow", "pydantic", "huggingface_hub", "soundfile", "numpy", "sklearn"}


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after some code."""
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split("\n")[-2].split())


@pytest.mark.cli
@pytest.mark.parametrize(
    "code",
    ["import dawnchorus", "from dawnchorus.cli.app import main; main(['--help'])"],
    ids=["import", "help"],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    assert loaded_after(code) & HEAVY == set()
    assert "torch" in loaded_after("import dawnchorus; dawnchorus.load_model")


PUBLIC = [
    "AnnotationTable", "DawnChorusClassifier", "Encoder", "EncoderOutput", "Store", "__version__",
    "call_density", "cluster_stores", "describe_model", "embed", "list_model_layers", "list_models",
    "load_label_mapping", "load_model", "measure_activity", "posttrain",
    "predict", "pretrain", "probe_evaluate", "probe_fit", "register_model", "run_benchmark",
    "search_stores", "suggest_windows",
]  # fmt: skip


def test_the_public_names_are_these() -> None:
    """Adding one is a promise, and taking one away breaks a promise."""
    assert dawnchorus.__all__ == PUBLIC == sorted(PUBLIC)
    assert dir(dawnchorus) == PUBLIC


def test_a_type_checker_sees_what_is_loaded_on_first_use() -> None:
    tree = ast.parse(Path(dawnchorus.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            there = f":{alias.name}" if alias.asname else ""
            seen[alias.asname or alias.name] = f"{node.module}{there}"
    assert seen == dawnchorus._HOME
    assert {*seen, "__version__"} == set(PUBLIC)


def test_every_public_name_is_there() -> None:
    for name in dawnchorus.__all__:
        assert getattr(dawnchorus, name) is not None, name
    with pytest.raises(AttributeError, match="nonsense"):
        _ = dawnchorus.nonsense
