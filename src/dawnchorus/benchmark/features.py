"""Features of a task's items: from an encoder, by way of the cache of clips, or from a table.

``CACHE/clips`` holds what the encoder gave for the pieces of each clip
(`dawnchorus.embedding.cache`); here they become one thing an item: the mean of its pieces by
length, or a grid of tokens. ``CACHE/sets/SHA256.json`` lists the clips of one split in the order of
its items, under the name that rows of results give to features (``features_sha256``), so that a
report can find the vectors that were scored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dawnchorus.benchmark.plan import FeatureSpec
from dawnchorus.configs.json_file import read_json
from dawnchorus.configs.readout import Readout
from dawnchorus.embedding.cache import PieceCache, encoding, hash_of_value
from dawnchorus.embedding.clips import contents_of, embed_missing
from dawnchorus.embedding.content import FileHashes
from dawnchorus.embedding.encode import PieceEncoder
from dawnchorus.embedding.pieces import PieceRule
from dawnchorus.embedding.pool import join_grids, token_grid
from dawnchorus.errors import TaskError
from dawnchorus.models.encoder import facts_of
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from threading import Event

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.benchmark.competitors import Competitor
    from dawnchorus.benchmark.task_data import TaskData
    from dawnchorus.benchmark.vector_table import VectorTable
    from dawnchorus.configs.benchmark import BenchmarkConfig
    from dawnchorus.models.encoder import EncoderOutput
    from dawnchorus.progress import Progress

    Floats = NDArray[np.floating[Any]]

SETS: Final = "sets"


@dataclass(frozen=True)
class TableFeatures:
    """Features that another program made."""

    table: VectorTable
    data: TaskData

    def n_missing(self, split: str, specs: Sequence[FeatureSpec]) -> int:
        """Nothing has to be encoded."""
        del split, specs
        return 0

    def encode(self, split: str, specs: Sequence[FeatureSpec], **_: Any) -> None:
        """Nothing has to be encoded."""
        del split, specs

    def load(self, spec: FeatureSpec, split: str) -> Floats:
        """``(items, dim)`` in the order of a split's items."""
        del spec
        return self.table.take(self.data.task.id, self._ids(split))

    def sha256(self, spec: FeatureSpec, split: str) -> str:
        """Which features they are."""
        del spec
        return hash_of_value([self.table.sha256, self.data.task.id, split, self._ids(split)])

    def _ids(self, split: str) -> list[str]:
        return [item.id for item in self.data.of_split(split)]


@dataclass(frozen=True)
class EncodedFeatures:
    """Features by an encoder; one pass over the clips serves every kind of features of a plan.

    Attributes:
        batch_s: seconds of sound encoded at once.
    """

    competitor: Competitor
    data: TaskData
    folder: Path
    rule: PieceRule
    batch_s: float
    # what was looked up already: contents by split, an open cache by kind of features
    _contents_of: dict[str, list[str]] = field(default_factory=dict)
    _cache_of: dict[FeatureSpec, PieceCache] = field(default_factory=dict)

    @classmethod
    def of(
        cls, competitor: Competitor, data: TaskData, config: BenchmarkConfig, folder: Path
    ) -> EncodedFeatures:
        """Features of a task under a plan's protocol, kept in a folder."""
        encoder: Any = competitor.source
        paper = config.protocol == "paper"
        rule = PieceRule(
            window_s=encoder.window_s,
            sample_rate=encoder.sample_rate,
            first_only=paper,
            crop_s=data.task.crop_s if paper else None,
        )
        return cls(competitor, data, folder, rule, config.batch_s)

    def n_missing(self, split: str, specs: Sequence[FeatureSpec]) -> int:
        """Items that the encoder still has to be run on."""
        caches = [self._cache(spec) for spec in specs]
        contents = self._contents(split)
        return sum(any(content not in cache for cache in caches) for content in contents)

    def encode(
        self,
        split: str,
        specs: Sequence[FeatureSpec],
        *,
        stop: Event | None = None,
        progress: Progress = NO_PROGRESS,
    ) -> None:
        """Make what is missing of a split.

        Raises:
            TaskError: A file cannot be read, or an encoder gives what cannot be right: a score
                without that clip would be one of another task.
            RunInterruptedError: ``stop`` was set; what was finished is kept.
        """
        if self.n_missing(split, specs):
            items = dict(zip(self._contents(split), self.data.of_split(split), strict=True))
            failed = embed_missing(
                self.data.folder,
                items,
                [self._cache(spec) for spec in specs],
                self._encoder(specs),
                stop=stop,
                label=f"{self.competitor.name} on {self.data.task.id}, encoding {split}",
                progress=progress,
            )
            for content, error in failed.items():
                raise TaskError(
                    f"{self.data.task.id}: item {items[content].id!r}: {error}; fetch the file "
                    "again, or leave the task out"
                ) from error
        for spec in specs:
            self._write_set(spec, split)

    def load(self, spec: FeatureSpec, split: str) -> Floats:
        """``(items, dim)``, ``(items, layers, dim)`` or ``(items, tokens, dim)`` of a split.

        Raises:
            TaskError: They are not there.
        """
        return _pooled(self._cache(spec), spec, self._contents(split))

    def sha256(self, spec: FeatureSpec, split: str) -> str:
        """Which features they are: hash of the encoding, and of the items' sound."""
        return hash_of_value([self._cache(spec).key, self._contents(split)])

    def _contents(self, split: str) -> list[str]:
        if split not in self._contents_of:
            items = self.data.of_split(split)
            contents, failures = contents_of(self.data.folder, items, FileHashes(self.folder))
            for failure in failures.values():
                raise TaskError(f"item {failure.path!r}: {failure.message}; fetch the file again")
            self._contents_of[split] = contents
        return self._contents_of[split]

    def _cache(self, spec: FeatureSpec) -> PieceCache:
        if spec not in self._cache_of:
            competitor: Any = self.competitor
            facts = encoding(
                competitor.source,
                competitor.weights_sha256,
                readout=spec.text,
                precision=competitor.precision,
                rule=self.rule,
            )
            self._cache_of[spec] = PieceCache(self.folder, facts)
        return self._cache_of[spec]

    def _encoder(self, specs: Sequence[FeatureSpec]) -> PieceEncoder:
        encoder: Any = self.competitor.source
        layers = (
            list(dict.fromkeys(layer for spec in specs for layer in spec.layers_and_pooling.layers))
            or None
        )
        # the published code gives EAT no mask: zeros are silence that it hears
        unmasked = self.rule.first_only and facts_of(encoder).paper_reads_cls

        def encode(waveforms: Tensor, lengths: Tensor) -> list[Floats]:
            with torch.inference_mode():
                out = encoder.encode(waveforms, None if unmasked else lengths, layers)
                return [_values(spec, out).cpu().numpy() for spec in specs]

        return PieceEncoder(
            name=self.competitor.name,
            encode=encode,
            rule=self.rule,
            most_samples=round(self.batch_s * self.rule.sample_rate),
        )

    def _write_set(self, spec: FeatureSpec, split: str) -> None:
        path = self.folder / SETS / f"{self.sha256(spec, split)}.json"
        if path.is_file():
            return
        about = {
            "encoding": self._cache(spec).facts,
            "readout": spec.readout,
            "pooling": spec.pooling,
            "model": self.competitor.name,
            "task": self.data.task.id,
            "split": split,
            "clips": self._contents(split),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(about).encode())


def has_features(cache: Path, sha256: str) -> bool:
    """Whether a cache lists the features that rows of results name."""
    return bool(sha256) and (cache / SETS / f"{sha256}.json").is_file()


def load_features(cache: Path, sha256: str) -> Floats:
    """Features of a row of results, in the order of its scored items.

    Args:
        cache: of the run.
        sha256: the row's ``features_sha256``.

    Raises:
        TaskError: They are not there, or not all of them.
    """
    path = cache / SETS / f"{sha256}.json"
    try:
        about = read_json(path)
    except (OSError, ValueError) as error:
        raise TaskError(f"{path}: no features that can be read: {error}") from error
    spec = FeatureSpec(about["readout"], about["pooling"])
    return _pooled(PieceCache(cache, about["encoding"]), spec, about["clips"])


def _pooled(cache: PieceCache, spec: FeatureSpec, contents: Sequence[str]) -> Floats:
    """One thing an item: its pieces' mean by length, or one grid over all of them."""
    clips = cache.load(contents)
    if spec.grid_steps is not None:
        return np.stack([join_grids(clip.values, spec.grid_steps) for clip in clips])
    return np.stack([clip.mean() for clip in clips])


def _values(spec: FeatureSpec, out: EncoderOutput) -> Tensor:
    """``(batch, dim)``, ``(batch, layers, dim)`` if stacked, or a grid ``(batch, tokens, dim)``."""
    readout = spec.layers_and_pooling
    if spec.grid_steps is not None:
        tokens = [out.tokens_of(part.layer) for part in readout.parts]
        # kept as float16: a grid is 64 vectors a clip, and probes on it are trained, not solved
        return token_grid(torch.cat(tokens, dim=-1), out, spec.grid_steps).half()
    if not spec.stacked:
        return readout.pool(out).float()
    return torch.stack([Readout((part,)).pool(out) for part in readout.parts], dim=1).float()
