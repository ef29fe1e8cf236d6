"""Importing and asking for help stay light, and every public name is there."""

from __future__ import annotations

import ast
import gc
import subprocess
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dawnchorus
from dawnchorus import configs
from dawnchorus.late_imports import import_quickly, on_first_use

if TYPE_CHECKING:
    from types import ModuleType

HEAVY = {"torch", "pyarrow", "pydantic", "huggingface_hub", "soundfile", "numpy", "sklearn"}


def loaded_after(code: str) -> set[str]:
    """Modules that a fresh interpreter holds after some code."""
    show = "import sys; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split("\n")[-2].split())


@pytest.mark.cli
@pytest.mark.parametrize(
    "code",
    [
        "import dawnchorus",
        "import dawnchorus.configs",
        "from dawnchorus.cli.app import main; main(['--help'])",
        "from dawnchorus.cli.app import main; main(['--version'])",
    ],
    ids=["import", "configs", "help", "version"],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    assert loaded_after(code) & HEAVY == set()


@pytest.mark.cli
def test_a_model_is_loaded_without_what_recordings_and_other_models_need() -> None:
    loaded = loaded_after("import dawnchorus; dawnchorus.load_model('dawnchorus_eat_tiny', 'cpu')")
    others = {"pyarrow", "huggingface_hub", "soundfile", "soxr", "sklearn", "scipy", "pandas"}
    assert loaded & others == set()
    # which torch imports at the first tensor without values, for seconds
    assert loaded & {"torch._dynamo", "sympy"} == set()
    assert {name for name in loaded if name.startswith("dawnchorus.configs.")} == {
        f"dawnchorus.configs.{name}" for name in ("base", "json_file", "readout", "yaml_file")
    }


@pytest.mark.parametrize("was_enabled", [True, False])
def test_no_garbage_is_collected_during_an_import_and_as_before_after_it(
    *, was_enabled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_here.py").write_text("import gc\nSEEN = gc.isenabled()\n1 / SEEN\n")
    monkeypatch.syspath_prepend(tmp_path)
    (gc.enable if was_enabled else gc.disable)()
    try:
        with pytest.raises(ZeroDivisionError):  # also when the import fails
            import_quickly("imported_here")
        assert gc.isenabled() == was_enabled
    finally:
        gc.enable()


class Looped:
    """Garbage once nobody else holds it."""

    def __init__(self) -> None:
        self.me = self


def test_garbage_of_an_import_is_collected_later_and_what_a_program_froze_stays_frozen() -> None:
    gc.collect()
    gone = weakref.ref(Looped())
    import_quickly("string")
    gc.collect(1)
    assert gone() is not None  # counts as old
    gc.collect()
    assert gone() is None
    gc.freeze()
    try:
        n_frozen = gc.get_freeze_count()
        import_quickly("string")
        assert gc.get_freeze_count() == n_frozen > 0
    finally:
        gc.unfreeze()


def test_a_name_is_looked_for_once() -> None:
    find = on_first_use(__name__, {"ELSEWHERE": "string:digits"})
    assert find("ELSEWHERE") == globals()["ELSEWHERE"] == "0123456789"


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


@pytest.mark.parametrize("package", [dawnchorus, configs])
def test_a_type_checker_sees_what_is_loaded_on_first_use(package: ModuleType) -> None:
    tree = ast.parse(Path(package.__file__ or "").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            there = f":{alias.name}" if alias.asname else ""
            seen[alias.asname or alias.name] = f"{node.module}{there}"
    assert seen == package._HOME
    assert {*seen} == {*package.__all__} - {"__version__"}


def test_every_public_name_is_there() -> None:
    for name in dawnchorus.__all__:
        assert getattr(dawnchorus, name) is not None, name
    with pytest.raises(AttributeError, match="nonsense"):
        _ = dawnchorus.nonsense
