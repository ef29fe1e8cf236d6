"""Search by example: what is found, how it is said, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from PIL import Image

from dawnchorus import AnnotationTable, embed, search_stores
from dawnchorus.annotations.annotation_row import new_row
from dawnchorus.annotations.imported import rows_of
from dawnchorus.annotations.raven import read_raven
from dawnchorus.annotations.recordings import Recordings
from dawnchorus.annotations.row_reader import ReadOptions
from dawnchorus.configs.search import SearchConfig
from dawnchorus.errors import AudioError, DawnChorusWarning, StoreError, UsageError, WeightsError
from dawnchorus.search.archive import Archive
from dawnchorus.search.query import SoundQuery, _heard, direction_of, embed_sounds
from dawnchorus.search.result_files import write_results
from dawnchorus.search.results import RESULT_COLUMNS, write_clips
from dawnchorus.search.run import suggest_matches
from planted_store import plant, planted_vectors

GROUPS = {
    "north/a.wav": [0] * 20 + [1] * 4,
    "north/b.wav": [1] * 12 + [2] * 8,
    "south/c.wav": [2] * 20 + [1] * 2,
}
TRUTH = np.array([group for groups in GROUPS.values() for group in groups])
ALL = SearchConfig(k=18, per_recording=None)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return plant(tmp_path / "x.store", GROUPS)


def groups_of(result: object) -> list[int]:
    table = result.table  # type: ignore[attr-defined]
    return [
        GROUPS[path][window]
        for path, window in zip(table["path"].to_pylist(), table["window"].to_pylist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call.wav", SoundQuery(Path("call.wav"))),
        ("n/night.wav@12.5-14.0", SoundQuery(Path("n/night.wav"), 12.5, 14.0)),
        ("a@b.wav@0-1", SoundQuery(Path("a@b.wav"), 0.0, 1.0)),
        ("me@home.wav", SoundQuery(Path("me@home.wav"))),
    ],
)
def test_a_span_is_behind_the_last_at(text: str, expected: SoundQuery) -> None:
    assert SoundQuery.parse(text) == expected


def test_a_file_that_has_such_a_name_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "x@1-2"
    path.write_bytes(b"")
    assert SoundQuery.parse(str(path)) == SoundQuery(path)


@pytest.mark.parametrize("text", ["a.wav@3-2", "a.wav@1-1"])
def test_a_span_without_length_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="need START < STOP in seconds"):
        SoundQuery.parse(text)


@pytest.mark.parametrize(
    ("span", "duration_s", "heard"),
    [
        ((4.0, 5.0), 20.0, (2.0, 7.0)),  # widened on both sides
        ((0.5, 1.0), 20.0, (0.0, 5.0)),  # at the beginning
        ((19.0, 19.5), 20.0, (15.0, 20.0)),  # at the end
        ((1.0, 2.0), 3.0, (0.0, 3.0)),  # the recording is shorter than a window
        ((2.0, 9.0), 20.0, (2.0, 9.0)),  # longer than a window: as it is
        ((2.0, 3.0), None, (2.0, 3.0)),
    ],
)
def test_a_short_call_is_heard_with_what_lies_around_it(
    span: tuple[float, float], duration_s: float | None, heard: tuple[float, float]
) -> None:
    assert _heard(SoundQuery(Path("a.wav"), *span), duration_s, 5.0) == heard


def test_vectors_find_their_own_group_first(store: Path) -> None:
    like = planted_vectors(np.array([1, 1, 1]), seed=7)
    result = search_stores(store, like, config=ALL)
    assert groups_of(result) == [1] * 18
    assert result.table["rank"].to_pylist() == list(range(1, 19))
    scores = result.table["score"].to_numpy()
    assert (np.diff(scores) <= 0).all()
    assert scores.min() > 0.8
    percentiles = result.table["percentile"].to_numpy()
    assert percentiles[0] > 99
    assert percentiles[-1] == pytest.approx(100 * (1 - 17.5 / 66), abs=1)
    assert (result.n_windows, result.is_exact, result.recall) == (66, True, None)


def test_one_recording_does_not_fill_the_page(store: Path) -> None:
    like = planted_vectors(np.array([1]), seed=7)
    result = search_stores(store, like, config=SearchConfig(k=30, per_recording=3))
    paths = result.table["path"].to_pylist()
    assert [paths.count(path) for path in GROUPS] == [3, 3, 3]


def test_filters_come_first_and_columns_that_help_are_there(store: Path) -> None:
    like = planted_vectors(np.array([1]), seed=7)
    result = search_stores(store, like, config=ALL, where={"site": "south"})
    assert result.n_windows == 22
    assert set(result.table["path"].to_pylist()) == {"south/c.wav"}
    assert result.table.column_names == [*RESULT_COLUMNS, "site", "local_time"]
    moment = result.table["start_s"][0].as_py()
    assert result.table["local_time"][0].as_py() == f"2026-05-01T04:00:{moment:06.3f}+02:00"


def test_several_stores_are_searched_as_one(tmp_path: Path) -> None:
    whole = plant(tmp_path / "whole.store", GROUPS)
    parts = [
        plant(tmp_path / f"{at}.store", {name: groups}, seed=at)
        for at, (name, groups) in enumerate(GROUPS.items())
    ]
    like = planted_vectors(np.array([2]), seed=7)
    one = search_stores(whole, like, config=ALL).table
    many = search_stores(parts, like, config=ALL).table
    assert many["path"].to_pylist() == one["path"].to_pylist()
    assert many["store"].to_pylist()[0] in {str(path) for path in parts}
    np.testing.assert_allclose(many["score"], one["score"], atol=1e-3)


def test_what_it_is_mistaken_for_falls_behind(store: Path) -> None:
    archive = Archive(store)
    one, two = (planted_vectors(np.array([group]), seed=1) for group in (1, 2))
    between = 0.3 * one + 0.7 * two
    unlike = planted_vectors(np.array([2, 2]), seed=3)
    vectors = archive.take(np.arange(archive.n_windows)) - archive.mean()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = TRUTH  # the archive's order is that of path and window
    alone, against = (
        vectors @ direction_of(archive, between, negatives) for negatives in (None, unlike)
    )
    margin_before = alone[order == 1].min() - alone[order == 2].max()
    assert margin_before < 0 < against[order == 1].min() - against[order == 2].max()
    again = direction_of(archive, between, unlike)
    np.testing.assert_array_equal(vectors @ again, against)


def test_a_label_is_looked_for_by_what_people_said(store: Path, tmp_path: Path) -> None:
    table = AnnotationTable(tmp_path / "x.annotations", create=True)
    said = [new_row("north/b.wav", at, at + 1, "wren", author="ann") for at in range(3)]
    denied = [
        new_row("south/c.wav", at, at + 1, "wren", author="ann", state="absent") for at in range(3)
    ]
    table.append([*said, *denied])
    result = search_stores(store, label="wren", config=ALL)
    assert groups_of(result) == [1] * 18
    assert set(result.table["query"].to_pylist()) == {"wren"}
    with pytest.raises(UsageError, match=r"no window .* hold 'owl'; labels there: wren"):
        search_stores(store, label="owl")


def test_found_windows_become_suggestions(store: Path, tmp_path: Path) -> None:
    result = search_stores(store, planted_vectors(np.array([1])), config=SearchConfig(k=4))
    folder = tmp_path / "x.annotations"
    assert suggest_matches(result.table, folder, "wren", model="tiny") == 4
    rows = AnnotationTable(folder).rows(label="wren", state="suggested")
    assert {(row.path, row.start_s) for row in rows} == set(
        zip(result.table["path"].to_pylist(), result.table["start_s"].to_pylist(), strict=True)
    )
    assert {(row.source, row.model, row.purpose) for row in rows} == {
        ("suggested", "tiny", "train")
    }


@pytest.mark.parametrize(
    ("like", "said"),
    [
        ((), "at least one sound, label or vector"),
        (np.zeros((1, 3), np.float32), r"need \(n, 16\), got \(1, 3\)"),
        (np.full((1, 16), np.nan, np.float32), "not finite"),
    ],
)
def test_a_search_for_nothing_is_refused(store: Path, like: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        search_stores(store, like)  # type: ignore[arg-type]


def test_filters_that_nothing_passes_are_said(store: Path) -> None:
    with pytest.raises(UsageError, match="no window passes the filters"):
        search_stores(store, planted_vectors(np.array([1])), where={"site": "west"})


def test_sounds_that_cancel_each_other_are_refused(store: Path) -> None:
    archive = Archive(store)
    one = planted_vectors(np.array([1])) - archive.mean()
    with pytest.raises(UsageError, match="cancel each other"):
        direction_of(archive, np.concatenate([archive.mean() + one, archive.mean() - one]))


def test_a_result_is_the_same_in_every_format(store: Path, tmp_path: Path) -> None:
    table = search_stores(store, planted_vectors(np.array([1])), config=SearchConfig(k=5)).table
    for suffix in ("csv", "parquet", "jsonl"):
        write_results(table, tmp_path / f"f.{suffix}")
    assert pq.read_table(tmp_path / "f.parquet").to_pylist() == table.to_pylist()
    lines = (tmp_path / "f.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == table.to_pylist()
    with (tmp_path / "f.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == table["path"].to_pylist()
    assert [float(row["score"]) for row in rows] == pytest.approx(table["score"].to_pylist(), 1e-5)
    with pytest.raises(UsageError, match=r"f\.xls: no format .*need a file that ends in \.csv"):
        write_results(table, tmp_path / "f.xls")


def test_raven_gets_selections_that_are_read_back(store: Path, tmp_path: Path) -> None:
    config = SearchConfig(k=9, per_recording=4)
    table = search_stores(store, planted_vectors(np.array([1])), config=config).table
    root = tmp_path / "moved"
    for path in GROUPS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    files = write_results(table, tmp_path / "f.txt", stores=[store], audio_root=root, label="wren")
    assert files == [tmp_path / "f.txt"]
    recordings = Recordings(root, lambda _path: None)
    found = read_raven(tmp_path / "f.txt", recordings, ReadOptions(keep=True))
    read, failures = rows_of(found, "ann")
    assert not failures
    assert [row.path for row in read] == table["path"].to_pylist()
    assert [row.start_s for row in read] == table["start_s"].to_pylist()
    assert [row.end_s for row in read] == table["stop_s"].to_pylist()
    assert {(row.label, row.state, row.source) for row in read} == {("wren", None, "suggested")}
    scores = [row.score for row in read]
    assert scores == pytest.approx(table["score"].to_pylist(), abs=1e-6)
    # Raven's clock runs on from recording to recording, in the order of the lines
    with (tmp_path / "f.txt").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    order = list(dict.fromkeys(table["path"].to_pylist()))
    lengths = {path: float(len(groups)) for path, groups in GROUPS.items()}
    before = {path: sum(lengths[one] for one in order[:at]) for at, path in enumerate(order)}
    for line, window in zip(lines, table.to_pylist(), strict=True):
        assert float(line["Begin Time (s)"]) == before[window["path"]] + window["start_s"]
    assert [line["Selection"] for line in lines] == [str(n) for n in range(1, len(lines) + 1)]


def test_audacity_gets_a_track_for_each_recording(store: Path, tmp_path: Path) -> None:
    config = SearchConfig(k=9, per_recording=4)
    table = search_stores(store, planted_vectors(np.array([1])), config=config).table
    files = write_results(table, tmp_path / "f", form="audacity", stores=[store], label="wren")
    assert len(files) == 3
    (north,) = [file for file in files if file.name.startswith("a.")]
    lines = [line.split("\t") for line in north.read_text("utf-8").splitlines()]
    wanted = [row for row in table.to_pylist() if row["path"] == "north/a.wav"]
    spans = sorted((row["start_s"], row["stop_s"]) for row in wanted)
    assert sorted((float(start), float(stop)) for start, stop, _ in lines) == spans
    assert {label.split()[0] for _, _, label in lines} == {"wren"}
    with pytest.raises(UsageError, match="an Audacity track is of one recording"):
        write_results(table, tmp_path / "f.txt", form="audacity", stores=[store])


def test_recordings_of_two_stores_are_named_where_each_has_them(tmp_path: Path) -> None:
    one = plant(tmp_path / "1.store", {"a.wav": [1] * 5}, audio_root="/first")
    two = plant(tmp_path / "2.store", {"a.wav": [1] * 5}, seed=1, audio_root="/second")
    table = search_stores([one, two], planted_vectors(np.array([1])), config=ALL).table
    write_results(table, tmp_path / "f.txt", stores=[one, two])
    with (tmp_path / "f.txt").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    roots = ["/first" if name == str(one) else "/second" for name in table["store"].to_pylist()]
    assert [line["Begin Path"] for line in lines] == [f"{root}/a.wav" for root in roots]
    with pytest.raises(UsageError, match="need the stores"):
        write_results(table, tmp_path / "f.txt")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """A folder with recordings, and a store of them beside it."""
    folder = tmp_path_factory.mktemp("recorded")
    draws = np.random.default_rng(0)
    for at in range(3):
        sound = 0.05 * draws.normal(size=8 * 16_000)
        time_s = np.arange(8 * 16_000) / 16_000
        sound += 0.4 * np.sin(2 * np.pi * 700 * (at + 1) * time_s) * (time_s > 3) * (time_s < 6)
        (folder / "sounds").mkdir(exist_ok=True)
        soundfile.write(folder / "sounds" / f"{at}.wav", sound.astype(np.float32), 16_000)
    embed(folder / "sounds", store=folder / "x.store", model=tiny_folder, window_s=1.0)
    return folder


def test_a_sound_of_the_archive_finds_itself(recorded: Path, tiny_folder: Path) -> None:
    query = f"{recorded}/sounds/1.wav@4-5"
    config = SearchConfig(k=3)
    result = search_stores(recorded / "x.store", [query], config=config, model=tiny_folder)
    first = result.table.slice(0, 1).to_pylist()[0]
    assert (first["path"], first["start_s"], first["query"]) == ("1.wav", 4.0, query)
    assert first["score"] > 0.999


def test_a_whole_file_is_embedded_as_the_store_was(recorded: Path, tiny_folder: Path) -> None:
    archive = Archive(recorded / "x.store")
    sound = SoundQuery(recorded / "sounds" / "2.wav")
    (vectors,) = embed_sounds([sound], archive.header, tiny_folder)
    stored = archive.take(np.arange(16, 24))
    np.testing.assert_allclose(vectors, stored, atol=0.02)  # 16-bit sound, float16 vectors


def test_clips_are_cut_with_their_pictures_and_what_is_gone_is_listed(
    recorded: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    query = f"{recorded}/sounds/0.wav@4-5"
    config = SearchConfig(k=6)
    store = recorded / "x.store"
    table = search_stores(store, [query], config=config, model=tiny_folder).table
    (tmp_path / "moved").mkdir()
    for name in ("0.wav", "1.wav"):
        (tmp_path / "moved" / name).write_bytes((recorded / "sounds" / name).read_bytes())
    failures = write_clips(table, tmp_path / "found", tmp_path / "moved")
    n_gone = table["path"].to_pylist().count("2.wav")
    assert [failure.path for failure in failures] == ["2.wav"] * n_gone
    with (tmp_path / "found" / "index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 - n_gone
    for row in rows:
        sound, rate = soundfile.read(tmp_path / "found" / row["file"])
        start_s = float(row["start_s"])
        whole, _ = soundfile.read(tmp_path / "moved" / row["path"])
        lead_in = round(float(row["starts_in_clip_s"]) * rate)
        begin = round(start_s * rate) - lead_in
        np.testing.assert_allclose(sound, whole[begin : begin + len(sound)], atol=1e-4)
        assert lead_in == min(rate, round(start_s * rate))
        with Image.open(tmp_path / "found" / f"{Path(row['file']).stem}.png") as picture:
            assert picture.size == (480, 192)


def test_a_sound_that_cannot_be_read_is_named(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_bytes(b"RIFFnothing")
    with pytest.raises(AudioError, match=r"no\.wav"):
        search_stores(recorded / "x.store", [f"{tmp_path}/no.wav"])
    with pytest.raises(AudioError, match=r"0\.wav"):
        search_stores(recorded / "x.store", [f"{recorded}/sounds/0.wav@50-51"])


def test_a_model_that_is_not_known_by_its_name_is_asked_for(recorded: Path) -> None:
    said = r"'[^']+', which is not known by its name; say where it lies with --model.*SHA-256 "
    sha256 = Archive(recorded / "x.store").header.weights_sha256
    with pytest.raises(UsageError, match=said + sha256):
        search_stores(recorded / "x.store", [f"{recorded}/sounds/0.wav"])


def test_another_model_than_the_stores_is_refused(recorded: Path) -> None:
    with pytest.raises(WeightsError, match="Name the store's model with --model"):
        search_stores(
            recorded / "x.store", [f"{recorded}/sounds/0.wav"], model="dawnchorus_eat_tiny"
        )


def sound_file(path: Path, samples: np.ndarray) -> str:
    soundfile.write(path, samples, 16_000, "FLOAT")
    return str(path)


def test_a_span_behind_the_end_is_refused(recorded: Path, tiny_folder: Path) -> None:
    # shorter than a window, it would be widened to the recording's last second
    with pytest.raises(AudioError, match=r"0\.wav@50-50\.5: the recording ends at 8 s"):
        search_stores(recorded / "x.store", f"{recorded}/sounds/0.wav@50-50.5", model=tiny_folder)


@pytest.mark.parametrize("span", ["2,5-3,5", "0:02-0:03", "", "nan-inf"])
def test_what_is_no_span_of_a_recording_is_refused_as_that(recorded: Path, span: str) -> None:
    with pytest.raises(UsageError, match=f"{span!r} is not a span; need START-STOP in seconds"):
        SoundQuery.parse(f"{recorded}/sounds/0.wav@{span}")


@pytest.mark.parametrize("of", [0.0, float("nan")])
def test_silence_is_not_looked_for(
    of: float, recorded: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    silent = sound_file(tmp_path / "s.wav", np.full(16_000, of, np.float32))
    with pytest.raises(AudioError, match=r"s\.wav: silence"):
        search_stores(recorded / "x.store", [silent], model=tiny_folder)


def test_opposite_channels_are_not_looked_for(
    recorded: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    one = np.sin(np.arange(16_000) / 9).astype(np.float32)
    with pytest.raises(AudioError, match="cancel each other"):
        search_stores(
            recorded / "x.store",
            [sound_file(tmp_path / "s.wav", np.stack([one, -one], axis=1))],
            model=tiny_folder,
        )


def test_a_query_far_beyond_full_scale_is_said(
    recorded: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    loud = 1000 * np.sin(np.arange(16_000) / 9).astype(np.float32)
    with pytest.warns(DawnChorusWarning, match=r"s\.wav: samples up to 1000: sound far beyond"):
        search_stores(recorded / "x.store", sound_file(tmp_path / "s.wav", loud), model=tiny_folder)


@pytest.mark.parametrize("gain", [1e-4, 5.0])
def test_a_query_is_not_rounded_or_clipped(gain: float, tmp_path: Path, tiny_folder: Path) -> None:
    # three steps of 16 bits, and beyond full scale
    rng = np.random.default_rng(3)
    sound = gain * np.sin(np.arange(16_000) / 9) + 0.1 * gain * rng.standard_normal(16_000)
    path = sound_file(tmp_path / "sounds.wav", sound.astype(np.float32))
    embed(path, store=tmp_path / "x.store", model=tiny_folder, window_s=1.0, dtype="float32")
    archive = Archive(tmp_path / "x.store")
    (vectors,) = embed_sounds([SoundQuery(Path(path))], archive.header, tiny_folder)
    np.testing.assert_allclose(vectors, archive.take(np.arange(1)), rtol=1e-5, atol=1e-6)


def test_one_sound_need_not_be_a_list_and_vectors_may_be_a_tensor(
    recorded: Path, tiny_folder: Path
) -> None:
    store, config = recorded / "x.store", SearchConfig(k=3)
    path = recorded / "sounds" / "1.wav"
    listed = search_stores(store, [path], config=config, model=tiny_folder)
    alone = search_stores(store, path, config=config, model=tiny_folder)
    assert alone.table.equals(listed.table)
    (vectors,) = embed_sounds([SoundQuery(path)], Archive(store).header, tiny_folder)
    by_tensor = search_stores(store, torch.from_numpy(vectors), config=config)
    assert by_tensor.table.drop_columns("query").equals(listed.table.drop_columns("query"))


@pytest.mark.parametrize("label", ["", " \t"])
def test_a_suggestion_without_a_name_is_refused(label: str, store: Path, tmp_path: Path) -> None:
    table = search_stores(store, planted_vectors(np.array([1])), config=SearchConfig(k=5)).table
    with pytest.raises(UsageError, match="need the name of a sound"):
        suggest_matches(table, tmp_path / "a", label, model="tiny")
    assert not (tmp_path / "a").exists()


def test_clips_do_not_lie_among_recordings(
    recorded: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    store = recorded / "x.store"
    query = f"{recorded}/sounds/0.wav@4-5"
    table = search_stores(store, query, config=SearchConfig(k=2), model=tiny_folder).table
    for _ in range(2):  # into an earlier result they may go
        assert not write_clips(table, tmp_path / "found", recorded / "sounds")
    with pytest.raises(UsageError, match=r"such as '0\.wav'; clips need a folder of their own"):
        write_clips(table, recorded / "sounds", recorded / "sounds")


def test_the_index_of_clips_is_safe_for_a_spreadsheet(
    recorded: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    (recorded / "sounds" / "0.wav").rename(recorded / "sounds" / "=1+1.wav")
    embed(recorded / "sounds", store=tmp_path / "y.store", model=tiny_folder, window_s=1.0)
    query = f"{recorded}/sounds/=1+1.wav@4-5"
    table = search_stores(tmp_path / "y.store", query, config=SearchConfig(k=1), model=tiny_folder)
    write_clips(table.table, tmp_path / "f", recorded / "sounds", spreadsheet_safe=True)
    assert ",'=1+1.wav," in (tmp_path / "f" / "index.csv").read_text()


def test_the_folder_of_a_result_is_made(store: Path, tmp_path: Path) -> None:
    table = search_stores(store, planted_vectors(np.array([1])), config=SearchConfig(k=5)).table
    write_results(table, tmp_path / "new" / "er" / "f.csv")
    assert (tmp_path / "new" / "er" / "f.csv").exists()
    with pytest.raises(StoreError, match="cannot make this folder"):
        write_results(table, tmp_path / "new" / "er" / "f.csv" / "g.csv")
