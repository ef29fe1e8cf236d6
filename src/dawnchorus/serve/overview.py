"""The archive at a glance, and its annotations as files of other programs."""

from __future__ import annotations

import io
import shlex
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.activity.effort import HOUR_US, RecordedSound, effort_by_hour
from dawnchorus.annotations.places import Places
from dawnchorus.engine.exports.annotation_files import ENDINGS, write_annotations
from dawnchorus.errors import UsageError
from dawnchorus.local_time import later
from dawnchorus.serve.bodies import EffortCell, Overview
from dawnchorus.serve.facts import MOST_DAMAGED, damaged, label_facts, store_facts

if TYPE_CHECKING:
    from datetime import date

    from dawnchorus.serve.session import Session

NOTHING: Final = "there is no such annotation yet; judge a sound first"
MOST_CELLS: Final = 50_000
SUFFIXES: Final = {
    "csv": ".csv",
    "parquet": ".parquet",
    "raven": ".selections.txt",
    "audacity": ".labels.txt",
    "kaleidoscope": ".csv",
}


def overview(session: Session) -> Overview:
    """Recordings, damage, effort, labels.

    Raises:
        StoreError: The annotations are damaged.
    """
    session.live.refresh()
    damage = damaged(session)
    return Overview(
        stores=store_facts(session),
        damaged=tuple(damage[:MOST_DAMAGED]),
        n_damaged=len(damage),
        effort=tuple(_effort(session)[:MOST_CELLS]),
        labels=label_facts(session),
    )


def _effort(session: Session) -> list[EffortCell]:
    """Recorded time of each hour of each day and site, and how much was judged present in it."""
    sounds = [
        RecordedSound(
            path=one.path, site=one.site or "", start=one.began, duration_s=one.duration_s
        )
        for one in session.library.facts
    ]
    heard = _present(session)
    return [
        EffortCell(
            site=site,
            date=day.isoformat(),
            hour=hour,
            recorded_hours=n_us / HOUR_US,
            n=heard[site, day, hour],
        )
        for (site, day, hour), n_us in sorted(effort_by_hour(sounds).items())
    ]


def _present(session: Session) -> Counter[tuple[str, date, int]]:
    counts: Counter[tuple[str, date, int]] = Counter()
    verdicts = session.live.verdicts(None)
    for name, state in verdicts.items():
        row = next(iter(session.live.by_author(name).values()))
        known = session.library.recordings.get(row.recording_id)
        if state == "present" and known is not None and known.began is not None:
            at = later(known.began, row.start_s)
            counts[known.site or "", at.date(), at.hour] += 1
    return counts


def export(session: Session, form: str, label: str | None) -> tuple[str, bytes, str]:
    """The annotations as a file: what ``label export`` writes, byte for byte.

    Args:
        session: whose annotations.
        form: one of `SUFFIXES`. Of raven and audacity a ZIP with a file for each recording.
        label: of this one; None: of all.

    Returns:
        The name of the file, its content, and the command that writes it.

    Raises:
        UsageError: There is no such format or annotation, or the format cannot hold them.
    """
    if form not in SUFFIXES:
        raise UsageError(f"format: need one of {', '.join(SUFFIXES)}")
    if not session.live.is_there:
        raise UsageError(NOTHING)
    asked = {} if label is None else {"label": label}
    # Audacity holds one state at a time
    asked |= {"state": "present"} if form == "audacity" else {}
    rows = sorted(session.live.table().rows(**asked), key=lambda row: (row.path, row.start_s))
    if not rows:
        raise UsageError(NOTHING)
    places = Places(session.library.roots[0], _lengths(session))
    stem = session.live.folder.name.partition(".")[0] or "annotations"
    many = form in ENDINGS
    name = f"{stem}_{form}" if many else f"{stem}{SUFFIXES[form]}"
    with tempfile.TemporaryDirectory(prefix="dawnchorus-export-") as folder:
        files = write_annotations(rows, Path(folder) / name, places, form)
        content = _zipped(files, Path(folder)) if many else files[0].read_bytes()
    words = ["dawnchorus label export", shlex.quote(str(session.live.folder)), f"-o {name}"]
    words += [f"--to {form}"]
    words += [] if label is None else [f"--label {shlex.quote(label)}"]
    words += ["--state present"] if form == "audacity" else []
    return (f"{name}.zip" if many else name), content, " ".join(words)


def _lengths(session: Session):  # type: ignore[no-untyped-def]
    lengths = {one.path: one.duration_s or None for one in session.library.recordings.values()}
    return lengths.get


def _zipped(files: list[Path], folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            # one moment for all: the same annotations give the same bytes
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()
