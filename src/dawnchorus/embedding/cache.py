"""The one cache of embedded clips: what an encoder gave for their pieces, by the clips' content.

``FOLDER/clips/KEY/`` is for one encoding: one model's weights, readout, window, rule of cutting,
resampler and precision, all of which make up KEY and stand in ``about.json``. Its
``*.safetensors`` are parts of many clips, each there whole or not at all: ``values``
``(pieces, ...)`` and ``n_samples`` ``(pieces,)`` of clips one after another, and in the metadata
the clips' contents and how many pieces each has. Nothing in it needs to be kept: a part that is
missing or damaged costs the time to encode its clips again.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dawnchorus.audio.resample import RESAMPLER
from dawnchorus.embedding.encode import PieceValues
from dawnchorus.errors import TaskError
from dawnchorus.models.encoder import facts_of
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from dawnchorus.embedding.pieces import PieceRule
    from dawnchorus.models.encoder import Encoder

# Another number where the same options would give other values.
# 1 left out a last piece under a quarter of a window, 2 kept items of a probe instead of pieces.
FORMAT: Final = 3
CLIPS, ABOUT = "clips", "about.json"


def hash_of_value(value: Any) -> str:
    """SHA-256 of plain values, whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def encoding(
    encoder: Encoder, weights_sha256: str, *, readout: str, precision: str, rule: PieceRule
) -> dict[str, Any]:
    """All that decides the values of a clip's pieces, beside its sound; `PieceCache` hashes it.

    Args:
        encoder: what encodes.
        weights_sha256: of its weights, or another name that changes when they do.
        readout: layers and pooling, in one spelling.
        precision: of the computation.
        rule: how clips are cut.
    """
    first = {"first_only": True, "crop_s": rule.crop_s} if rule.first_only else {}
    return {
        "format": FORMAT,
        "weights_sha256": weights_sha256,
        "kind": type(encoder).__name__,
        # beside the weights: patch sizes, normalisation and padding change values too
        "config": facts_of(encoder).settings,
        "precision": precision,
        "readout": readout,
        "sample_rate": rule.sample_rate,
        "window": rule.window,
        "resampler": RESAMPLER,
        **first,
    }


class PieceCache:
    """Values of clips by content, for one encoding; in memory alone without a folder."""

    def __init__(self, folder: Path | None, facts: Mapping[str, Any]) -> None:
        """Open what is there.

        Args:
            folder: of the cache; None: nothing is kept after the process.
            facts: of `encoding`.
        """
        self.key = hash_of_value(facts)
        self.facts = dict(facts)
        self._folder = None if folder is None else folder / CLIPS / self.key[:32]
        self._part_of: dict[str, Path] = {}
        self._new: dict[str, PieceValues] = {}
        if self._folder is not None:
            for part in sorted(self._folder.glob("*.safetensors")):
                self._part_of |= dict.fromkeys(_contents(part), part)

    def __contains__(self, content: str) -> bool:
        """Whether a clip's values are there."""
        return content in self._part_of or content in self._new

    def add(self, content: str, values: PieceValues) -> None:
        """Hold a clip's values, until `flush` writes them."""
        self._new[content] = values

    def flush(self) -> None:
        """Write what is new as one part.

        Raises:
            TaskError: The folder cannot be written.
        """
        if self._folder is None or not self._new:
            return
        unfinished = self._folder / f".{uuid.uuid4().hex}"
        part = self._folder / f"{unfinished.name[1:]}.safetensors"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not (self._folder / ABOUT).is_file():
                text = json.dumps(self.facts, indent=1, default=str)
                write_whole(self._folder / ABOUT, text.encode())
            # beside and renamed: a part is there whole or not at all
            unfinished.write_bytes(_packed(self._new))
            unfinished.replace(part)
        except (OSError, SafetensorError) as error:
            raise TaskError(
                f"{self._folder}: embeddings cannot be kept: {error}; name another cache folder, "
                "or none"
            ) from error
        self._part_of |= dict.fromkeys(self._new, part)
        self._new = {}

    def load(self, contents: Sequence[str]) -> list[PieceValues]:
        """Values of clips, in the order asked for.

        Raises:
            TaskError: Some are not there.
        """
        missing = sum(content not in self for content in contents)
        if missing:
            raise TaskError(
                f"{self._folder or 'the cache'}: {missing} of {len(contents)} clips are not in it; "
                "run again, and they are encoded again"
            )
        found = dict(self._new)
        wanted = set(contents)
        # part by part, so that no more than one is in memory beside the result
        for part in dict.fromkeys(self._part_of[c] for c in wanted if c not in found):
            found |= {c: values for c, values in _read(part) if c in wanted}
        return [found[content] for content in contents]


def _packed(clips: Mapping[str, PieceValues]) -> bytes:
    counts = [len(one.values) for one in clips.values()]
    arrays = {
        "values": np.concatenate([one.values for one in clips.values()]),
        "n_samples": np.array([n for one in clips.values() for n in one.n_samples], np.int64),
    }
    metadata = {"contents": json.dumps(list(clips)), "counts": json.dumps(counts)}
    return bytes(save(arrays, metadata))


def _contents(part: Path) -> list[str]:
    """Contents of a part; of one that is damaged none, so that its clips are encoded again."""
    try:
        with safe_open(part, framework="numpy") as file:
            contents: list[str] = json.loads(file.metadata()["contents"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return []
    return contents


def _read(part: Path) -> Iterable[tuple[str, PieceValues]]:
    try:
        with safe_open(part, framework="numpy") as file:
            metadata = file.metadata()
            values, n_samples = file.get_tensor("values"), file.get_tensor("n_samples")
    except (OSError, SafetensorError) as error:
        raise TaskError(f"{part}: cannot be read: {error}; delete it, then run again") from error
    stop = 0
    for content, count in zip(
        json.loads(metadata["contents"]), json.loads(metadata["counts"]), strict=True
    ):
        start, stop = stop, stop + count
        yield content, PieceValues(values[start:stop], tuple(n_samples[start:stop].tolist()))
