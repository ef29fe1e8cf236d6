"""A long recording in spans is, row for row, the recording in one go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.configs import EmbedConfig, WindowConfig
from dawnchorus.engine import spans
from dawnchorus.engine.embed import JobPlanner, embed, make_store
from dawnchorus.engine.recordings.jobs import RecordingJob, job_for, with_file_facts
from dawnchorus.engine.spans import SpanJoiner, embed_span, spans_of
from dawnchorus.errors import StoreError
from dawnchorus.store.read import Store
from dawnchorus.store.write import StoreWriter

WriteSound = Callable[..., Path]
CONFIG = EmbedConfig(
    windows=WindowConfig(window_s=1.0, hop_s=0.4), device="cpu", predict=True, batch_size=4
)


@pytest.fixture
def night(tmp_path: Path, write_sound: WriteSound, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One recording of 21 s at a rate that has to be changed, which counts as long."""
    monkeypatch.setattr(spans, "LONG_BYTES", 1000)
    monkeypatch.setattr(spans, "SPAN_S", 6.0)
    return write_sound(tmp_path / "in" / "night.wav", 21.0, 22_050, seed=2)


def opened(night: Path, store: Path, model: Path) -> StoreWriter:
    header = make_store(night.parent, store=store, model=model, config=CONFIG)
    return StoreWriter(store, header)


def planned(writer: StoreWriter, night: Path) -> tuple[RecordingJob, list[RecordingJob]]:
    planner = JobPlanner(writer, night.parent, EmbedConfig())
    job = planner.claimed(with_file_facts(job_for(night, (), night.parent, EmbedConfig())))
    return job, spans_of(job, writer.header, n_workers=4)


def assert_same(store: Path, whole: Path) -> None:
    (vectors, table), (wanted, wanted_table) = Store(store).read(), Store(whole).read()
    assert table.to_pydict() == wanted_table.to_pydict()
    np.testing.assert_allclose(vectors, wanted, atol=2e-3)  # float16, other batches
    np.testing.assert_allclose(
        Store(store).read_scores()[0], Store(whole).read_scores()[0], atol=2e-3
    )
    loose = ["started", "ended", "parts", "revision"]
    rows, wanted_rows = (Store(place).recordings().drop(loose) for place in (store, whole))
    assert rows.to_pylist() == wanted_rows.to_pylist()
    assert Store(store).check().damages == ()


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_spans_in_any_order_make_the_store_of_one_run(
    night: Path, tmp_path: Path, tiny_folder: Path, order: list[int]
) -> None:
    embed(night.parent, store=tmp_path / "whole", model=tiny_folder, config=CONFIG)
    with opened(night, tmp_path / "s", tiny_folder) as writer:
        _, pieces = planned(writer, night)
        assert [piece.first_window for piece in pieces] == [0, 13, 26, 39]
        joiner = SpanJoiner(writer, pieces)
        for index in order:
            joiner.join(embed_span(str(tmp_path / "s"), str(tiny_folder), CONFIG, pieces[index]))
    assert joiner.done is not None
    assert joiner.n_windows == joiner.done.n_windows == 51
    assert_same(tmp_path / "s", tmp_path / "whole")


def test_a_run_that_stops_between_spans_goes_on_behind_the_last_joined_one(
    night: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    embed(night.parent, store=tmp_path / "whole", model=tiny_folder, config=CONFIG)
    with opened(night, tmp_path / "s", tiny_folder) as writer:
        _, pieces = planned(writer, night)
        joiner = SpanJoiner(writer, pieces)
        for index in (0, 2):  # the third waits for the second, and is lost
            joiner.join(embed_span(str(tmp_path / "s"), str(tiny_folder), CONFIG, pieces[index]))
        assert joiner.done is None
    with opened(night, tmp_path / "s", tiny_folder) as writer:
        job, pieces = planned(writer, night)
        assert job.first_window == pieces[0].first_window == 13
        writer.give_up(job.recording_id)
    report = embed(night.parent, store=tmp_path / "s", model=tiny_folder, config=CONFIG)
    assert report.n_windows == 51 - 13
    assert_same(tmp_path / "s", tmp_path / "whole")


def test_a_header_that_promises_more_than_there_is_leaves_empty_spans(
    night: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    content = night.read_bytes()
    night.write_bytes(content[: len(content) // 2])
    embed(night.parent, store=tmp_path / "whole", model=tiny_folder, config=CONFIG)
    with opened(night, tmp_path / "s", tiny_folder) as writer:
        _, pieces = planned(writer, night)
        joiner = SpanJoiner(writer, pieces)
        for piece in pieces:
            joiner.join(embed_span(str(tmp_path / "s"), str(tiny_folder), CONFIG, piece))
    assert joiner.done is not None
    assert joiner.done.reason == "truncated"
    assert_same(tmp_path / "s", tmp_path / "whole")


def test_a_recording_that_changes_between_spans_is_a_failed_one(
    night: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    with opened(night, tmp_path / "s", tiny_folder) as writer:
        _, pieces = planned(writer, night)
        joiner = SpanJoiner(writer, pieces)
        joiner.join(embed_span(str(tmp_path / "s"), str(tiny_folder), CONFIG, pieces[0]))
        night.write_bytes(night.read_bytes() + b"more")
        for piece in pieces[1:]:
            joiner.join(embed_span(str(tmp_path / "s"), str(tiny_folder), CONFIG, piece))
    assert joiner.failure is not None
    assert joiner.failure.reason == "changed"
    [row] = Store(tmp_path / "s").recordings().to_pylist()
    assert (row["status"], row["reason"], row["n_windows"]) == ("failed", "changed", 0)
    report = embed(night.parent, store=tmp_path / "s", model=tiny_folder, config=CONFIG)
    assert report.n_done == 1
    assert Store(tmp_path / "s").check().damages == ()


def test_windows_that_do_not_add_up_are_refused(
    night: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    with opened(night, tmp_path / "s", tiny_folder) as writer:
        _, pieces = planned(writer, night)
        last = embed_span(str(tmp_path / "s"), str(tiny_folder), CONFIG, pieces[-1])
        with pytest.raises(StoreError, match="12 windows came, its row promises 51"):
            writer.add_parts(last.row, last.parts, last.n_windows)


def test_short_recordings_and_slow_formats_stay_whole(
    tmp_path: Path, tiny_folder: Path, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(night, tmp_path / "s", tiny_folder) as writer:
        job, _ = planned(writer, night)
        monkeypatch.setattr(spans, "QUICK", frozenset({"FLAC"}))
        assert spans_of(job, writer.header, n_workers=4) == []
        monkeypatch.setattr(spans, "QUICK", frozenset({"WAV"}))
        monkeypatch.setattr(spans, "SPAN_S", 30.0)
        assert spans_of(job, writer.header, n_workers=4) == []
