"""Several doors lead to one result: folder, list, shards and spans; recordings and their store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dawnchorus.configs import FitConfig
from dawnchorus.engine import spans
from dawnchorus.engine.embed import JobPlanner, embed, make_store
from dawnchorus.engine.options import embed_config
from dawnchorus.engine.predict import predict
from dawnchorus.engine.recordings.find import find_recordings
from dawnchorus.engine.recordings.jobs import jobs_of, with_file_facts
from dawnchorus.engine.spans import SpanJoiner, embed_span, spans_of
from dawnchorus.models.eat import EAT
from dawnchorus.models.encoder import readout_for
from dawnchorus.probes.features import Features
from dawnchorus.probes.fit import fit_probe
from dawnchorus.probes.fitted import EncoderMark, FittedProbe
from dawnchorus.store.merge import merge_stores
from dawnchorus.store.read import Store
from dawnchorus.store.write import StoreWriter

WriteSound = Callable[..., Path]
Way = Callable[[Path, Path, Path], None]  # recordings, store, model
OPTIONS: dict[str, Any] = {"dtype": "float32", "predict": True, "device": "cpu", "hop_s": 0.5}
COLUMNS = ["path", "window", "start_sample", "valid_samples", "silent", "clipped"]


@pytest.fixture
def folder(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Recordings of several lengths and rates, in two folders."""
    root = tmp_path / "recordings"
    write_sound(root / "20240501_043000.wav", 12.3, 22_050, seed=1)
    write_sound(root / "north" / "b.flac", 2.5, 44_100, 2, seed=2)
    write_sound(root / "north" / "c.wav", 0.7, 16_000, seed=3)
    return root


def by_list(folder: Path, store: Path, model: Path) -> None:
    lines = ["path", *(path.as_posix() for path in sorted(folder.rglob("*.*"))), ""]
    (store.parent / "list.csv").write_text("\n".join(lines))
    embed(store.parent / "list.csv", store=store, model=model, audio_root=folder, **OPTIONS)


def file_by_file(folder: Path, store: Path, model: Path) -> None:
    for path in sorted(folder.rglob("*.*"), reverse=True):
        embed(path, store=store, model=model, audio_root=folder, **OPTIONS)


def in_small_batches_by_many(folder: Path, store: Path, model: Path) -> None:
    embed(folder, store=store, model=model, batch_size=1, workers=3, **OPTIONS)


def by_shards_merged(folder: Path, store: Path, model: Path) -> None:
    shards = [store.with_name(f"shard{i}.store") for i in range(2)]
    for index, shard in enumerate(shards):
        embed(folder, store=shard, model=model, shard=(index, 2), **OPTIONS)
    merge_stores(shards, store)


def by_spans(folder: Path, store: Path, model: Path) -> None:
    config = embed_config(None, OPTIONS)
    header = make_store(folder, store=store, model=model, config=config)
    with StoreWriter(store, header) as writer:
        planner = JobPlanner(writer, folder, config)
        jobs = list(jobs_of(find_recordings(folder), folder, config))
        long = next(job for job in jobs if job.name.endswith("043000.wav"))
        pieces = spans_of(planner.claimed(with_file_facts(long)), header, n_workers=3)
        assert len(pieces) > 1
        joiner = SpanJoiner(writer, pieces)
        for piece in pieces:
            joiner.join(embed_span(str(store), str(model), config, piece))
    embed(folder, store=store, model=model, **OPTIONS)  # the others


@pytest.mark.parametrize(
    "way", [by_list, file_by_file, in_small_batches_by_many, by_shards_merged, by_spans]
)
def test_every_way_to_embed_makes_the_store_of_one_run_on_the_folder(
    folder: Path,
    tmp_path: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: Way,
) -> None:
    monkeypatch.setattr(spans, "LONG_BYTES", 1000)
    monkeypatch.setattr(spans, "SPAN_S", 3.0)
    embed(folder, store=tmp_path / "whole", model=tiny_folder, **OPTIONS)
    way(folder, tmp_path / "other", tiny_folder)
    whole, other = Store(tmp_path / "whole"), Store(tmp_path / "other")
    (vectors, table), (other_vectors, other_table) = whole.read(COLUMNS), other.read(COLUMNS)
    assert other_table.to_pylist() == table.to_pylist()
    np.testing.assert_allclose(other_vectors, vectors, atol=2e-5)  # other batches
    np.testing.assert_allclose(other.read_scores()[0], whole.read_scores()[0], atol=1e-3)
    facts = ["path", "status", "n_windows", "duration_s", "recorded_at", "content_hash"]
    rows, other_rows = (store.recordings().select(facts).to_pylist() for store in (whole, other))
    key = lambda row: row["path"]  # noqa: E731
    assert sorted(other_rows, key=key) == sorted(rows, key=key)


def assert_same_rows(one: pa.Table, other: pa.Table) -> None:
    order = [(name, "ascending") for name in ("path", "start_s", "label")]
    one, other = one.sort_by(order), other.sort_by(order)
    np.testing.assert_allclose(one["probability"], other["probability"], atol=1e-3)
    # which window of a merged detection is the best may hang on the last digit of float16
    merged = max(one["n_windows"].to_pylist()) > 1
    loose = {"probability", "window", "rank"} if merged else {"probability"}
    exact = [name for name in one.column_names if name not in loose]
    assert one.select(exact).to_pylist() == other.select(exact).to_pylist()
    assert len(one)


@pytest.mark.parametrize(
    "chosen",
    [
        {"top_k": 2},
        {"threshold": 0.3},
        {"thresholds": {"wren": 0.2}, "labels": ("wren", "robin"), "threshold": 0.1},
        {"threshold": 0.3, "merge": True, "low_threshold": 0.1, "gap_s": 0.5},
        {"top_k": 1, "absolute_paths": True, "time_zone": "Europe/Berlin", "site_from": "parent"},
    ],
)
def test_a_store_gives_the_rows_and_the_report_of_its_recordings(
    folder: Path, tmp_path: Path, tiny_folder: Path, chosen: dict[str, Any]
) -> None:
    embed(folder, store=tmp_path / "s", model=tiny_folder, **OPTIONS)
    direct = predict(folder, model=tiny_folder, hop_s=0.5, device="cpu", **chosen)
    stored = predict(tmp_path / "s", **chosen)
    assert direct.table is not None
    assert stored.table is not None
    assert_same_rows(direct.table, stored.table)
    for name in ("n_done", "n_windows", "n_rows", "audio_root", "demonstration", "empty_because"):
        assert getattr(stored, name) == getattr(direct, name), name
    assert set(stored.without_detection) == set(direct.without_detection)
    counts = {(c.label, c.level, c.n_detections, c.n_recordings) for c in direct.label_counts}
    stored_counts = {
        (c.label, c.level, c.n_detections, c.n_recordings) for c in stored.label_counts
    }
    assert stored_counts == counts


def test_silence_and_a_threshold_that_nothing_reaches_are_reported_alike(
    folder: Path, tmp_path: Path, tiny_folder: Path, write_sound: WriteSound
) -> None:
    silent = write_sound(folder / "silent.wav", 2.0)
    silent.write_bytes(silent.read_bytes()[:44] + bytes(silent.stat().st_size - 44))
    embed(folder, store=tmp_path / "s", model=tiny_folder, **OPTIONS)
    direct = predict(folder, model=tiny_folder, hop_s=0.5, device="cpu", threshold=1.0)
    stored = predict(tmp_path / "s", threshold=1.0)
    for report in (direct, stored):
        assert "no signal at all" in " ".join(report.warnings)
        assert "the highest probability was 0." in str(report.empty_because)
    assert direct.label_counts == stored.label_counts == ()


@pytest.fixture
def probe(tiny_encoder: EAT) -> FittedProbe:
    """Two classes on the encoder's own embedding; fitted on noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, tiny_encoder.dim)).astype(np.float32)
    fitted = fit_probe(
        FitConfig(strengths=(0.1,)), Features(x, np.tile(np.eye(2), (6, 1))), None,
        ("owl", "wren"), False, encoder=EncoderMark.of(tiny_encoder),
        readout=readout_for(tiny_encoder, None),
    )  # fmt: skip
    fitted.thresholds = {"owl": 0.2, "wren": 0.4}
    return fitted


def test_a_probe_gives_the_same_on_recordings_and_on_their_store(
    folder: Path, tmp_path: Path, tiny_encoder: EAT, probe: FittedProbe
) -> None:
    embed(folder, store=tmp_path / "s", model=tiny_encoder, dtype="float32", hop_s=0.5)
    probe.save(tmp_path / "p.probe")
    direct = predict(folder, model=tiny_encoder, probe=probe, hop_s=0.5)
    stored = predict(tmp_path / "s", probe=tmp_path / "p.probe")
    assert direct.table is not None
    assert stored.table is not None
    assert_same_rows(direct.table, stored.table)
