"""What each cluster is called, by what people said of its windows, and its most typical window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.annotations.window_labels import PRESENT, window_labels
from dawnchorus.search.clusters import NONE
from dawnchorus.search.whole_numbers import cosines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.annotations.annotation_row import AnnotationRow

    Whole = NDArray[np.int8]
    Rows = NDArray[np.int64]
    Flags = NDArray[np.bool_]

MOST_COMPARED: Final = 2000  # members of a cluster that are compared for the most typical one
LEAST_SHARE: Final = 0.5  # of a cluster's labels, for its name to be passed on to other windows
LEAST_LABELS: Final = 3


@dataclass(frozen=True, slots=True)
class ClusterName:
    """What a cluster is called, and why.

    Attributes:
        text: such as ``Turdus merula, 82 % of 11 labels``, or ``unnamed 17``.
        label: the label that most of its labelled windows have; None without any.
        share: of the labels in it that are this one.
        n_labels: in it, all labels together.
    """

    text: str
    label: str | None = None
    share: float = 0.0
    n_labels: int = 0

    @property
    def passed_on(self) -> str | None:
        """The label that other windows of the cluster may be guessed to have."""
        enough = self.n_labels >= LEAST_LABELS and self.share >= LEAST_SHARE
        return self.label if enough else None


def labelled_windows(windows: pa.Table, rows: Sequence[AnnotationRow]) -> dict[str, Flags]:
    """Which windows people said hold each label, by the rule of `window_labels`.

    Args:
        windows: with ``recording_id``, ``start_s`` and ``stop_s``.
        rows: that count, of any labels.

    Returns:
        ``(windows,)`` for each label that any window holds, by name.
    """
    names = sorted({row.label for row in rows if row.state == "present" and row.label})
    held = {name: window_labels(windows, rows, name) == PRESENT for name in names}
    return {name: flags for name, flags in held.items() if flags.any()}


def cluster_names(clusters: Rows, labelled: Mapping[str, Flags]) -> list[ClusterName]:
    """A name for each cluster, from 0 on.

    Args:
        clusters: ``(windows,)``, -1 for none.
        labelled: of `labelled_windows`.
    """
    n_clusters = int(clusters.max(initial=NONE)) + 1
    inside = clusters != NONE
    counts = {
        label: np.bincount(clusters[flags & inside], minlength=n_clusters)
        for label, flags in labelled.items()
    }
    return [
        _name(cluster, {label: int(of[cluster]) for label, of in counts.items()})
        for cluster in range(n_clusters)
    ]


def _name(cluster: int, counts: Mapping[str, int]) -> ClusterName:
    total = sum(counts.values())
    if not total:
        return ClusterName(f"unnamed {cluster}")
    # of equally many the first by name, so that it is the same each time
    label = min(counts, key=lambda name: (-counts[name], name))
    share = counts[label] / total
    plural = "" if total == 1 else "s"
    text = f"{label}, {100 * share:.0f} % of {total} label{plural}"
    return ClusterName(text, label, share, total)


def medoids(vectors: Whole, clusters: Rows, enough: Flags) -> Rows:
    """The most typical member of each cluster: the one nearest to all others, by cosine.

    Args:
        vectors: ``(n, dim)``.
        clusters: ``(n,)``, -1 for none; every cluster has a member.
        enough: ``(n,)``, of `enough_sound`; others are examples only where a cluster has no more.

    Returns:
        ``(clusters,)`` rows of vectors.
    """
    typical = []
    for cluster in range(int(clusters.max(initial=NONE)) + 1):
        inside = clusters == cluster
        members = np.flatnonzero(inside & enough)
        if not len(members):
            members = np.flatnonzero(inside)
        # evenly spaced, so over all recordings, which lie side by side
        chosen = np.linspace(0, len(members) - 1, min(len(members), MOST_COMPARED)).astype(int)
        some = vectors[members[chosen]]
        typical.append(members[chosen][cosines(some, some).sum(axis=1).argmax()])
    return np.array(typical, np.int64)
