"""Some columns of a Parquet file behind a URL, without the rest of it.

A part is 16 MB of vectors with some kilobytes of other columns between them. Opening a store needs
those alone; a file object reads ahead, so that nearly all of the part came with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Sequence

TAIL_BYTES: Final = 1 << 16  # fetched first: the footer of a part of ours is half of it
END: Final = 8  # length of the footer, and the magic word
NEAR: Final = 1 << 14  # bytes between two ranges that are not worth another request


def sparse_file(remote: Any, columns: Sequence[str], most_bytes: int) -> pa.BufferReader:
    """A file of the same size that holds the footer and some columns, and zeros elsewhere.

    Args:
        remote: a path of universal-pathlib.
        columns: names of top-level columns; those that the file lacks are left out.
        most_bytes: that the file may have.

    Raises:
        ValueError: It is larger, or has no footer.
        OSError: It cannot be fetched.
    """
    size = int(remote.fs.size(remote.path))
    if size > most_bytes:
        raise ValueError(f"{size} bytes, a part has at most {most_bytes}")
    content = bytearray(size)
    start = max(0, size - TAIL_BYTES)
    _fill(remote, content, [(start, size)])
    n_footer = int.from_bytes(content[-END:-4], "little") + END
    if n_footer > size:
        raise ValueError("the length of its footer is wrong")
    if size - n_footer < start:
        _fill(remote, content, [(size - n_footer, start)])
    about = pq.read_metadata(pa.BufferReader(content))
    _fill(remote, content, _ranges(about, set(columns), size))
    return pa.BufferReader(content)


def _ranges(about: pq.FileMetaData, columns: set[str], size: int) -> list[tuple[int, int]]:
    """Where columns lie, in order; what is nearly side by side is one range."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(
        _place(chunk)
        for group in map(about.row_group, range(about.num_row_groups))
        for chunk in map(group.column, range(group.num_columns))
        if chunk.path_in_schema.partition(".")[0] in columns
    ):
        if not 0 <= start <= stop <= size:
            raise ValueError("its footer names bytes that it does not have")
        if joined and start - joined[-1][1] <= NEAR:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined


def _place(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    dictionary = chunk.dictionary_page_offset
    first = (
        chunk.data_page_offset if dictionary is None else min(dictionary, chunk.data_page_offset)
    )
    return first, first + chunk.total_compressed_size


def _fill(remote: Any, content: bytearray, ranges: list[tuple[int, int]]) -> None:
    """Fetch ranges, many at once, and put them where they belong."""
    if not ranges:
        return
    starts, stops = ([edges[end] for edges in ranges] for end in (0, 1))
    found = remote.fs.cat_ranges([remote.path] * len(ranges), starts, stops, on_error="raise")
    for start, stop, piece in zip(starts, stops, found, strict=True):
        if len(piece) != stop - start:
            raise ValueError("it is shorter than it was")
        content[start:stop] = piece
