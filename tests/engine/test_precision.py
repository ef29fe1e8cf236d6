"""A store is of one precision; whoever continues or searches it computes in that one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dawnchorus.engine import ray
from dawnchorus.engine.dry_run import embed_dry_run
from dawnchorus.engine.embed import embed
from dawnchorus.engine.options import embed_config
from dawnchorus.engine.predict import predict
from dawnchorus.engine.spans import embed_span
from dawnchorus.errors import StoreError, UsageError
from dawnchorus.models import precision
from dawnchorus.models.load import load_model
from dawnchorus.search.query import SoundQuery, embed_sounds
from dawnchorus.store.merge import merge_stores
from dawnchorus.store.read import Store

WriteSound = Callable[..., Path]
Machine = Callable[[bool], None]
OPTIONS: dict[str, Any] = {"device": "cpu", "dtype": "float32"}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """``machine(True)``: from here on this one multiplies bfloat16."""
    monkeypatch.delenv(precision.VARIABLE, raising=False)

    def become(has_units: bool) -> None:  # noqa: FBT001
        monkeypatch.setattr(precision, "multiplies_bfloat16", lambda _device: has_units)

    return become


@pytest.fixture
def folder(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Two recordings."""
    write_sound(tmp_path / "r" / "a.wav", 2.0, seed=1)
    write_sound(tmp_path / "r" / "b.wav", 3.0, seed=2)
    return tmp_path / "r"


@pytest.mark.parametrize(
    ("has_units", "chosen"), [(True, "bfloat16"), (False, "float32")], ids=["units", "none"]
)
def test_what_was_chosen_stands_in_store_and_report(
    folder: Path, tiny_folder: Path, machine: Machine, *, has_units: bool, chosen: str
) -> None:
    machine(has_units)
    store = folder.parent / "s"
    report = embed(folder, store=store, model=tiny_folder, **OPTIONS)
    assert (report.precision, Store(store).header.precision) == (chosen, chosen)
    assert report.warnings == ()
    said = embed_dry_run(folder, store=folder.parent / "t", model=tiny_folder, **OPTIONS)
    assert said.precision == chosen
    assert predict(folder, model=tiny_folder, device="cpu").precision == chosen


@pytest.mark.parametrize("begun_with", [True, False], ids=["units first", "units later"])
def test_a_store_is_continued_in_its_precision_on_another_machine(
    folder: Path, tiny_folder: Path, machine: Machine, *, begun_with: bool
) -> None:
    store = folder.parent / "s"
    machine(begun_with)
    begun = embed(folder / "a.wav", store=store, model=tiny_folder, audio_root=folder, **OPTIONS)
    machine(not begun_with)
    said = embed_dry_run(folder, store=store, model=tiny_folder, audio_root=folder, **OPTIONS)
    assert (said.precision, said.n_there) == (begun.precision, 1)
    rest = embed(folder, store=store, model=tiny_folder, audio_root=folder, **OPTIONS)
    assert (rest.n_done, rest.n_skipped, rest.precision) == (1, 1, begun.precision)
    whole = folder.parent / "whole"
    embed(folder, store=whole, model=tiny_folder, precision=begun.precision, **OPTIONS)
    # units add the products of rounded numbers in another order
    atol = 3e-3 if begun_with else 0.0
    np.testing.assert_allclose(Store(store).read()[0], Store(whole).read()[0], rtol=0, atol=atol)


def test_another_precision_is_refused_with_both_named(
    folder: Path, tiny_folder: Path, machine: Machine
) -> None:
    machine(False)
    stores = {}
    for chosen in ("float32", "bfloat16"):
        stores[chosen] = folder.parent / chosen
        embed(folder, store=stores[chosen], model=tiny_folder, precision=chosen, **OPTIONS)
    text = "precision: 'float32' in the store, 'bfloat16' asked for"
    with pytest.raises(StoreError, match=text):
        embed(folder, store=stores["float32"], model=tiny_folder, precision="bfloat16", **OPTIONS)
    with pytest.raises(StoreError, match=text):
        embed_dry_run(
            folder, store=stores["float32"], model=tiny_folder, precision="bfloat16", **OPTIONS
        )
    with pytest.raises(StoreError, match="precision"):
        merge_stores(list(stores.values()), folder.parent / "both")


def test_a_loaded_model_keeps_its_precision_and_another_is_refused(
    folder: Path, tiny_folder: Path, machine: Machine
) -> None:
    machine(False)
    half = load_model(tiny_folder, device="cpu", precision="bfloat16")
    store = folder.parent / "s"
    assert embed(folder, store=store, model=half, **OPTIONS).precision == "bfloat16"
    with pytest.raises(UsageError, match=r"tiny: was loaded in bfloat16, float32 was asked for"):
        embed(folder, store=store, model=half, precision="float32", **OPTIONS)
    whole = load_model(tiny_folder, device="cpu")
    # the store asks for its own
    with pytest.raises(UsageError, match="was loaded in float32, bfloat16 was asked for"):
        embed(folder, store=store, model=whole, **OPTIONS)


def test_a_query_is_embedded_as_the_store_was(
    folder: Path, tiny_folder: Path, machine: Machine
) -> None:
    machine(True)
    store = folder.parent / "s"
    embed(folder, store=store, model=tiny_folder, **OPTIONS)
    machine(False)
    vectors, windows = Store(store).read()
    (found,) = embed_sounds([SoundQuery(folder / "b.wav")], Store(store).header, tiny_folder)
    of_b = np.array([path == "b.wav" for path in windows["path"].to_pylist()])
    # a bit of 16 is lost when the sound is cut out
    np.testing.assert_allclose(found, vectors[of_b], atol=0.05)


def test_a_span_is_in_the_store_s_precision(
    folder: Path, tiny_folder: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(True)
    store = folder.parent / "s"
    embed(folder / "a.wav", store=store, model=tiny_folder, **OPTIONS)
    machine(False)
    asked = []

    def watched(_model: object, config: Any, **_options: Any) -> Any:
        asked.append(config.precision)
        raise StoreError("far enough")

    monkeypatch.setattr("dawnchorus.engine.spans.ready_embedder", watched)
    config = embed_config(None, OPTIONS)
    with pytest.raises(StoreError, match="far enough"):
        embed_span(str(store), str(tiny_folder), config, SimpleNamespace(stop_window=None))  # type: ignore[arg-type]
    assert asked == ["bfloat16"]


def test_a_cluster_computes_in_one_precision(
    folder: Path, tiny_folder: Path, machine: Machine
) -> None:
    machine(True)
    config = embed_config(None, OPTIONS)
    work = {"store": str(folder.parent / "s"), "config": config, "model": "m"}
    n_asked = []

    class Cluster:
        def start(self, task: Callable[..., Any], *arguments: Any) -> Any:
            n_asked.append(task)
            return task(*arguments)

        def results(self, tasks: list[Any], *, lost: str) -> list[tuple[int, Any]]:
            assert lost
            return list(enumerate(tasks))

    agreed = ray._in_one_precision(Cluster(), work)  # type: ignore[arg-type]
    assert (agreed["config"].precision, agreed["model"], len(n_asked)) == ("bfloat16", "m", 1)
    # what was named, or lies in the store, needs no question
    machine(False)
    embed(folder, store=work["store"], model=tiny_folder, precision="bfloat16", **OPTIONS)
    for named, wanted in (("auto", "bfloat16"), ("float32", "float32")):
        asking = {**work, "config": config.model_copy(update={"precision": named})}
        agreed = ray._in_one_precision(Cluster(), asking)  # type: ignore[arg-type]
        assert agreed["config"].precision == wanted
    assert len(n_asked) == 1


def test_the_precision_of_a_foreign_encoder_is_its_own(tiny_folder: Path, folder: Path) -> None:
    model = load_model(tiny_folder, device="cpu")
    assert isinstance(model, torch.nn.Module)
    store = folder.parent / "s"
    embed(folder, store=store, model=model, **OPTIONS)
    header = Store(store).header.model_copy(update={"precision": "float64"})
    (store / "store.json").write_bytes(header.to_bytes())
    with pytest.raises(StoreError, match="precision: 'float64' in the store, 'float32' asked for"):
        embed(folder, store=store, model=model, **OPTIONS)
