"""Labelled clips for a probe, from what people have: tables, folders, annotations, manifests."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import pyarrow.compute as pc

from dawnchorus.audio.decode.read import AUDIO_SUFFIXES
from dawnchorus.clips.annotations import RAVEN_SUFFIX, manifest_of_audacity, manifest_of_raven
from dawnchorus.clips.folders import Made, manifest_of_folder
from dawnchorus.clips.manifest import read_manifest
from dawnchorus.clips.spans import BEGIN
from dawnchorus.clips.split import DEFAULT_GROUPS, group_numbers
from dawnchorus.clips.tables import csv_files, manifest_of_csv
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probing.background import is_background
from dawnchorus.text_tables.text import open_table
from dawnchorus.text_tables.values import is_missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Manifest

Form = Literal["csv", "folder", "raven", "audacity", "manifest"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledClips:
    """Clips and which labels hold for each.

    Attributes:
        manifest: a row a clip.
        classes: sorted names.
        truth: ``(clips, classes)`` bool.
        group: ``(clips,)``; clips of one recording, recordist, individual or named group share a
            number.
        bad: what could not be read: path, verdict and message of each.
    """

    manifest: Manifest
    classes: tuple[str, ...]
    truth: NDArray[np.bool_]
    group: NDArray[np.int64]
    bad: tuple[tuple[str, str, str], ...] = ()

    def __len__(self) -> int:
        """How many clips."""
        return len(self.manifest)

    def take(self, rows: NDArray[np.int64]) -> LabelledClips:
        """Some of the clips."""
        return replace(
            self,
            manifest=self.manifest.take(rows),
            truth=self.truth[rows],
            group=self.group[rows],
        )

    @property
    def split(self) -> NDArray[np.str_]:
        """The side of each clip, empty where there is none."""
        return np.array([clip.split for clip in self.manifest], dtype=np.str_)


def read_labels(
    places: Path | Sequence[Path],
    *,
    form: Form | None = None,
    audio: Path | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> Made:
    """Read labelled clips.

    Args:
        places: tables (``path,label``, and ``start_s``, ``stop_s``, ``split``, ``group`` where
            there are; or as BirdNET, Kaleidoscope, OpenSoundscape ... write them), a folder with a
            folder for each label, Raven selection tables or Audacity labels (files or folders of
            them), or a manifest (``.parquet``).
        form: which of these it is; None: told from the files.
        audio: folder of the recordings, where paths are relative to another folder than the
            table's, or annotations lie apart from them.
        columns: our column to theirs, such as ``{"labels": "Species"}``.
        separator: text between several labels in a cell of a CSV.

    Raises:
        UsageError: It is not clear what they are. TaskError: They cannot be read.
    """
    named = [places] if isinstance(places, Path) else list(places)
    if not named:
        raise UsageError("need labelled clips: a table, a folder for each label, or annotations")
    form = form or form_of(named)
    if form in {"raven", "audacity"}:
        folder = audio or (named[0] if named[0].is_dir() else named[0].parent)
        if form == "audacity":
            return manifest_of_audacity(named, audio=folder)
        return manifest_of_raven(named, audio=folder, columns=columns)
    if form == "csv":
        return manifest_of_csv(named, audio=audio, columns=columns, separator=separator)
    if len(named) > 1:
        raise UsageError(f"{form}: need one of them, got {len(named)}")
    if form == "manifest":
        return _of_manifest(named[0])
    return manifest_of_folder(named[0])


def _of_manifest(path: Path) -> Made:
    """A manifest as it is; labels that other programs write for "nothing" are named."""
    manifest = read_manifest(path)
    labels = pc.unique(pc.list_flatten(manifest.table["labels"])).drop_null().to_pylist()
    odd = sorted(label for label in labels if is_missing(label))
    if not odd:
        return Made(manifest)
    return Made(manifest, notes=(f"{path}: {odd} are labels here, not clips without a label",))


def form_of(places: Sequence[Path]) -> Form:
    """What labelled clips are, told by suffix, folder or first line.

    Raises:
        UsageError: It is not there, or nothing that is known.
    """
    place = places[0]
    if place.is_dir():
        if any(file.suffix.lower() in AUDIO_SUFFIXES for file in place.glob("*/*")):
            return "folder"
        tables = sorted(place.rglob(f"*{RAVEN_SUFFIX}"))
        if tables:
            return form_of(tables)
        if csv_files(place):
            return "csv"
        raise UsageError(
            f"{place}: need a folder for each label with sounds in it, or annotations (.txt, .csv)"
        )
    if not place.is_file():
        raise UsageError(f"{place}: no such file or folder")
    if place.suffix.lower() == ".parquet":
        return "manifest"
    if place.suffix.lower() in {".csv", ".tsv"}:
        return "csv"
    if place.suffix.lower() == RAVEN_SUFFIX:
        return _form_of_text(place)
    raise UsageError(
        f"{place}: what is it? need .csv, .tsv, .parquet, a Raven or Audacity .txt, or a folder; "
        f"or name its form: {', '.join(FORMS)}"
    )


def _form_of_text(place: Path) -> Form:
    """Raven has its columns' names, Audacity begins with times; whatever else is a table."""
    if not place.stat().st_size:
        return "audacity"  # a track without labels
    names = open_table(place).names
    if BEGIN in names:
        return "raven"
    return "audacity" if re.match(r"[\d.,]+(\s|$)", names[0]) else "csv"


def labelled(
    made: Made,
    *,
    classes: Sequence[str] | None = None,
    nothing: Sequence[str] = (),
    by: Sequence[str] | None = None,
) -> LabelledClips:
    """Which labels hold for each clip.

    Args:
        made: the clips.
        classes: the labels that count, others are left out of a clip; None: all there are.
        nothing: labels of background, such as ``noise``, whatever their case: no class is heard.
        by: columns whose equal values hold clips together, beside the file; None: group,
            recordist and individual where there are.

    Raises:
        TaskError: No clip has a label.
    """
    manifest = made.manifest
    lists = [
        {label for label in clip.labels if not is_background(label, nothing)} for clip in manifest
    ]
    names = tuple(sorted(set().union(*lists)) if classes is None else classes)
    if not names:
        raise TaskError(
            f"{manifest.named}: none of {len(manifest)} clips has a label; columns: "
            f"{', '.join(manifest.table.column_names)}. Is one of them the label? Say --column "
            "labels=COLUMN"
        )
    place = {name: k for k, name in enumerate(names)}
    truth = np.zeros((len(manifest), len(names)), bool)
    for row, labels in enumerate(lists):
        truth[row, [place[label] for label in labels if label in place]] = True
    there = manifest.table.column_names
    columns = tuple(name for name in DEFAULT_GROUPS if name in there) if by is None else tuple(by)
    lost = [name for name in columns if name not in there]
    if lost:
        raise UsageError(f"{manifest.named}: no column {lost[0]!r}; columns: {there}")
    return LabelledClips(
        manifest=manifest,
        classes=names,
        truth=truth,
        group=group_numbers(manifest, columns),
        bad=made.bad,
    )
