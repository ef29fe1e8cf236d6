"""From stores to a folder with a map: what is in it, what stays, and what is refused."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from counted_progress import CountedProgress
from dawnchorus import cluster_stores
from dawnchorus.annotations.annotation_table import AnnotationTable, new_row
from dawnchorus.cli.app import main
from dawnchorus.configs.search import ClusterConfig
from dawnchorus.errors import DawnChorusError, StoreError, UsageError
from dawnchorus.search.map import ArchiveMap
from planted_store import plant

GROUPS = {
    "north/a.wav": [0] * 30 + [1] * 10,
    "north/b.wav": [1] * 30 + [2] * 20,
    "south/c.wav": [2] * 20 + [-1] * 3,
}
TRUTH = np.array([group for groups in GROUPS.values() for group in groups])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return plant(tmp_path / "x.store", GROUPS)


def rows_of(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def the_map(folder: Path) -> ArchiveMap:
    (path,) = folder.glob("map-*.parquet")
    return ArchiveMap.read(path)


def test_planted_groups_are_clusters_and_the_folder_says_so(store: Path, tmp_path: Path) -> None:
    progress = CountedProgress()
    report = cluster_stores(store, tmp_path / "m", progress=progress)
    assert (report.n_windows, report.n_new, report.n_landmarks) == (113, 113, 113)
    assert sorted(report.sizes) == [30, 39, 40]  # one of 110 lies at the edge of its group
    assert report.n_none == 4
    made = the_map(tmp_path / "m")
    for cluster in range(3):
        assert len(set(TRUTH[made.clusters == cluster])) == 1
    assert (made.clusters[TRUTH == -1] == -1).all()
    clusters = rows_of(tmp_path / "m" / "clusters.csv")
    assert [int(line["n_windows"]) for line in clusters] == report.sizes
    windows = rows_of(tmp_path / "m" / "windows.csv")
    assert [int(line["cluster"]) for line in windows] == made.clusters.tolist()
    assert windows[40]["path"] == "north/b.wav"
    assert all(stage.done == stage.total for stage in progress.stages)
    for name in ("map.png", "typical.png"):
        assert (tmp_path / "m" / name).read_bytes().startswith(b"\x89PNG")


def test_the_same_store_gives_the_same_map_to_the_byte(store: Path, tmp_path: Path) -> None:
    for folder in "ab":
        cluster_stores(store, tmp_path / folder)
    one, other = ({p.name: p.read_bytes() for p in (tmp_path / f).iterdir()} for f in "ab")
    assert one == other


def test_new_windows_are_placed_and_no_point_moves(store: Path, tmp_path: Path) -> None:
    cluster_stores(store, tmp_path / "m")
    before = the_map(tmp_path / "m")
    plant(store, {"a/new.wav": [1] * 12 + [-1] * 2}, seed=50)
    report = cluster_stores(store, tmp_path / "m")
    assert (report.n_windows, report.n_new, report.n_landmarks) == (127, 14, 113)
    after = the_map(tmp_path / "m")
    paths = after.windows["path"].to_pylist()
    old = np.array([path != "a/new.wav" for path in paths])
    for name in ("x", "y", "cluster"):
        np.testing.assert_array_equal(
            after.windows[name].to_numpy()[old], before.windows[name].to_numpy()
        )
    of_ones = before.clusters[TRUTH == 1][0]
    assert (after.clusters[~old][:12] == of_ones).mean() > 0.8
    assert (after.clusters[~old][12:] == -1).all()


def test_clusters_are_named_by_people_and_guesses_have_their_own_column(
    store: Path, tmp_path: Path
) -> None:
    table = AnnotationTable(tmp_path / "x.annotations", create=True)
    table.append([new_row("north/a.wav", at, at + 1, "owl", author="ann") for at in range(4)])
    table.append([new_row("north/a.wav", 9, 10, "fox", author="ann")])
    report = cluster_stores(store, tmp_path / "m")
    assert "owl, 80 % of 5 labels" in [name.text for name in report.names]
    windows = rows_of(tmp_path / "m" / "windows.csv")
    assert [line["label"] for line in windows[:10]] == ["owl"] * 4 + [""] * 5 + ["fox"]
    guessed = {line["label_from_cluster"] for line in windows[:4]}
    assert guessed == {""}  # what people said is never repeated as a guess
    assert [line["label_from_cluster"] for line in windows[4:9]] == ["owl"] * 5
    assert {line["label_from_cluster"] for line in windows[40:70]} == {""}


def test_twins_of_other_recordings_are_listed(tmp_path: Path) -> None:
    store = plant(tmp_path / "x.store", {"a.wav": [0] * 20 + [1] * 20})
    shutil.copytree(store, tmp_path / "y.store")
    both = plant(tmp_path / "x.store", {"b.wav": [0] * 20 + [1] * 20})  # the same seed
    report = cluster_stores(both, tmp_path / "m", config=ClusterConfig(duplicates=0.999))
    pairs = rows_of(tmp_path / "m" / "duplicates.csv")
    assert report.n_duplicates == len(pairs) == 40
    assert all(line["start_s"] == line["other_start_s"] for line in pairs)
    assert {(line["path"], line["other_path"]) for line in pairs} == {("a.wav", "b.wav")}


def test_the_strangest_of_each_site_are_listed(store: Path, tmp_path: Path) -> None:
    cluster_stores(store, tmp_path / "m", config=ClusterConfig(novel=3))
    strangest = rows_of(tmp_path / "m" / "strangest.csv")
    assert [line["site"] for line in strangest] == ["north"] * 3 + ["south"] * 3
    assert [float(line["start_s"]) for line in strangest[3:]] != []
    assert {float(line["start_s"]) for line in strangest[3:]} == {20.0, 21.0, 22.0}
    assert float(strangest[3]["percentile"]) == 100.0


def test_the_rest_at_the_end_of_a_recording_is_neither_strange_nor_a_twin(tmp_path: Path) -> None:
    # two recordings end with the same blip, unlike all else
    groups = {"north/a.wav": [0] * 20 + [5], "north/b.wav": [0] * 20 + [5]}
    config = ClusterConfig(novel=2, duplicates=0.5)
    for samples in (100, 50, 49, 5):
        store = plant(tmp_path / f"{samples}.store", groups, last_samples=samples)
        report = cluster_stores(store, tmp_path / f"m{samples}", config=config)
        strangest = rows_of(tmp_path / f"m{samples}" / "strangest.csv")
        twins = rows_of(tmp_path / f"m{samples}" / "duplicates.csv")
        is_named = samples >= 50
        assert ({float(line["start_s"]) for line in strangest} == {20.0}) == is_named
        assert ("20.000" in {f"{float(line['start_s']):.3f}" for line in twins}) == is_named
        assert len(strangest) == 2
        assert report.n_windows == 42


def test_recordings_that_are_gone_leave_a_gap_in_the_sheet(store: Path, tmp_path: Path) -> None:
    report = cluster_stores(store, tmp_path / "m")
    assert len(report.warnings) == len(report.names)
    assert "not drawn" in report.warnings[0]


def test_more_windows_than_landmarks_follow_them(store: Path, tmp_path: Path) -> None:
    report = cluster_stores(store, tmp_path / "m", config=ClusterConfig(landmarks=60, least=5))
    made = the_map(tmp_path / "m")
    assert report.n_landmarks == len(made.landmarks) == 60
    for cluster in range(len(report.sizes)):
        assert len(set(TRUTH[made.clusters == cluster]) - {-1}) == 1  # never two groups
    assert report.n_none < 20


def test_only_windows_that_pass_are_on_the_map(store: Path, tmp_path: Path) -> None:
    report = cluster_stores(store, tmp_path / "m", where={"site": "north"})
    assert report.n_windows == 90


def test_an_earlier_map_with_other_settings_is_refused_and_kept(
    store: Path, tmp_path: Path
) -> None:
    cluster_stores(store, tmp_path / "m")
    (path,) = (tmp_path / "m").glob("map-*.parquet")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="--overwrite"):
        cluster_stores(store, tmp_path / "m", config=ClusterConfig(seed=1))
    assert path.read_bytes() == before
    cluster_stores(store, tmp_path / "m", config=ClusterConfig(seed=1), overwrite=True)
    assert not path.exists()
    assert len(list((tmp_path / "m").glob("map-*.parquet"))) == 1


def test_duplicates_and_novel_do_not_make_another_map(store: Path, tmp_path: Path) -> None:
    cluster_stores(store, tmp_path / "m")
    report = cluster_stores(store, tmp_path / "m", config=ClusterConfig(duplicates=0.99, novel=1))
    assert report.n_new == 0


def test_a_map_of_another_model_is_refused(store: Path, tmp_path: Path) -> None:
    cluster_stores(store, tmp_path / "m")
    other = plant(tmp_path / "y.store", GROUPS, weights_sha256="bb")
    with pytest.raises(UsageError, match=r"weights_sha256 aa, these have bb.*--overwrite"):
        cluster_stores(other, tmp_path / "m")


def test_landmarks_that_are_gone_are_said(store: Path, tmp_path: Path) -> None:
    cluster_stores(store, tmp_path / "m")
    with pytest.raises(UsageError, match=r"23 of 113 landmarks .* are not among these windows"):
        cluster_stores(store, tmp_path / "m", where={"site": "north"})


@pytest.mark.parametrize("content", [b"", b"no parquet"])
def test_a_file_that_is_not_a_map_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "map-0.parquet"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"map-0\.parquet: not a map that cluster wrote"):
        ArchiveMap.read(path)


def test_a_map_of_another_version_is_named(store: Path, tmp_path: Path) -> None:
    cluster_stores(store, tmp_path / "m")
    (path,) = (tmp_path / "m").glob("map-*.parquet")
    table = pq.read_table(path)
    metadata = {key: text.replace(b'"format_version": 1', b'"format_version": 9')
                for key, text in table.schema.metadata.items()}  # fmt: skip
    pq.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(StoreError, match="is of format 9; make the map again"):
        ArchiveMap.read(path)
    pq.write_table(table.drop_columns(["x"]), path)
    with pytest.raises(StoreError, match="lacks x"):
        ArchiveMap.read(path)


def test_two_windows_are_too_few(tmp_path: Path) -> None:
    store = plant(tmp_path / "x.store", {"a.wav": [0, 1]})
    with pytest.raises(DawnChorusError, match="2 windows pass; a map needs 3"):
        cluster_stores(store, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_the_command_writes_what_the_function_writes(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster_stores(store, tmp_path / "p", config=ClusterConfig(novel=2))
    assert main(["cluster", str(store), "-o", str(tmp_path / "c"), "--novel", "2", "-q"]) == 0
    out = capsys.readouterr().out
    assert "113 windows: 3 clusters, 4 in none" in out
    for path in (tmp_path / "p").iterdir():
        assert (tmp_path / "c" / path.name).read_bytes() == path.read_bytes()


def test_a_map_does_not_lie_among_other_things(store: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "clusters.csv").write_text("my own")
    for folder, name in ((tmp_path / "mine", "clusters.csv"), (store, "embeddings")):
        for overwrite in (False, True):
            with pytest.raises(UsageError, match=f"other things, such as '{name}', and no map"):
                cluster_stores(store, folder, overwrite=overwrite)
    assert (tmp_path / "mine" / "clusters.csv").read_text() == "my own"


def test_annotations_that_are_not_there_are_said_before_the_work(
    store: Path, tmp_path: Path
) -> None:
    progress = CountedProgress()
    with pytest.raises(StoreError, match="not an annotation table"):
        cluster_stores(store, tmp_path / "m", annotations=tmp_path / "gone", progress=progress)
    assert not progress.stages
