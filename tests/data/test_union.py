"""The union of labels over manifests."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dawnchorus.data.union import union_vocabulary
from dawnchorus.errors import TaskError


def write(path: Path, *rows: tuple[list[str], str, str | None]) -> Path:
    """A manifest of labels, kind and split."""
    labels, kinds, splits = zip(*rows, strict=True)
    table = {"labels": list(labels), "kind": list(kinds), "split": pa.array(splits, pa.string())}
    pq.write_table(pa.table(table), path)
    return path


def test_labels_of_all_manifests_stand_in_the_order_of_code_points(tmp_path: Path) -> None:
    birds = write(
        tmp_path / "a.parquet",
        (["Turdus merula"], "species", "train"),
        (["Pica pica"], "species", None),
        (["Parus major"], "species", "test"),
        (["male 1"], "individual", "train"),
    )
    sounds = write(
        tmp_path / "b.parquet",
        (["Speech", "Bird"], "sound", "train"),
        (["ambient", "Bird"], "sound", "train"),
    )
    vocabulary = union_vocabulary([birds, sounds])
    assert vocabulary.labels == ("Bird", "Pica pica", "Speech", "Turdus merula", "ambient")
    assert union_vocabulary([sounds, birds]).hash == vocabulary.hash
    assert union_vocabulary([birds]).hash != vocabulary.hash
    assert "Parus major" in union_vocabulary([birds], splits=("test",)).labels


def test_a_label_of_two_kinds_needs_a_namespace(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", (["Bird"], "species", None), (["Bird"], "sound", None))
    with pytest.raises(TaskError, match=r"'Bird' of .*with a namespace"):
        union_vocabulary([path])


def test_what_is_no_manifest_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"labels": [["a"]]}), tmp_path / "a.parquet")
    with pytest.raises(TaskError, match=r"columns .*kind.* are missing"):
        union_vocabulary([tmp_path / "a.parquet"])
    with pytest.raises(TaskError, match="not a readable manifest"):
        union_vocabulary([tmp_path / "none.parquet"])
    empty = write(tmp_path / "b.parquet", (["a"], "individual", "train"))
    with pytest.raises(TaskError, match="no label of kinds"):
        union_vocabulary([empty])
