"""Every recording is done, skipped or failed, and lists, spans and moved files change no vector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import make_sound
from dawnchorus.audio.metadata import RecorderMetadata
from dawnchorus.configs import EmbedConfig
from dawnchorus.engine import spans
from dawnchorus.engine.embed import embed
from dawnchorus.engine.pipeline.events import (
    FailedRecording,
    FinishedRecording,
    OpenedRecording,
    SkippedRecording,
)
from dawnchorus.engine.recordings.corrections import corrected_row, says_something
from dawnchorus.engine.recordings.find import Scan
from dawnchorus.engine.recordings.jobs import RecordingJob, job_for, jobs_of, site_of
from dawnchorus.engine.recordings.moved import _root_of, same_recording
from dawnchorus.engine.report import MAX_LISTED, Tally
from dawnchorus.engine.spans import SpanDone, SpanJoiner, spans_of
from dawnchorus.errors import DawnChorusError
from dawnchorus.models.eat import EAT
from dawnchorus.store.buffer import WindowBuffer
from dawnchorus.store.parts import write_part
from dawnchorus.store.read import Store
from dawnchorus.store.schema import RecordingRow, recording_id
from dawnchorus.store.write import StoreWriter
from store_samples import HEADER, expected, put, row, windows

ROOT = Path("/recordings")
WriteSound = Callable[..., Path]


def job(name: str = "a.wav", **more: Any) -> RecordingJob:
    return replace(job_for(ROOT / name, (), ROOT, EmbedConfig()), **more)


def opened(its: RecordingJob, rate: int = 48_000) -> OpenedRecording:
    return OpenedRecording(
        job=its, rate=rate, channels=1, content_hash=None, n_expected=None,
        started=datetime(2026, 1, 1, tzinfo=UTC), around=RecorderMetadata(),
    )  # fmt: skip


# --- counts ---------------------------------------------------------------------------------------

ends = st.lists(
    st.one_of(
        st.tuples(st.just("done"), st.integers(0, 96_000)),
        st.tuples(st.just("failed"), st.sampled_from(["missing", "truncated"])),
        st.tuples(st.just("skipped"), st.sampled_from(["", "another run is doing it"])),
    ),
    max_size=12,
)


@given(ends)
def test_a_run_is_complete_when_every_recording_that_was_planned_has_ended(
    said: list[tuple[str, Any]],
) -> None:
    tally = Tally(Scan((ROOT,)), 16_000)
    jobs = [job(f"{at}.wav") for at in range(len(said))]
    assert list(tally.planning(jobs)) == jobs
    for its, (kind, what) in zip(jobs, said, strict=True):
        assert not tally.is_complete
        with pytest.raises(DawnChorusError, match=f"of {len(jobs)} recordings are unaccounted"):
            tally.fields()
        if kind == "done":
            tally.count(FinishedRecording(opened(its), what, 0, 1))
        elif kind == "failed":
            tally.count(FailedRecording(its, what, f"{its.path}: {what}"))
        else:
            tally.count(SkippedRecording(its, what))
    assert tally.is_complete
    fields = tally.fields(["a note"])
    kinds = Counter(kind for kind, _ in said)
    assert fields["n_found"] == len(said) == sum(kinds.values())
    for kind in ("done", "failed", "skipped"):
        assert fields[f"n_{kind}"] == kinds[kind]
    assert fields["duration_s"] == pytest.approx(
        sum(what / 48_000 for kind, what in said if kind == "done")
    )
    assert [f.reason for f in fields["failures"]] == [w for k, w in said if k == "failed"]
    assert fields["warnings"][-1] == "a note"
    n_others = said.count(("skipped", "another run is doing it"))
    told = f"another run is doing it ({n_others} recordings)"
    assert (told in fields["warnings"]) == bool(n_others)


def test_of_many_failures_the_first_are_listed_and_all_are_counted() -> None:
    tally = Tally(Scan((ROOT,)), 16_000)
    for at in range(MAX_LISTED + 5):
        tally.count(FailedRecording(job(f"{at}.wav"), "missing", "gone"))
    assert (tally.n_failed, len(tally.failures)) == (MAX_LISTED + 5, MAX_LISTED)
    assert tally.failures[-1].path == f"/recordings/{MAX_LISTED - 1}.wav"


def test_a_warning_comes_once_with_the_number_of_recordings_that_it_holds_for() -> None:
    tally = Tally(Scan((ROOT,), n_duplicates=2), 16_000)
    for at in range(3):
        finished = FinishedRecording(
            opened(job(f"{at}.wav"), 8_000), 8_000, at, 1, damage="truncated: ends early"
        )
        tally.count(finished)
    tally.count(SkippedRecording(job(corrected=row("a.wav"))))
    tally.count(SkippedRecording(job(corrected=row("a.wav")), "another run"))
    assert (tally.n_corrected, tally.n_skipped) == (1, 2)
    lines = tally.warnings()
    assert len(lines) == len(set(lines))
    (cut,) = [line for line in lines if "truncated" in line]
    assert cut.endswith("(3 recordings)")
    (numbers,) = [line for line in lines if "taken as silence" in line]
    assert numbers.endswith("(2 recordings)")
    assert "2 paths lead to a file that was found already" in lines


KINDS = ("good", "good", "empty", "text", "truncated", "gone")


@settings(max_examples=4)
@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5), st.integers(1, 3))
def test_shards_of_good_and_bad_recordings_add_up_to_all_and_the_next_run_skips_the_good(
    tmp_path_factory: pytest.TempPathFactory, tiny_encoder: EAT, kinds: list[str], n_shards: int
) -> None:
    folder = tmp_path_factory.mktemp("mixed")
    for at, kind in enumerate(kinds):
        path = folder / "in" / f"{at} {kind}.wav"
        make_sound(path, 1.0, seed=at)
        if kind == "empty":
            path.write_bytes(b"")
        elif kind == "text":
            path.write_text("no sound at all")
        elif kind == "truncated":
            path.write_bytes(path.read_bytes()[:30])
        elif kind == "gone":
            path.unlink()
            path.symlink_to("nowhere.wav")
    reports = [
        embed(folder / "in", store=folder / "s", model=tiny_encoder, shard=(at, n_shards))
        for at in range(n_shards)
    ]
    for report in reports:
        assert report.n_found == report.n_done + report.n_skipped + report.n_failed
        assert report.n_failed == len(report.failures)
    n_good = kinds.count("good")
    assert sum(report.n_found for report in reports) == len(kinds)
    assert sum(report.n_done for report in reports) == n_good
    again = embed(folder / "in", store=folder / "s", model=tiny_encoder)
    assert (again.n_found, again.n_skipped, again.n_failed) == (
        len(kinds), n_good, len(kinds) - n_good,
    )  # fmt: skip
    rows = Store(folder / "s").recordings().to_pylist()
    status = {r["path"]: "good" if r["status"] == "done" else "bad" for r in rows}
    assert status == {
        f"{at} {kind}.wav": "good" if kind == "good" else "bad" for at, kind in enumerate(kinds)
    }
    assert {Path(f.path).name for f in again.failures} == {
        n for n, s in status.items() if s == "bad"
    }


# --- what a list says now -------------------------------------------------------------------------

cells = st.dictionaries(
    st.sampled_from(["site", "note", "start_time"]),
    st.sampled_from(["", "North", "2024-05-01T04:30:00"]),
)


@given(cells, cells, st.none() | st.sampled_from(["+02:00", "Europe/Berlin"]))
def test_a_correction_keeps_what_is_not_named_and_a_second_one_finds_nothing_to_do(
    before: dict[str, str], now: dict[str, str], zone: str | None
) -> None:
    old = row(
        "a.wav", 3, "done", carried=tuple(before.items()), time_zone="+01:00",
        recorded_at="2024-05-01T05:00:00", recorded_from="guano",
    )  # fmt: skip
    its = job(carried=tuple(now.items()), time_zone=zone)
    new = corrected_row(old, its)
    after = {**before, **now}
    if new is None:
        assert {k: v for k, v in after.items() if v} == {k: v for k, v in before.items() if v}
        assert zone in {None, "+01:00"}
        return
    assert dict(new.carried) == after
    assert new.time_zone == (zone or "+01:00")
    start = now.get("start_time")
    assert (new.recorded_at, new.recorded_from) == (
        (start, "list") if start else ("2024-05-01T05:00:00", "guano")
    )
    kept = ("recording_id", "path", "status", "n_windows", "parts", "content_hash", "revision")
    assert [getattr(new, name) for name in kept] == [getattr(old, name) for name in kept]
    assert corrected_row(new, its) is None


def test_a_run_without_list_and_zone_has_nothing_to_say() -> None:
    assert not says_something(job())
    assert says_something(job(time_zone="+02:00"))
    assert says_something(job(carried=(("site", ""),)))


@pytest.mark.parametrize(
    ("name", "kind", "site"),
    [
        ("a.wav", "folder", "recordings"),
        ("a.wav", "parent", "recordings"),
        ("north/a.wav", "folder", "north"),
        ("north/2024/a.wav", "folder", "north"),
        ("north/2024/a.wav", "parent", "2024"),
        ("../south/a.wav", "folder", "south"),
        ("/mnt/card/a.wav", "folder", "mnt"),
        ("C:/card/a.wav", "folder", "card"),
        ("s3://bucket/site/a.wav", "parent", "site"),
    ],
)
def test_a_site_is_a_folder_and_never_a_drive_or_two_dots(name: str, kind: str, site: str) -> None:
    assert site_of(name, ROOT, kind) == site


@settings(max_examples=20)
@given(st.integers(1, 5), st.sets(st.integers(0, 99), min_size=1, max_size=20))
def test_every_recording_is_a_job_of_exactly_one_shard(n: int, numbers: set[int]) -> None:
    scan = Scan(tuple(ROOT / f"{number}.wav" for number in numbers))
    found = [its.name for at in range(n) for its in jobs_of(scan, ROOT, EmbedConfig(shard=(at, n)))]
    assert sorted(found) == sorted(f"{number}.wav" for number in numbers)


# --- recordings that moved ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name", "root"),
    [
        ("/mnt/card/2024/a.wav", "2024/a.wav", "/mnt/card"),
        ("/mnt/card/2024/a.wav", "a.wav", "/mnt/card/2024"),
        ("/a.wav", "a.wav", "/"),
        ("/mnt/card/b.wav", "a.wav", None),
        ("/mnt/card/xa.wav", "a.wav", None),
        ("/mnt/card/a.wav", "2024/a.wav", None),
    ],
)
def test_the_root_of_a_moved_recording_is_what_stands_before_its_name(
    path: str, name: str, root: str | None
) -> None:
    assert _root_of(Path(path), row(name)) == (None if root is None else Path(root))


def test_a_moved_file_is_its_recording_and_a_copy_is_not(tmp_path: Path) -> None:
    content = f"sha256:{'a' * 64}"
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "a.wav").write_bytes(b"sound")
    header = HEADER.model_copy(update={"audio_root": str(old)})
    with StoreWriter(tmp_path / "a.store", header) as writer:
        put(writer, "a.wav", [1], content_hash=content)
        writer.fail(row("b.wav", status="failed", content_hash=f"sha256:{'b' * 64}"))
    with StoreWriter(tmp_path / "a.store", header) as writer:

        def found(its: str = content) -> RecordingRow | None:
            return same_recording(writer, its, new / "a.wav", old)

        assert found() is None  # the stored one is still there: two recordings
        (old / "a.wav").unlink()
        moved = found()
        assert moved is not None
        assert moved.path == "a.wav"
        (old / "a.wav").symlink_to(new / "a.wav")
        assert found() is not None  # one file by two paths
        assert found(f"sha256:{'b' * 64}") is None  # failed: it gives nothing
        assert found(f"sha256:{'c' * 64}") is None


# --- spans ----------------------------------------------------------------------------------------


@given(st.integers(1, 4000), st.integers(0, 400), st.integers(1, 5))
def test_spans_cover_each_window_once_and_only_the_last_runs_to_the_end(
    n_seconds: int, first: int, n_workers: int
) -> None:
    class Info:
        container, n_samples, sample_rate = "WAV", n_seconds * 100, 100

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "may_be_long", lambda _path: True)
        patch.setattr(spans, "read_info", lambda _path: Info)
        patch.setattr(spans, "SPAN_S", 60.0)
        found = spans_of(job(first_window=first), HEADER, n_workers)
        Info.container = "MP3"
        assert spans_of(job(first_window=first), HEADER, n_workers) == []
        Info.container = "WAV"
        assert spans_of(job(skip=""), HEADER, n_workers) == []
        assert spans_of(job(known_hash="x"), HEADER, n_workers) == []
    if not found:
        assert n_workers == 0 or (2 * n_seconds - 1 - first) <= 120
        return
    assert 2 <= len(found) <= 2 * n_workers
    assert [its.first_window for its in found] == [first, *(s.stop_window for s in found[:-1])]
    assert found[-1].stop_window is None
    sizes = {its.stop_window - its.first_window for its in found[:-1] if its.stop_window}
    assert len(sizes) == 1
    assert min(sizes) >= 60


@settings(max_examples=5)
@given(st.permutations(range(4)), st.none() | st.integers(0, 3))
def test_spans_in_any_order_are_the_recording_and_a_failed_one_is_its_failure(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], failing: int | None
) -> None:
    store = tmp_path_factory.mktemp("spans") / "a.store"
    with StoreWriter(store, HEADER) as writer:
        joiner = SpanJoiner(writer, [job(first_window=2 * at) for at in range(4)])
        for n_came, at in enumerate(order):
            buffer = WindowBuffer(HEADER)
            last = at == 3
            own = row("a.wav", 8, "done") if last else row("a.wav")
            buffer.add(own, windows(2 * at, 2, seed=1), 2 * at)
            part = write_part(store / "embeddings", buffer.table())
            if at == failing:
                own = row("a.wav", status="failed", reason="truncated", message="ends early")
            joiner.join(SpanDone(own, (part,), 2 * at, 2))
            came = {*order[: n_came + 1]}
            n_ready = next(n for n in range(5) if n not in came)
            if failing is None:
                assert joiner.n_windows == 2 * n_ready
    (stored,) = Store(store).recordings().to_pylist()
    if failing is None:
        assert joiner.done is not None
        assert joiner.failure is None
        np.testing.assert_array_equal(Store(store).read()[0], expected(8, seed=1))
    else:
        assert joiner.done is None
        assert joiner.failure is not None
        assert (joiner.failure.reason, joiner.failure.message) == ("truncated", "ends early")
        assert (stored["status"], stored["n_windows"]) == ("failed", 0)
        assert len(Store(store).read()[0]) == 0
    assert stored["recording_id"] == recording_id("a.wav")
    assert Store(store).check().damages == ()
