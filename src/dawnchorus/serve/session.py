"""Everything that one run of the server holds: stores, annotations, lists, pictures, probes."""

from __future__ import annotations

import shlex
import threading
from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.annotations.annotation_row import default_author
from dawnchorus.annotations.annotation_table import annotations_beside
from dawnchorus.annotations.window_labels import TOLERANCE_S
from dawnchorus.engine.detections.probe_rules import check_store, open_probe
from dawnchorus.labelling.verdicts import NOT_THERE
from dawnchorus.paths import as_path
from dawnchorus.search.cluster_names import cluster_names, labelled_windows
from dawnchorus.search.clusters import NONE
from dawnchorus.search.map import ArchiveMap
from dawnchorus.serve.clips import Clips
from dawnchorus.serve.jobs import Jobs
from dawnchorus.serve.judgements import Writer
from dawnchorus.serve.library import Library
from dawnchorus.serve.lists import Lists
from dawnchorus.serve.live import LiveAnnotations
from dawnchorus.serve.scored import Scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.serve.bodies import Span
    from dawnchorus.serve.library import RecordingFacts

MAP_SUFFIX: Final = ".map"
MOST_SUGGESTED: Final = 1_000  # in one go
MOST_LOOKED_UP: Final = 4_096  # recordings of which it is remembered whether they are there


class Session:
    """One run of the server.

    Attributes:
        library: the stores.
        live: the annotations.
        lists: of sounds.
        scores: of windows.
        writer: of judgements.
        clips: that were dropped on the page.
        jobs: that take a while.
        read_only: nothing is written.
        model: the stores' encoder, for sounds; None: the one whose name the first store has.
        author: who judges, if the page does not say it.
    """

    most_suggested = MOST_SUGGESTED

    def __init__(
        self,
        stores: Sequence[str | Path],
        *,
        annotations: str | Path | None = None,
        probes: Mapping[str, str | Path] | None = None,
        map_folder: str | Path | None = None,
        audio_root: str | Path | None = None,
        author: str | None = None,
        read_only: bool = False,
        **more: Any,
    ) -> None:
        """Open stores, annotations, probes and map.

        Args:
            stores: of one model and settings.
            annotations: folder of the table. None: the one beside the first store.
            probes: folders by the name that the page shows.
            map_folder: of a map that `cluster_stores` made; None: beside the first store.
            audio_root: where the recordings lie now.
            author: who judges, if the page does not say it.
            read_only: refuse everything that writes.
            **more: ``model`` for sounds, ``time_zone`` of recordings without one.

        Raises:
            UsageError: A store is named twice, or a probe is of another readout.
            StoreError: A store is damaged, or has other settings than the first.
            WeightsError: A probe is of another encoder.
        """
        self.model: str | None = more.get("model")
        self.library = Library.open(stores, audio_root, more.get("time_zone"))
        header = self.library.archive.header
        opened: dict[str, FittedProbe | Path] = {}
        for name, folder in (probes or {}).items():
            check_store(header, open_probe(folder))
            opened[name] = Path(folder)
        first = self.library.archive.stores[0].path
        folder = annotations_beside(first) if annotations is None else as_path(annotations)
        self.live = LiveAnnotations(folder, self.library)
        self.scores = Scores(self.library, opened)
        self.writer = Writer(self.library, self.live)
        self.lists = Lists(self)
        self.clips = Clips()
        self.jobs = Jobs(self)
        self.read_only = read_only
        self.author = author or default_author()
        beside = first.with_name(first.name.removesuffix(".store") + MAP_SUFFIX)
        self.map_folder = beside if map_folder is None else Path(map_folder)
        self._lock = threading.RLock()
        self._map: tuple[str, ArchiveMap, bool] | None = None
        self._sounds: OrderedDict[str, bool] = OrderedDict()

    def close(self) -> None:
        """Remove what lives as long as the server does."""
        self.clips.close()

    @property
    def store_words(self) -> str:
        """The stores as on a command line."""
        return " ".join(shlex.quote(str(store.path)) for store in self.library.archive.stores)

    @property
    def map(self) -> ArchiveMap | None:
        """The map, if there is one of exactly these windows; the last one that was made."""
        found = sorted(self.map_folder.glob("map-*.parquet")) if self.map_folder.is_dir() else []
        if not found:
            return None
        stat = found[-1].stat()
        key = f"{found[-1]} {stat.st_mtime_ns} {stat.st_size}"
        with self._lock:
            if self._map is None or self._map[0] != key:
                made = ArchiveMap.read(found[-1])
                self._map = (key, made, self._fits(made))
                self.__dict__.pop("cluster_names", None)
        return self._map[1] if self._map[2] else None

    def _fits(self, made: ArchiveMap) -> bool:
        """Whether row i of the map is row i of the archive."""
        windows = self.library.windows
        return len(made.windows) == len(windows) and all(
            made.windows[name].equals(windows[name].cast(made.windows[name].type))
            for name in ("recording_id", "window")
        )

    @cached_property
    def cluster_names(self) -> dict[int, str]:
        """What each cluster of the map is called, by its labels."""
        made = self.map
        if made is None:
            return {}
        names = cluster_names(made.clusters, labelled_windows(made.windows, self.live.rows()))
        return {number: name.text for number, name in enumerate(names)}

    def clusters(self) -> tuple[tuple[int, str, int], ...]:
        """Number, name and windows of each cluster of the map, the largest first."""
        made = self.map
        if made is None:
            return ()
        inside = made.clusters[made.clusters != NONE]
        sizes = np.bincount(inside, minlength=len(self.cluster_names))
        found = [(number, name, int(sizes[number])) for number, name in self.cluster_names.items()]
        return tuple(sorted(found, key=lambda one: (-one[2], one[0])))

    def row_of_span(self, span: Span) -> int:
        """The window that has exactly this span; -1: none."""
        library = self.library
        for row in library.index.of_recording(span.recording_id).tolist():
            same_start = abs(library.start_s[row] - span.start_s) < TOLERANCE_S
            if same_start and abs(library.stop_s[row] - span.stop_s) < TOLERANCE_S:
                return int(row)
        return NOT_THERE

    def has_sound(self, recording: RecordingFacts) -> bool:
        """Whether the recording's file is there; what was there once is not looked for again."""
        with self._lock:
            if recording.recording_id not in self._sounds:
                self._sounds[recording.recording_id] = self.library.has_sound(recording)
                while len(self._sounds) > MOST_LOOKED_UP:
                    self._sounds.popitem(last=False)
            return self._sounds[recording.recording_id]
