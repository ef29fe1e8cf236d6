"""Which labels hold for a crop: its clip's own, and those of clips around it in the same file.

Kept as arrays, so that millions of clips cost no more than their numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.clips.manifest import texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Clip, Manifest
    from dawnchorus.feed.vocabulary import Vocabulary

# A weak label reaches a crop that shares at least this part of the shorter of the two.
LABEL_OVERLAP: Final = 0.5
# A call type is of one moment, so it is not a weak label of what lies around it.
EXACT_KIND: Final = "calltype"


class CropLabels:
    """Targets of any crop of any clip of a manifest."""

    def __init__(
        self,
        manifest: Manifest,
        vocabularies: Sequence[Vocabulary],
        strong_sources: Sequence[str] = (),
    ) -> None:
        """Look up every label once.

        Args:
            manifest: the clips.
            vocabularies: targets are theirs, side by side; a label is looked up in those of its
                clip's kind.
            strong_sources: datasets with exact annotation, where a file's label says nothing of a
                part of it.
        """
        self.n_labels = sum(map(len, vocabularies))
        self._start_s = manifest.seconds("start_s")
        self._stop_s = manifest.seconds("stop_s")
        # the labels of row r have the places [bounds[r]:bounds[r + 1]]
        lists = manifest.table["labels"]
        counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        self._bounds = np.concatenate([[0], np.cumsum(counts)])
        self._places = _places(manifest, vocabularies, counts)
        self._file, self._order, self._file_bounds = _by_file(manifest)
        kinds, datasets = texts(manifest.table["kind"]), texts(manifest.table["dataset"])
        strong = pc.is_in(datasets, pa.array(list(strong_sources), pa.string())).to_numpy()
        self._weak = (pc.not_equal(kinds, EXACT_KIND).to_numpy()) & ~strong & (counts > 0)

    def target(self, row: int, start_s: float, stop_s: float) -> NDArray[np.float32]:
        """Multi-hot ``(n_labels,)`` of a crop of a row's clip, by its time in the file."""
        target = np.zeros(self.n_labels, np.float32)
        if not self.n_labels:
            return target  # as in pretraining: nothing to look up
        # its own clip counts whatever the overlap: the crop was cut out of it
        for other in [row, *self._around(row, start_s, stop_s)]:
            places = self._places[:, self._bounds[other] : self._bounds[other + 1]]
            target[places[places >= 0]] = 1.0
        return target

    def _around(self, row: int, start_s: float, stop_s: float) -> NDArray[np.int64]:
        """Other rows of the same file whose labels hold for the crop as well."""
        file = self._file[row]
        rows = self._order[self._file_bounds[file] : self._file_bounds[file + 1]]
        rows = rows[self._weak[rows]]
        from_s, to_s = self._start_s[rows], self._stop_s[rows]
        # seconds that the crop and each other clip have in common
        shared = np.minimum(stop_s, to_s) - np.maximum(start_s, from_s)
        near: NDArray[np.int64] = rows[
            shared >= LABEL_OVERLAP * np.minimum(stop_s - start_s, to_s - from_s)
        ]
        return near


def targets_of(clip: Clip, vocabularies: Sequence[Vocabulary]) -> NDArray[np.float32]:
    """Multi-hot ``(n_labels,)`` of a clip's own labels, all vocabularies side by side."""
    parts = [
        vocabulary.encode(clip.labels if clip.kind in vocabulary.kinds else ())
        for vocabulary in vocabularies
    ]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _places(
    manifest: Manifest, vocabularies: Sequence[Vocabulary], counts: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Place in the target of each label of each clip, ``(vocabularies, labels)``; -1: none."""
    flat = pc.list_flatten(manifest.table["labels"])
    places = np.full((len(vocabularies), len(flat)), -1, np.int32)
    kinds, first = texts(manifest.table["kind"]), 0
    for line, vocabulary in zip(places, vocabularies, strict=True):
        # the same label of another kind is another label
        found = pc.index_in(flat, value_set=pa.array(vocabulary.labels, pa.string()))
        index = pc.fill_null(found, -1).to_numpy()
        ours = pc.is_in(kinds, pa.array(vocabulary.kinds, pa.string())).to_numpy()
        line[:] = np.where((index >= 0) & np.repeat(ours, counts), index + first, -1)
        first += len(vocabulary)
    return places


def _by_file(
    manifest: Manifest,
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Number of each row's file; rows sorted by file; where each file's rows begin."""
    encoded = manifest.table["path"].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    file: NDArray[np.int32] = encoded.indices.to_numpy()
    order = np.argsort(file, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(file, minlength=0))])
    return file, order, bounds
