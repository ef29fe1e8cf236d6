"""Clips and the classes that hold for them: what a probe is fitted on and scored on."""

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
    from dawnchorus.failures import Failure

__all__ = ["FORMS", "Form", "LabelledClips", "form_of", "label_clips", "read_labels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledClips:
    """Clips and which classes hold for each.

    Attributes:
        manifest: a row a clip.
        classes: names.
        truth: ``(clips, classes)`` bool.
        group: ``(clips,)``; clips of one recording, recordist, individual or named group share a
            number.
        other_labels: labels of each clip that are neither a class nor background: of a val clip,
            those that no training clip has; in an evaluation, those that the probe does not know.
        background: labels that mean that none of the classes is heard.
        multi_label: whether a clip may have any number of classes.
        warnings: what to watch out for.
        failures: what could not be read.
    """

    manifest: Manifest
    classes: tuple[str, ...]
    truth: NDArray[np.bool_]
    group: NDArray[np.int64]
    other_labels: tuple[tuple[str, ...], ...]
    background: tuple[str, ...] = ()
    multi_label: bool = True
    warnings: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()

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
            other_labels=tuple(self.other_labels[row] for row in rows),
        )

    @property
    def split(self) -> NDArray[np.str_]:
        """The split of each clip, empty where there is none."""
        return np.array([clip.split for clip in self.manifest], dtype=np.str_)

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """Numbers of clips and groups of each class."""
        return {
            name: (int(has.sum()), len(np.unique(self.group[has])))
            for name, has in zip(self.classes, self.truth.T, strict=True)
        }


def label_clips(
    table: ImportedClips,
    *,
    classes: Sequence[str] | None = None,
    background: Sequence[str] = (),
    group_by: Sequence[str] | None = None,
) -> LabelledClips:
    """Which classes hold for each clip.

    Args:
        table: the clips, as `read_labels` gives them.
        classes: the labels that count; None: all there are.
        background: labels such as ``noise``, whatever their case: none of the classes is heard.
        group_by: columns whose equal values keep clips together, beside the file; None: group,
            recordist and individual where there are.

    Raises:
        TaskError: No clip has a label.
        UsageError: There is no such column.
    """
    manifest = table.manifest
    labels = [
        {label for label in clip.labels if not is_background(label, background)}
        for clip in manifest
    ]
    names = tuple(sorted(set().union(*labels)) if classes is None else classes)
    columns = manifest.table.column_names
    if not names:
        raise TaskError(
            f"{manifest.named}: none of {len(manifest)} clips has a label; columns: "
            f"{', '.join(columns)}. Is one of them the label? Say --column labels=COLUMN"
        )
    # labels that are no class stay out of truth, and are kept in other_labels
    column_of = {name: k for k, name in enumerate(names)}
    truth = np.zeros((len(manifest), len(names)), bool)
    for row, of_clip in enumerate(labels):
        truth[row, [column_of[label] for label in of_clip if label in column_of]] = True
    # clips of one file always stay together; these columns join files as well
    usual = tuple(name for name in DEFAULT_GROUPS if name in columns)
    grouping = usual if group_by is None else tuple(group_by)
    unknown = [name for name in grouping if name not in columns]
    if unknown:
        raise UsageError(f"{manifest.named}: no column {unknown[0]!r}; columns: {columns}")
    return LabelledClips(
        manifest=manifest,
        classes=names,
        truth=truth,
        group=group_numbers(manifest, grouping),
        other_labels=tuple(tuple(sorted(of_clip - set(names))) for of_clip in labels),
        background=tuple(background),
        failures=tuple(table.failures),
    )
