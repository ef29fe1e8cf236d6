"""An encoder by onnxruntime is the encoder, and what is not is refused."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from dawnchorus import load_model
from dawnchorus.cli.app import main
from dawnchorus.engine.embed import embed
from dawnchorus.errors import DependencyError, StoreError, UsageError, WeightsError
from dawnchorus.models.backends import export as exporting
from dawnchorus.models.backends.calibrate import (
    block_linears,
    calibration_sounds,
    input_ranges,
    rounding_errors,
)
from dawnchorus.models.backends.encoder import OnnxEncoder
from dawnchorus.models.backends.graph import graph_bytes
from dawnchorus.models.backends.rounding import rounded_product
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.parity import Parity
from dawnchorus.store.read import Store
from dawnchorus.testing import check_encoder

WriteSound = Callable[..., Path]
LENGTHS = torch.tensor([16_000, 7_000, 450, 16_000, 7_010])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAWNCHORUS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def padded() -> EAT:
    torch.manual_seed(5)
    config = EATConfig(dim=48, n_layers=2, n_heads=3, padded_frames=128, window_s=1.0)
    return EAT(config, name="padded").eval()


def sounds() -> torch.Tensor:
    clips = torch.randn(len(LENGTHS), 16_000, generator=torch.Generator().manual_seed(6)) * 0.1
    for clip, length in zip(clips, LENGTHS, strict=True):
        clip[length:] = 0
    return clips


@pytest.mark.parametrize("how", ["mean", "cls", "valid", "std", "bands", "max"])
def test_clips_of_several_lengths_give_what_torch_gives(tiny_encoder: EAT, how: str) -> None:
    encoder = OnnxEncoder(tiny_encoder, graph_bytes(tiny_encoder), "onnx")
    with torch.inference_mode():
        ours = tiny_encoder.encode(sounds(), LENGTHS, [0, -1])
        theirs = encoder.encode(sounds(), LENGTHS, [0, -1])
    assert torch.equal(ours.has_signal, theirs.has_signal)
    assert torch.equal(ours.time_span_s, theirs.time_span_s)
    for layer in (None, 0, -1):
        torch.testing.assert_close(
            theirs.pool(how, layer), ours.pool(how, layer), atol=2e-5, rtol=0
        )
    torch.testing.assert_close(theirs.logits, ours.logits, atol=2e-5, rtol=0)
    torch.testing.assert_close(encoder(sounds()), tiny_encoder(sounds()), atol=2e-5, rtol=0)


def test_a_model_that_looks_at_padding_gives_the_same(padded: EAT) -> None:
    encoder = OnnxEncoder(padded, graph_bytes(padded), "onnx")
    with torch.inference_mode():
        ours, theirs = padded.encode(sounds(), LENGTHS), encoder.encode(sounds(), LENGTHS)
    torch.testing.assert_close(theirs.tokens, ours.tokens, atol=2e-5, rtol=0)
    assert theirs.logits is None
    assert len(padded.blocks) == 2, "the model that was given lost its blocks"


def test_it_keeps_the_contract_of_encoders(tiny_encoder: EAT) -> None:
    encoder = OnnxEncoder(tiny_encoder, graph_bytes(tiny_encoder), "onnx")
    check_encoder(encoder)
    assert (encoder.name, encoder.labels) == (tiny_encoder.name, tiny_encoder.labels)
    settings = encoder.facts.settings
    assert settings is not None
    assert settings["backend"] == "onnx"


def test_several_threads_of_torch_share_a_batch(tiny_encoder: EAT) -> None:
    encoder = OnnxEncoder(tiny_encoder, graph_bytes(tiny_encoder), "onnx")
    alone = encoder.encode(sounds(), LENGTHS).tokens
    torch.set_num_threads(3)
    try:
        shared = encoder.encode(sounds(), LENGTHS).tokens
    finally:
        torch.set_num_threads(1)
    torch.testing.assert_close(shared, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("layer", [2, -3, "blocks.0.attn.proj", "all"])
def test_a_layer_that_the_graph_lacks_is_refused(tiny_encoder: EAT, layer: int | str) -> None:
    encoder = OnnxEncoder(tiny_encoder, graph_bytes(tiny_encoder), "onnx")
    with pytest.raises(UsageError, match=r"outputs of blocks, -2 to 1; use --backend torch"):
        encoder.encode(sounds(), layers=[layer])


def test_int8_is_what_whole_numbers_give(tiny_encoder: EAT) -> None:
    """The graph's 8 bits are those of `rounding`, on whatever processor this runs."""
    ranges = input_ranges(tiny_encoder, [sounds()])
    encoder = OnnxEncoder(tiny_encoder, graph_bytes(tiny_encoder, ranges), "onnx-int8")
    handles = [
        module.register_forward_hook(
            lambda module, given, _out, name=name: rounded_product(given[0], module, ranges[name])
        )
        for name, module in tiny_encoder.blocks.named_modules(prefix="blocks")
        if isinstance(module, nn.Linear)
    ]
    try:
        with torch.inference_mode():
            expected = tiny_encoder.encode(sounds()).tokens
    finally:
        for handle in handles:
            handle.remove()
    with torch.inference_mode():
        unrounded = tiny_encoder.encode(sounds()).tokens
    found = encoder.encode(sounds()).tokens
    # a value on the border of two steps may fall to either
    off = float((found - expected).abs().mean())
    assert off < 0.1 * float((expected - unrounded).abs().mean())


def test_an_export_says_what_it_was_made_of(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    code = main(["export", str(tiny_folder), "--backend", "onnx-int8", "-o", str(folder)])
    assert code == 0
    record = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    model = load_model(tiny_folder)
    assert record["weights_sha256"] == model.weights_sha256
    assert record["precision"] == "int8"
    assert record["n_int8"] == 8
    assert record["cosine"] >= 0.995
    assert record["overlap"] >= 0.95
    saved = len(graph_bytes(model)) - (folder / "model.onnx").stat().st_size
    n_weights = sum(linear.weight.numel() for _, linear in block_linears(model))
    assert saved > 2.5 * n_weights, "a byte each, not four"


def test_the_same_weights_give_the_same_bytes(tiny_encoder: EAT) -> None:
    assert graph_bytes(tiny_encoder) == graph_bytes(tiny_encoder)


def test_an_export_that_is_too_far_is_not_written(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_other_weights(model: EAT, _ranges: object) -> bytes:
        return graph_bytes(model.untrained())

    monkeypatch.setattr(exporting, "graph_bytes", of_other_weights)
    folder = tmp_path / "out"
    with pytest.raises(WeightsError, match=r"not exported.*cosine at least 0\.\d+.*0\.995.*95%"):
        exporting.export_named(str(tiny_folder), "onnx-int8", folder)
    assert not folder.exists()


def test_the_worst_layers_stay_float32_until_the_gate_holds(
    tiny_encoder: EAT, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, False, True])
    monkeypatch.setattr(Parity, "holds", lambda _self, _least: next(answers))
    made: list[dict[str, object]] = []

    def noting(model: EAT, ranges: dict[str, object]) -> bytes:
        made.append(ranges)
        return graph_bytes(model, ranges)  # type: ignore[arg-type]

    monkeypatch.setattr(exporting, "graph_bytes", noting)
    exported = exporting.export_model(tiny_encoder, "onnx-int8")
    assert [len(ranges) for ranges in made] == [8, 7, 6]
    assert exported.record.n_int8 == 6
    batches = calibration_sounds(tiny_encoder)
    errors = rounding_errors(tiny_encoder, input_ranges(tiny_encoder, batches), batches[0])
    worst = sorted(errors, key=errors.__getitem__)[-2:]
    assert {*made[0]} - {*made[2]} == {*worst}


def test_a_backend_is_exported_on_first_use_and_kept(
    tiny_folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_model(tiny_folder, backend="onnx")
    (graph,) = cache.rglob("model.onnx")
    monkeypatch.setattr(exporting, "export_model", None)  # a second time would fail
    again = load_model(tiny_folder, backend="onnx")
    assert torch.equal(first.embed(sounds()), again.embed(sounds()))
    monkeypatch.undo()
    graph.write_bytes(b"damaged")
    monkeypatch.setenv("DAWNCHORUS_CACHE", str(cache))
    mended = load_model(tiny_folder, backend="onnx")
    assert torch.equal(first.embed(sounds()), mended.embed(sounds()))


def test_a_stale_or_damaged_export_beside_the_weights_is_refused(
    tiny_folder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_folder, model)
    beside = model / "onnx"
    exporting.export_named(str(model), "onnx", beside)
    assert load_model(model, backend="onnx").name == "tiny"
    record = json.loads((beside / "export.json").read_text(encoding="utf-8"))
    stale = {**record, "weights_sha256": "0" * 64}
    (beside / "export.json").write_text(json.dumps(stale), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"is stale, its weights_sha256 .* dawnchorus export"):
        load_model(model, backend="onnx")
    (beside / "export.json").write_text(json.dumps(record), encoding="utf-8")
    with (beside / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(WeightsError, match="is damaged"):
        load_model(model, backend="onnx")
    (beside / "export.json").unlink()
    with pytest.raises(WeightsError, match="no record of an export"):
        load_model(model, backend="onnx")


def test_a_store_keeps_its_backend(
    tiny_folder: Path, tmp_path: Path, write_sound: WriteSound
) -> None:
    for number in range(2):
        write_sound(tmp_path / "in" / f"{number}.wav", 3.4, seed=number)
    one, other = tmp_path / "one.store", tmp_path / "other.store"
    embed([tmp_path / "in"], store=one, model=tiny_folder, dtype="float32")
    embed([tmp_path / "in" / "0.wav"], store=other, model=tiny_folder, backend="onnx",
          dtype="float32", audio_root=tmp_path / "in")  # fmt: skip
    header = Store(other).header
    assert (header.backend, header.precision) == ("onnx", "float32")
    with pytest.raises(StoreError, match=r"backend: 'onnx' in the store, 'torch' asked for"):
        embed([tmp_path / "in"], store=other, model=tiny_folder, backend="torch", dtype="float32")
    with pytest.raises(StoreError, match=r"backend: 'torch' in the store, 'onnx' asked for"):
        embed([tmp_path / "in"], store=one, model=tiny_folder, backend="onnx", dtype="float32")
    # named no more: the store says which
    report = embed([tmp_path / "in"], store=other, model=tiny_folder, dtype="float32")
    assert (report.n_done, report.n_skipped) == (1, 1)
    vectors, rows = Store(other).read()
    expected, their_rows = Store(one).read()
    by_place = [
        np.lexsort((table["window"].to_numpy(), table["path"].to_numpy().astype(str)))
        for table in (rows, their_rows)
    ]
    assert len(vectors) == len(expected) == 8
    np.testing.assert_allclose(vectors[by_place[0]], expected[by_place[1]], atol=2e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "onnx", "device": "cuda"}, "computes on a CPU"),
        ({"backend": "onnx", "precision": "bfloat16"}, "has its own precision"),
        ({"backend": "tflite"}, "need torch, onnx or onnx-int8"),
    ],
)
def test_what_a_backend_cannot_do_is_refused(
    tiny_folder: Path, options: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load_model(tiny_folder, **options)  # type: ignore[arg-type]


def test_torch_is_not_exported(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tiny_folder), "--backend", "torch"]) == 2
    assert "'torch' is not exported; need onnx or onnx-int8" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_names_the_extra(
    tiny_folder: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=r"pip install 'dawnchorus\[onnx\]'"):
        load_model(tiny_folder, backend="onnx")


def test_a_loaded_model_has_one_backend(
    tiny_encoder: EAT, tmp_path: Path, write_sound: WriteSound
) -> None:
    write_sound(tmp_path / "a.wav", 1.0)
    with pytest.raises(UsageError, match=r"was loaded with the backend torch, onnx was asked for"):
        embed([tmp_path], store=tmp_path / "s", model=tiny_encoder, backend="onnx")
