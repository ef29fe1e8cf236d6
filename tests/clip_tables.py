"""Tables of labelled clips without sound: a clip a recording, of a split and with labels."""

from __future__ import annotations

from pathlib import Path

from dawnchorus.clips.build import ImportedClips
from dawnchorus.clips.manifest import Clip, Manifest
from dawnchorus.failures import Failure

Rows = list[tuple[str, tuple[str, ...]]]  # split and labels of each clip


def clip_table(rows: Rows, failures: tuple[Failure, ...] = ()) -> ImportedClips:
    """What `read_labels` would give."""
    clips = [
        Clip(
            id=f"{number}", path=f"{number}.wav", dataset="d", level="clip", start_s=0.0,
            stop_s=1.0, labels=labels, kind="species", split=split,
        )
        for number, (split, labels) in enumerate(rows)
    ]  # fmt: skip
    return ImportedClips(Manifest.of(clips, Path()), failures)
