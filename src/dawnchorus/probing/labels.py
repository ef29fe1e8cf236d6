"""Labelled clips for a probe, from what people have: tables, folders, annotations, manifests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.clips.imports import FORMS, Form, form_of, read_labels
from dawnchorus.clips.split import DEFAULT_GROUPS, group_numbers
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probing.background import is_background

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.clips.build import ImportedClips
    from dawnchorus.clips.manifest import Manifest

__all__ = ["FORMS", "Form", "LabelledClips", "form_of", "labelled", "read_labels"]


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


def labelled(
    made: ImportedClips,
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
        bad=tuple((one.path, one.reason, one.message) for one in made.failures),
    )
