"""The corpus that the bundled model was trained on, as its encoder hears it: for `label_facts`.

A row is right if its label is the recording's, or the family or order of its species; in made-up
scenes, if the call lies in the window; ``speech`` is right wherever people speak.
"""

from __future__ import annotations

import csv
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from dawnchorus.engine.encoding.embedder import ready_embedder
from dawnchorus.engine.encoding.model import DEFAULT_MODEL
from dawnchorus.engine.options import embed_config
from dawnchorus.engine.pipeline.events import EncodedWindows
from dawnchorus.engine.pipeline.flags import SILENT
from dawnchorus.engine.pipeline.run import run_recordings
from dawnchorus.engine.recordings.find import find_recordings
from dawnchorus.engine.recordings.jobs import jobs_of, with_file_facts
from dawnchorus.engine.report import Tally
from dawnchorus.models.label_facts import LabelFacts, levels_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.engine.pipeline.events import RunEvent

RATE = 16_000
# one precision on every machine, so that the same weights give the same card
CONFIG = embed_config(None, {"precision": "float32", "predict": True, "content_hash": False})


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Windows of recordings, in the order of paths.

    Attributes:
        path, start, valid: ``(n,)``, samples at `RATE`.
        vectors: ``(n, dim)``, the model's own readout.
        logits: ``(n, labels)``.
    """

    path: NDArray[np.str_]
    start: NDArray[np.int64]
    valid: NDArray[np.int64]
    vectors: NDArray[np.float32]
    logits: NDArray[np.float32]


class Corpus:
    """The corpus's manifest, and what is heard when."""

    def __init__(self, folder: Path, labels: Sequence[str]) -> None:
        """Read it."""
        self.folder = folder
        self.labels = list(labels)
        rows = pq.read_table(folder / "manifest.parquet").to_pylist()
        self.rows = [row for row in rows if row["level"] == "file"]
        self._by_path = {row["path"]: row for row in self.rows}
        self._above = {row["scientific_name"]: (row["family"], row["order"]) for row in rows}
        self._events: dict[str, list[dict[str, str]]] = defaultdict(list)
        with (folder / "events.csv").open(encoding="utf-8", newline="") as file:
            for event in csv.DictReader(file):
                self._events[event["path"]].append(event)

    def right_labels(self, path: str, start_s: float, stop_s: float) -> set[str]:
        """Labels that are right in a window."""
        row = self._by_path[path]
        if row["dataset"] == "scenes":
            names = {
                event["label"]
                for event in self._events[path]
                if float(event["start_s"]) < stop_s - 0.1 and float(event["stop_s"]) > start_s + 0.1
            }
        else:
            names = {*row["labels"], row["scientific_name"] or ""}
        if "Homo sapiens" in names:
            names.add("speech")
        above = {rank for name in names for rank in self._above.get(name, ())}
        return (names | above) & set(self.labels)

    def truth(self, heard: Heard) -> NDArray[np.bool_]:
        """Which labels are right, ``(n, labels)``."""
        column = {label: k for k, label in enumerate(self.labels)}
        truth = np.zeros((len(heard.path), len(column)), bool)
        spans = zip(heard.path.tolist(), heard.start / RATE, heard.valid / RATE, strict=True)
        for row, (path, start_s, length_s) in enumerate(spans):
            for name in self.right_labels(path, start_s, start_s + length_s):
                truth[row, column[name]] = True
        return truth

    def groups(self, heard: Heard) -> NDArray[np.int64]:
        """Numbers of what was recorded together: a recording, a speaker, a bird on a day."""
        names = [self._by_path[path]["group"] for path in heard.path.tolist()]
        return np.unique(names, return_inverse=True)[1].astype(np.int64)

    def levels(self, level: str) -> dict[str, str]:
        """Levels of labels that their names do not show."""
        kinds = {label: row["kind"] for row in self.rows for label in row["labels"]}
        names = sorted(set(self.labels) & kinds.keys())
        shown = levels_of(names, LabelFacts(level=level))
        return {n: kinds[n] for n, level in zip(names, shown, strict=True) if level != kinds[n]}

    def heard(self, split: str, cache: Path | None = None) -> Heard:
        """Every window of a split that is not silent, encoded once where there is a cache."""
        file = None if cache is None else cache / f"{split}.npz"
        if file is not None and file.exists():
            with np.load(file) as arrays:
                return Heard(**arrays)
        heard = encode(self.folder, [row["path"] for row in self.rows if row["split"] == split])
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, **{name: getattr(heard, name) for name in Heard.__slots__})
        return heard


def encode(folder: Path, paths: Sequence[str]) -> Heard:
    """Windows of recordings through the bundled model."""
    windows: list[tuple[str, int, int, Any]] = []

    def keep(event: RunEvent) -> None:
        if isinstance(event, EncodedWindows):
            name = event.job.path.relative_to(folder).as_posix()
            for n in np.flatnonzero((event.flags & SILENT) == 0):
                at = (int(event.start_sample[n]), int(event.valid_samples[n]))
                windows.append((name, *at, event.values[n]))

    with ready_embedder(DEFAULT_MODEL, CONFIG) as embedder:
        scan = find_recordings([folder / path for path in paths])
        tally = Tally(scan, RATE)
        jobs = map(with_file_facts, jobs_of(scan, folder, CONFIG))
        stop = threading.Event()
        run_recordings(embedder, jobs, tally, keep, advance=lambda _: None, stop=stop)
    if tally.n_failed:
        raise SystemExit(f"{tally.n_failed} recordings failed: {tally.failures[0].message}")
    windows.sort(key=lambda window: window[:2])  # the order of reading depends on threads
    path, start, valid, values = zip(*windows, strict=True)
    vectors, logits = np.split(np.stack(values), [embedder.dim], axis=1)
    return Heard(
        path=np.array(path),
        start=np.array(start),
        valid=np.array(valid),
        vectors=vectors,
        logits=logits,
    )
