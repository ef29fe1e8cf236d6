"""Where the recordings of a store lie now, found by clips that lie among them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from dawnchorus.engine.recordings.jobs import content_hash_of
from dawnchorus.paths import absolute, from_stored_name, is_remote, stored_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pyarrow as pa

LOOKED_AT: Final = 64  # recordings of the clips; each is read whole for its hash


def store_root(audio_root: str, recordings: pa.Table, files: Iterable[Path]) -> Path:
    """The folder that the paths of a store are relative to.

    Args:
        audio_root: as the store says; it is used where it exists.
        recordings: of the store.
        files: recordings of the clips. Where one has the path and the content of one of the store,
            but for the folder above, that folder is the root.
    """
    root = from_stored_name(audio_root)
    if is_remote(root) or root.exists():
        return root
    columns = (recordings[name].to_pylist() for name in ("path", "file_size", "content_hash"))
    known = {path: (size, content) for path, size, content in zip(*columns, strict=True)}
    for file in islice(files, LOOKED_AT):
        path = absolute(file)
        # the recording may lie any number of folders below the root
        for folder in () if is_remote(file) else path.parents:
            size, content = known.get(stored_name(path.relative_to(folder)), (None, None))
            if size is not None and content and _is_this(path, size, content):
                return folder
    return root


def _is_this(file: Path, size: int, content: str) -> bool:
    try:
        return file.stat().st_size == size and content_hash_of(file) == content
    except OSError:
        return False
