"""An annotation table to files of other programs: one for all recordings, or one for each.

Each form is a function of `dawnchorus.annotations` that gives the text of a file. What a form
cannot hold is refused there, or stands in columns of ours.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq

from dawnchorus.annotations.annotation_table import rows_as_table
from dawnchorus.annotations.audacity import audacity_text
from dawnchorus.annotations.kaleidoscope import kaleidoscope_text
from dawnchorus.annotations.raven import raven_text
from dawnchorus.annotations.table import table_text
from dawnchorus.engine.exports.table_names import TableNames
from dawnchorus.errors import UsageError
from dawnchorus.paths import from_stored_name
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.annotations.places import Places

    Text = Callable[[Sequence[AnnotationRow], Places], str]

TEXTS: Final[dict[str, Text]] = {
    "raven": raven_text,
    "audacity": audacity_text,
    "kaleidoscope": kaleidoscope_text,
    "csv": lambda rows, _places: table_text(rows),
}
PARQUET: Final = "parquet"
FORMATS: Final = (*TEXTS, PARQUET)
# of a file for each recording; such as Raven and we ourselves call them
ENDINGS: Final = {"raven": ".selections.txt", "audacity": ".labels.txt"}
_BY_SUFFIX: Final = {".csv": "csv", ".txt": "raven", ".parquet": PARQUET}


def annotation_format(output: Path, name: str | None) -> str:
    """The format that is named, or that of the file's suffix.

    Raises:
        UsageError: There is no such format.
    """
    chosen = name or _BY_SUFFIX.get(output.suffix.lower())
    if chosen not in FORMATS:
        problem = f"no format ends in {output.suffix!r}" if name is None else f"no format {name!r}"
        raise UsageError(
            f"{output}: {problem}; use .csv, .parquet, or .txt for a Raven selection table, or "
            f"--to {', '.join(FORMATS)}"
        )
    return chosen


def write_annotations(
    rows: Sequence[AnnotationRow], output: Path, places: Places, name: str | None = None
) -> list[Path]:
    """Write rows to a file, or to a folder with a file for each recording.

    Args:
        rows: of the annotation table; their order is that of the lines.
        output: a file, which is replaced; in the formats raven and audacity a name without suffix
            is a folder.
        places: of the recordings.
        name: of the format; None: by the suffix.

    Returns:
        The files that were written.

    Raises:
        UsageError: There is no such format, or it cannot hold the rows; nothing is written then.
        StoreError: The disk refuses.
    """
    form = annotation_format(output, name)
    if form == PARQUET:
        contents = {output: _parquet(rows)}
    elif form in ENDINGS and not output.suffix:
        names = TableNames(output, places.folder, ENDINGS[form])
        contents = {
            names.path(from_stored_name(path, places.folder)): TEXTS[form](own, places).encode()
            for path, own in _by_recording(rows).items()
        }
    else:
        contents = {output: TEXTS[form](rows, places).encode()}
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    return list(contents)


def _by_recording(rows: Sequence[AnnotationRow]) -> dict[str, list[AnnotationRow]]:
    by_path: dict[str, list[AnnotationRow]] = {}
    for row in rows:
        by_path.setdefault(row.path, []).append(row)
    return by_path


def _parquet(rows: Sequence[AnnotationRow]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(rows_as_table(rows), sink)
    return sink.getvalue()
