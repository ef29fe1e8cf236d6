"""Weights files of strangers: nothing in them runs, and none asks for more than it holds."""

from __future__ import annotations

import json
import pickle
import resource
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from dawnchorus import load_model
from dawnchorus.errors import DawnChorusError, DawnChorusWarning, UsageError, WeightsError
from dawnchorus.labels import read_label_map
from dawnchorus.models import torch_files
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.weights_file import inspect_weights

FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Writer(torch.nn.Module):
    """Writes a file as soon as an archive of it is unpacked."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(1))

    @torch.jit.export
    def __getstate__(self):  # type: ignore[no-untyped-def]
        return (self.w, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):  # type: ignore[no-untyped-def]
        self.w = state[0]
        self.training = state[1]
        torch.save(state[0], "hit")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TorchScript archive that writes ``hit`` when it is run."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Writer()).save(str(path))
    Path("hit").unlink(missing_ok=True)
    return path


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".jit"])
def test_a_torchscript_archive_is_refused_and_nothing_of_it_runs(
    suffix: str, archive: Path
) -> None:
    path = archive.rename(archive.with_suffix(suffix))
    words = "TorchScript" if suffix in {".pt", ".pth", ".bin", ".ckpt"} else "safetensors"
    with pytest.raises(WeightsError, match=words):
        load_model(path, device="cpu")
    assert not Path("hit").exists()


def test_nothing_runs_even_where_the_archive_is_not_seen_for_what_it_is(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two programs may read one zip differently; what comes after the check must hold alone."""
    monkeypatch.setattr(torch_files, "_refuse_programs", lambda _path, _file: None)
    with pytest.raises(WeightsError, match="need a dict of tensors, found _ForeignObject"):
        load_model(archive, device="cpu")
    assert not Path("hit").exists()


@pytest.mark.parametrize("inside", ["constants.pkl", "code/x.py", "code/__torch__/a.py"])
def test_any_archive_with_code_is_refused(inside: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    torch.save({"cls_token": torch.zeros(1, 1, 64)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"m/{inside}", b"pass")
    with pytest.raises(WeightsError, match="is a program"):
        load_model(path, device="cpu")


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.pt", tmp_path / "packed.pt"
    torch.save({"cls_token": torch.zeros(1 << 20)}, plain)
    with (
        zipfile.ZipFile(plain) as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(WeightsError, match="compressed"):
        load_model(packed, device="cpu")


class Options:
    """An object of another package beside the tensors, as fairseq keeps it."""


@pytest.mark.parametrize("is_zip", [True, False])
def test_tensors_beside_foreign_objects_are_read_whole(is_zip: bool, tmp_path: Path) -> None:  # noqa: FBT001
    kinds = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool]
    tensors = {str(kind): torch.arange(6).reshape(2, 3).to(kind) for kind in kinds}
    tensors["turned"] = tensors["torch.float32"].T
    tensors["empty"] = torch.zeros(0, 3)
    path = tmp_path / "m.pt"
    content = {"model": {**tensors, "p": torch.nn.Parameter(torch.ones(3))}, "cfg": Options()}
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    found = torch_files.read_torch(path)
    assert isinstance(found, dict)
    for name, value in tensors.items():
        assert torch.equal(found["model"][name], value), name
        assert found["model"][name].dtype == value.dtype
    assert torch.equal(found["model"]["p"], torch.ones(3))


@contextmanager
def little_memory(more_bytes: int = 1 << 30) -> Iterator[None]:
    """Refuse this process more memory than it has and a little."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + more_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


CLAIMS: list[tuple[dict[str, tuple[int, ...]], str]] = [
    ({"cls_token": (1, 1, 64), "blocks.2000000000.norm1.weight": (64,)}, "block 2000000000"),
    ({"cls_token": (1, 1, 64), "blocks.127.norm1.weight": (64,)}, "block 127 and holds 1 "),
    ({"cls_token": (0, 1, 1 << 40), "blocks.0.norm1.weight": (64,)}, "cls_token has the shape"),
    ({"cls_token": (), "blocks.0.norm1.weight": (64,)}, "cls_token has the shape"),
    ({"cls_token": (0, 1, 4096), "blocks.0.norm1.weight": (64,)}, "does not fit|card"),
    (
        {
            "cls_token": (1, 1, 64), "blocks.0.norm1.weight": (64,),
            "head.linear.weight": (1 << 40, 0),
        },
        "head.linear.weight has the shape",
    ),
    (
        {
            "cls_token": (1, 1, 64), "blocks.0.norm1.weight": (64,),
            "blocks.0.mlp.fc1.weight": (1 << 40, 0),
        },
        "fc1.weight has the shape",
    ),
]  # fmt: skip


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
@pytest.mark.parametrize(("shapes", "said"), CLAIMS)
def test_a_small_file_cannot_ask_for_a_large_model(
    shapes: dict[str, tuple[int, ...]], said: str, tiny_encoder: EAT, tmp_path: Path
) -> None:
    path = tmp_path / "m.safetensors"
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, path)
    with little_memory(), pytest.raises(WeightsError, match=said):
        load_model(path, device="cpu")
    large = tiny_encoder.config.model_copy(update={"dim": 4096, "n_layers": 128, "n_heads": 64})
    Card(name="large", config=large).write(tmp_path / "card.yaml")
    with little_memory(), pytest.raises(WeightsError):
        load_model(path, device="cpu")


def test_a_large_card_beside_a_small_file_builds_nothing(
    tiny_folder: Path, tiny_encoder: EAT, tmp_path: Path
) -> None:
    save_file(load_file(tiny_folder / "model.safetensors"), tmp_path / "model.safetensors")
    large = tiny_encoder.config.model_copy(
        update={"dim": 4096, "n_layers": 128, "n_heads": 64, "max_time_steps": 8192}
    )
    Card(name="large", config=large).write(tmp_path / "card.yaml")
    if Path("/proc/self/statm").exists():
        with little_memory(), pytest.raises(WeightsError, match="does not fit large"):
            load_model(tmp_path, device="cpu")


def test_a_tensor_repeated_by_its_strides_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    torch.save({"cls_token": torch.zeros(1).expand(1, 1, 1 << 40)}, path)
    with pytest.raises(WeightsError, match=r"more than the .* bytes of the file"):
        load_model(path, device="cpu")


def test_numbers_that_weights_do_not_have_are_refused(
    tiny_folder: Path, tiny_encoder: EAT, tmp_path: Path
) -> None:
    tensors = load_file(tiny_folder / "model.safetensors")
    tensors["cls_token"] = tensors["cls_token"].to(torch.int8)
    save_file(tensors, tmp_path / "model.safetensors")
    Card(name="tiny", config=tiny_encoder.config).write(tmp_path / "card.yaml")
    with pytest.raises(WeightsError, match=r"torch\.int8"):
        load_model(tmp_path, device="cpu")


@FUZZ
@given(data=st.data())
def test_edited_weights_load_or_are_refused_in_words(
    data: st.DataObject, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A byte of the header changed, or the file cut; foreign errors would be a traceback."""
    content = bytearray((tiny_folder / "model.safetensors").read_bytes())
    n_header = int.from_bytes(content[:8], "little") + 8
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, n_header - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(content), n_header, 8, 3, 0]))
    folder = tmp_path_factory.mktemp("edited")
    for name in ("card.yaml", "label_map.json"):
        (folder / name).write_bytes((tiny_folder / name).read_bytes())
    (folder / "model.safetensors").write_bytes(bytes(content[:cut]))
    refused_or_loaded(folder)


@FUZZ
@given(data=st.data())
def test_edited_checkpoints_load_or_are_refused_in_words(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("edited")
    path = folder / "m.pt"
    is_zip = data.draw(st.booleans())
    content = {"model": {"cls_token": torch.zeros(1, 1, 64)}, "cfg": Options()}
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    edited = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        edited[data.draw(st.integers(0, len(edited) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(edited[: data.draw(st.sampled_from([len(edited), len(edited) // 2]))]))
    refused_or_loaded(path)


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@FUZZ
@given(data=st.data())
def test_edited_cards_and_label_maps_are_read_or_refused_in_words(
    data: st.DataObject, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("edited")
    card = Card.read(tiny_folder / "card.yaml").model_dump(mode="json", exclude_defaults=True)
    target: dict[str, Any] = card if data.draw(st.booleans()) else card["config"]
    target[data.draw(st.sampled_from([*target, "more"]))] = data.draw(YAML)
    (folder / "card.yaml").write_text(json.dumps(card))
    (folder / "label_map.json").write_text(json.dumps(data.draw(YAML)))
    for read in (Card.read, read_label_map):
        path = folder / ("card.yaml" if read == Card.read else "label_map.json")
        try:
            read(path)
        except (UsageError, WeightsError) as error:
            assert path.name in str(error)  # noqa: PT017


def refused_or_loaded(name: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", DawnChorusWarning)
        try:
            load_model(name, device="cpu")
        except DawnChorusError as error:
            assert str(error)  # noqa: PT017


def test_look_at_reads_no_tensor(tiny_folder: Path) -> None:
    weights = inspect_weights(tiny_folder / "model.safetensors")
    assert weights.tensors is None
    assert weights.shapes["cls_token"] == (1, 1, 64)


def test_a_plain_pickle_runs_nothing(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "hit",)

    (tmp_path / "m.bin").write_bytes(pickle.dumps({"model": {"cls_token": Bomb()}}))
    with pytest.raises(WeightsError):
        load_model(tmp_path / "m.bin", device="cpu")
    assert not (tmp_path / "hit").exists()
