"""`auto` is bfloat16 only where it pays; what a model computes in is what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import originals
from dawnchorus.errors import UsageError
from dawnchorus.models import precision
from dawnchorus.models.eat import EAT
from dawnchorus.models.load import load_model
from dawnchorus.models.precision import (
    VARIABLE,
    has_units,
    multiplies_bfloat16,
    resolve_precision,
)
from dawnchorus.nn.rounded import Products

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 1)
# as /proc/cpuinfo says, shortened
SAPPHIRE_RAPIDS = "fpu avx2 avx512f avx512bw avx512_bf16 avx512_fp16 amx_tile amx_bf16 amx_int8"
ZEN_4 = "fpu sse4a avx2 avx512f avx512bw avx512_bf16 avx512_vnni"
ICE_LAKE = "fpu avx2 avx512f avx512bw avx512vl avx512dq avx512_vnni"
ZEN_2 = "fpu sse4a avx avx2 fma"
GRAVITON_3 = "fp asimd sve bf16 i8mm svebf16"
GRAVITON_2 = "fp asimd atomics asimdrdm"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """``machine(text of cpuinfo)``: nobody decided for it, and torch's kernels take bfloat16."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(precision, "_onednn_takes_it", lambda: True)

    def become(cpuinfo: str | None) -> None:
        path = tmp_path / "cpuinfo"
        monkeypatch.setattr(precision, "CPUINFO", path)
        if cpuinfo is not None:
            path.write_text(cpuinfo)

    return become


@pytest.mark.parametrize("flags", [SAPPHIRE_RAPIDS, ZEN_4, GRAVITON_3])
def test_a_processor_with_units_takes_bfloat16(flags: str) -> None:
    assert has_units(flags.split())


@pytest.mark.parametrize("flags", [ICE_LAKE, ZEN_2, GRAVITON_2, ""])
def test_one_that_would_imitate_it_does_not(flags: str) -> None:
    assert not has_units(flags.split())


@pytest.mark.parametrize(
    ("cpuinfo", "chosen"),
    [
        (f"processor\t: 0\nmodel name\t: X\nflags\t\t: {SAPPHIRE_RAPIDS}\nbugs\t: a\n", "bfloat16"),
        (f"processor\t: 0\nflags\t\t: {ZEN_2}\nbugs\t\t: amx_bf16\n", "float32"),
        (f"processor\t: 0\nBogoMIPS\t: 2\nFeatures\t: {GRAVITON_3}\n", "bfloat16"),
        ("processor\t: 0\n", "float32"),
    ],
    ids=["x86 with", "x86 without", "arm with", "no flags"],
)
def test_auto_reads_what_linux_says(
    machine: Callable[..., None], cpuinfo: str, chosen: str
) -> None:
    machine(cpuinfo)
    assert resolve_precision("auto", CPU) == chosen
    assert resolve_precision("float32", CPU) == "float32"
    assert resolve_precision("bfloat16", CPU) == "bfloat16"


@pytest.mark.parametrize(
    ("checks", "chosen"),
    [
        ({"_is_avx512_bf16_supported": lambda: True}, "bfloat16"),
        ({"_is_amx_tile_supported": lambda: True}, "bfloat16"),
        ({"_is_avx512_bf16_supported": lambda: False}, "float32"),
        ({}, "float32"),  # a torch that no longer has these questions
    ],
    ids=["vectors", "tiles", "neither", "not to be asked"],
)
def test_without_linux_torch_is_asked(
    machine: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    checks: dict[str, Callable[[], bool]],
    chosen: str,
) -> None:
    machine(None)
    monkeypatch.setattr(torch, "cpu", SimpleNamespace(**checks))
    assert resolve_precision("auto", CPU) == chosen


def test_units_that_torch_does_not_use_do_not_count(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(f"flags : {ZEN_4}\n")
    monkeypatch.undo()
    monkeypatch.setattr(precision, "_flags", lambda: frozenset(ZEN_4.split()))
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    assert not multiplies_bfloat16(CPU)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", True)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert not multiplies_bfloat16(CPU)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert multiplies_bfloat16(CPU)


@pytest.mark.parametrize(
    ("capability", "chosen"),
    [((7, 5), "float32"), ((8, 0), "bfloat16"), ((12, 0), "bfloat16")],
)
def test_a_gpu_takes_it_from_ampere_on(
    machine: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    chosen: str,
) -> None:
    machine(f"flags : {ZEN_4}\n")
    asked = []

    def of(device: torch.device) -> tuple[int, int]:
        asked.append(device)
        return capability

    monkeypatch.setattr(torch.cuda, "get_device_capability", of)
    assert resolve_precision("auto", CUDA) == chosen
    assert asked == [CUDA]


def test_a_gpu_that_nobody_measured_computes_in_float32(machine: Callable[..., None]) -> None:
    machine(f"flags : {ZEN_4}\n")
    assert resolve_precision("auto", torch.device("mps")) == "float32"


def test_a_machine_can_be_decided_for(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(f"flags : {ZEN_4}\n")
    for named in ("float32", "bfloat16"):
        monkeypatch.setenv(VARIABLE, named)
        assert resolve_precision("auto", CPU) == named
        assert resolve_precision("float32", CPU) == "float32"
    monkeypatch.setenv(VARIABLE, "auto")
    assert resolve_precision("auto", CPU) == "bfloat16"
    monkeypatch.setenv(VARIABLE, "half")
    with pytest.raises(UsageError, match=r"DAWNCHORUS_PRECISION: need auto.* got 'half'"):
        resolve_precision("auto", CPU)


@pytest.mark.parametrize(
    ("flags", "dtype"), [(ZEN_4, torch.bfloat16), (ZEN_2, torch.float32)], ids=["units", "none"]
)
def test_a_model_can_be_loaded_in_what_suits_the_machine(
    machine: Callable[..., None], tiny_folder: Path, flags: str, dtype: torch.dtype
) -> None:
    machine(f"flags : {flags}\n")
    model = load_model(tiny_folder, device="cpu", precision="auto")
    assert isinstance(model, EAT)
    assert {block.dtype for block in model.blocks.parameters()} == {dtype}
    # who loads a model by hand has the released library's float32
    by_hand = load_model(tiny_folder, device="cpu")
    assert isinstance(by_hand, EAT)
    assert {weight.dtype for weight in by_hand.parameters()} == {torch.float32}


def test_scores_in_bfloat16_are_not_rounded_to_steps(tiny_folder: Path) -> None:
    half = load_model(tiny_folder, device="cpu", precision="bfloat16")
    assert isinstance(half, EAT)
    assert half.head is not None
    whole = load_model(tiny_folder, device="cpu")
    assert isinstance(whole, EAT)
    assert whole.head is not None
    assert torch.equal(half.head.linear.weight, whole.head.linear.weight)
    with torch.no_grad():
        logits = half(originals.wave("short_0.1s"))
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, logits.bfloat16().float())


def test_a_processor_without_units_multiplies_the_same_rounded_numbers(
    machine: Callable[..., None], tiny_folder: Path
) -> None:
    waves = torch.cat([originals.wave("short_0.1s")] * 2)

    def computed(flags: str, wanted: str) -> torch.Tensor:
        machine(f"flags : {flags}\n")
        model = load_model(tiny_folder, device="cpu", precision=wanted)  # type: ignore[arg-type]
        assert isinstance(model, EAT)
        widened = {m.in_float32 for m in model.modules() if isinstance(m, Products)}
        assert widened == {flags == ZEN_2 and wanted == "bfloat16"}
        with torch.no_grad():
            return model.encode(waves).tokens

    whole = computed(ZEN_2, "float32")
    torchs, ours = computed(ZEN_4, "bfloat16"), computed(ZEN_2, "bfloat16")
    # nearer to each other than to float32, and rounded like each other
    assert (torchs - ours).abs().mean() < 0.5 * (torchs - whole).abs().mean()
    assert torch.equal(ours, ours.bfloat16().float())
