"""Features of items by several readings at once, on disk under a hash of all that made them.

One pass of the encoder serves every reading that is not there yet. It goes by chunks of items; each
chunk's features are kept as soon as they are made, so that a run that was killed goes on with the
next chunk. Chunks and batches depend on the items alone, so a run that was interrupted gives the
same bytes as one that was not.

``CACHE/KEY/vectors.npy`` holds a reading's features, in the order of the items; ``meta.json``
beside it is written last and says what they are. A reading of tokens is float16, all others are
float32.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dawnchorus.benchmark.clips import (
    Rules,
    as_tensors,
    batches,
    length_s,
    pieces_of,
    read_clips,
)
from dawnchorus.benchmark.hashes import FileHashes, hash_of_value
from dawnchorus.benchmark.take import joined, take
from dawnchorus.errors import RunInterruptedError, TaskError
from dawnchorus.models.eat import EAT
from dawnchorus.store.files import write_whole
from dawnchorus.store.leftovers import replaced_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from threading import Event

    from numpy.typing import NDArray

    from dawnchorus.benchmark.encoders import Entrant
    from dawnchorus.benchmark.plan import Reading
    from dawnchorus.benchmark.tasks.base import Item
    from dawnchorus.models.encoder import Encoder

    Floats = NDArray[np.floating[Any]]

RULES_VERSION: Final = 2  # another number where the same options would give other features
CHUNK_S: Final = 600.0  # of sound in memory
CHUNK_ITEMS: Final = 512
META, VECTORS = "meta.json", "vectors.npy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Items of one split, and how they are to be encoded.

    Attributes:
        folder: that the items' paths are relative to.
        batch_s: seconds of sound at once.
    """

    task: str
    split: str
    folder: Path
    items: Sequence[Item]
    rules: Rules
    batch_s: float


class FeatureCache:
    """Features of one job in a folder, by key."""

    def __init__(self, folder: Path) -> None:
        """Take a folder; it is made when something is put in."""
        self.folder = folder
        self._hashes = FileHashes(folder / "files.json")
        self._items: dict[tuple[str, str], str] = {}

    def key(self, entrant: Entrant, work: Work, reading: Reading) -> str:
        """Hash of the weights, the preprocessing, the reading, and the items' spans and sound."""
        return hash_of_value(self._describe(entrant, work, reading))

    def has(self, key: str) -> bool:
        """Whether all of it is there."""
        return (self.folder / key / META).is_file()

    def load(self, key: str) -> Floats:
        """Features, mapped into memory: ``(items, dim)``, ``(items, tokens, dim)`` or by layers.

        Raises:
            TaskError: They are not there, or damaged.
        """
        path = self.folder / key / VECTORS
        try:
            found: Floats = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise TaskError(
                f"{path}: no features ({error}); delete its folder, run again"
            ) from error
        return found

    def missing(self, entrant: Entrant, work: Work, readings: Sequence[Reading]) -> list[Reading]:
        """Readings that the encoder is still to be run for."""
        return [one for one in readings if not self.has(self.key(entrant, work, one))]

    def fill(
        self,
        entrant: Entrant,
        work: Work,
        readings: Sequence[Reading],
        *,
        stop: Event | None = None,
        progress: Callable[[int], None] = lambda _n: None,
    ) -> None:
        """Make what is missing of a task's split; ``progress`` is told of items.

        Raises:
            TaskError: A file cannot be read, or an encoder gives what cannot be right.
            RunInterruptedError: ``stop`` was set; chunks that were finished are kept.
        """
        keys = {one: self.key(entrant, work, one) for one in self.missing(entrant, work, readings)}
        if not keys:
            return
        chunks = _chunks(work)
        todo = [
            n
            for n in range(len(chunks))
            if any(not self._part(k, n).is_file() for k in keys.values())
        ]
        progress(sum(len(chunks[n]) for n in set(range(len(chunks))) - set(todo)))
        for number, clips in _read_ahead(entrant, work, [(n, chunks[n]) for n in todo]):
            if stop is not None and stop.is_set():
                raise RunInterruptedError("interrupted; the same command goes on from here")
            for reading, features in encode_clips(entrant, clips, work, list(keys)).items():
                _save(self._part(keys[reading], number), features)
            progress(len(chunks[number]))
        for reading, key in keys.items():
            self._assemble(key, chunks, self._describe(entrant, work, reading))

    def _items_sha256(self, work: Work) -> str:
        """Of spans and sound; once for all readings."""
        known = (work.task, work.split)
        if known not in self._items:
            content = self._hashes.of(work.folder, sorted({item.path for item in work.items}))
            digest = sha256()
            for item in work.items:
                row = (item.id, item.start_s, item.stop_s, content[item.path])
                digest.update(json.dumps(row).encode())
            self._items[known] = digest.hexdigest()
        return self._items[known]

    def _part(self, key: str, number: int) -> Path:
        return self.folder / key / f"part-{number:05}.npy"

    def _assemble(
        self, key: str, chunks: Sequence[Sequence[int]], description: dict[str, Any]
    ) -> None:
        """Join parts in the order of the items; the description is the seal."""
        folder = self.folder / key
        n_items = sum(len(chunk) for chunk in chunks)
        with replaced_whole(folder / VECTORS) as unfinished:
            whole: Any = None
            for number, chunk in enumerate(chunks):
                part = np.load(self._part(key, number), allow_pickle=False)
                if whole is None:
                    whole = np.lib.format.open_memmap(
                        unfinished, mode="w+", dtype=part.dtype, shape=(n_items, *part.shape[1:])
                    )
                whole[list(chunk)] = part
            whole.flush()
            del whole
        write_whole(folder / META, json.dumps(description, indent=1).encode())
        for number in range(len(chunks)):
            self._part(key, number).unlink(missing_ok=True)

    def _describe(self, entrant: Entrant, work: Work, reading: Reading) -> dict[str, Any]:
        rules = {"protocol": work.rules.protocol, "crop_s": work.rules.crop_s}
        return {
            "version": RULES_VERSION,
            "model": entrant.name,
            "weights_sha256": entrant.weights_sha256,
            "preprocessing": entrant.preprocessing,
            "readout": reading.readout,
            "pooling": reading.pooling,
            "rules": rules if work.rules.first_only else {"protocol": work.rules.protocol},
            "task": work.task,
            "split": work.split,
            "n_items": len(work.items),
            "items_sha256": self._items_sha256(work),
        }


def encode_clips(
    entrant: Entrant, clips: Sequence[NDArray[np.float32]], work: Work, readings: Sequence[Reading]
) -> dict[Reading, Floats]:
    """Features of clips by each reading, from one pass of the encoder.

    A clip longer than the encoder's window is several pieces: vectors are averaged by length,
    tokens follow each other in time.

    Raises:
        TaskError: Features that are not finite.
    """
    encoder: Any = entrant.source
    pieces = pieces_of(clips, work.rules, encoder.sample_rate)
    most = round(work.batch_s * encoder.sample_rate)
    found: dict[Reading, list[Any]] = {one: [None] * len(pieces) for one in readings}
    for indices in batches(pieces, most):
        waveforms, lengths = as_tensors([pieces[i] for i in indices])
        # the paper's code gives EAT no mask: zeros are silence that it hears
        told = None if work.rules.first_only and isinstance(encoder, EAT) else lengths
        for reading, values in _encode(encoder, waveforms, told, readings).items():
            for index, value in zip(indices, values, strict=True):
                found[reading][index] = value
    features = {one: joined(pieces, found[one], len(clips), one) for one in readings}
    for reading, values in features.items():
        if not np.isfinite(values).all():
            n_bad = int((~np.isfinite(values).reshape(len(values), -1).all(axis=1)).sum())
            raise TaskError(
                f"{entrant.name}, {reading.readout} {reading.pooling}: features of {n_bad} of "
                f"{len(values)} clips of {work.task} are not finite"
            )
    return features


def _encode(
    encoder: Encoder,
    waveforms: torch.Tensor,
    lengths: torch.Tensor | None,
    readings: Sequence[Reading],
) -> dict[Reading, Floats]:
    layers = list(dict.fromkeys(layer for one in readings for layer in one.wanted.layers))
    with torch.inference_mode():
        out = encoder.encode(waveforms, lengths, layers or None)
        return {one: take(one, out).float().cpu().numpy() for one in readings}


def _chunks(work: Work) -> list[list[int]]:
    """Indices of items that are read and encoded together: those of one file, as far as it goes."""
    order = sorted(
        range(len(work.items)),
        key=lambda i: (work.items[i].path, work.items[i].start_s, work.items[i].id),
    )
    chunks: list[list[int]] = []
    seconds = 0.0
    for index in order:
        one_s = length_s(work.items[index], work.rules.longest_s)
        if not chunks or seconds + one_s > CHUNK_S or len(chunks[-1]) >= CHUNK_ITEMS:
            chunks.append([])
            seconds = 0.0
        chunks[-1].append(index)
        seconds += one_s
    return chunks


def _read_ahead(
    entrant: Entrant, work: Work, chunks: Sequence[tuple[int, list[int]]]
) -> Iterator[tuple[int, list[NDArray[np.float32]]]]:
    """Sound of each chunk; the next one is read while one is encoded."""
    encoder: Any = entrant.source

    def read(indices: Sequence[int]) -> list[NDArray[np.float32]]:
        items = [work.items[i] for i in indices]
        return read_clips(work.folder, items, encoder.sample_rate, work.rules.longest_s)

    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(read, indices) for _, indices in chunks[:1]]
        for place, (number, _) in enumerate(chunks):
            clips = waiting.pop().result()
            waiting = [pool.submit(read, indices) for _, indices in chunks[place + 1 : place + 2]]
            yield number, clips


def _save(path: Path, features: Floats) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_whole(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, features, allow_pickle=False)
