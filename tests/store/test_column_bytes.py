"""Some columns of a Parquet file behind a URL: the same values, and little else is fetched."""

from __future__ import annotations

import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from dawnchorus.store import column_bytes
from dawnchorus.store.column_bytes import sparse_file

MOST = 1 << 24


def written(table: pa.Table, **options: object) -> UPath:
    path = UPath(f"memory://parts/{uuid.uuid4().hex}.parquet")
    with path.open("wb") as sink:
        pq.write_table(table, sink, **options)
    return path


def a_table(n: int, width: int = 64) -> pa.Table:
    rng = np.random.default_rng(n)
    flat = pa.array(rng.standard_normal(n * width).astype(np.float32))
    return pa.table(
        {
            "window": np.arange(n),
            "name": [f"recording {at // 7}" for at in range(n)],
            "vector": pa.FixedSizeListArray.from_arrays(flat, width),
            "silent": np.arange(n) % 3 == 0,
        }
    )


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each request asked for."""
    sizes: list[int] = []
    fill = column_bytes._fill

    def counted(remote: object, content: bytearray, ranges: list[tuple[int, int]]) -> None:
        sizes.extend(stop - start for start, stop in ranges)
        fill(remote, content, ranges)

    monkeypatch.setattr(column_bytes, "_fill", counted)
    return sizes


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 300),
    st.integers(1, 90),
    st.sets(st.sampled_from(["window", "name", "vector", "silent", "gone"])),
    st.booleans(),
    st.sampled_from(["none", "zstd"]),
)
def test_columns_have_the_values_of_the_whole_file(
    n: int,
    n_group: int,
    columns: set[str],
    use_dictionary: bool,  # noqa: FBT001  hypothesis fills it
    compression: str,
) -> None:
    table = a_table(n)
    path = written(
        table, row_group_size=n_group, use_dictionary=use_dictionary, compression=compression
    )
    there = [name for name in table.column_names if name in columns]
    with pq.ParquetFile(sparse_file(path, list(columns), MOST)) as file:
        assert file.read(columns=there).equals(table.select(there))


def test_vectors_are_not_fetched_with_the_other_columns(fetched: list[int]) -> None:
    path = written(a_table(2000, 512), row_group_size=400, compression="none")
    sparse_file(path, ["window", "silent"], MOST)
    assert sum(fetched) < 0.05 * path.stat().st_size
    # the tail, and one range of each row group: window lies before the vectors, silent behind
    # them, and so beside the window of the next group
    assert len(fetched) <= 1 + 6


def test_a_footer_that_is_longer_than_the_tail_is_fetched(
    fetched: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_bytes, "TAIL_BYTES", 64)
    table = a_table(50)
    with pq.ParquetFile(sparse_file(written(table), ["window"], MOST)) as file:
        assert file.read(columns=["window"]).equals(table.select(["window"]))
    assert fetched[0] == 64


def test_what_is_too_large_or_no_parquet_is_refused() -> None:
    path = written(a_table(50))
    with pytest.raises(ValueError, match="at most 100"):
        sparse_file(path, ["window"], 100)
    content = path.read_bytes()
    path.write_bytes(content[:-8] + b"\xff\xff\xff\x7fPAR1")
    with pytest.raises(ValueError, match="length of its footer"):
        sparse_file(path, ["window"], MOST)
    path.write_bytes(content[200:])  # its front is gone, the footer is there
    with (
        pytest.raises((ValueError, OSError)),
        pq.ParquetFile(
            sparse_file(path, ["silent"], MOST), page_checksum_verification=True
        ) as file,
    ):
        file.read(columns=["silent"])
