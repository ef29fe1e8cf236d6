"""Numbers for all windows that lists are made of, computed once: scores, novelty."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.labelling.scores import window_scores
from dawnchorus.search.enough_sound import enough_sound
from dawnchorus.search.oddities import strangeness
from dawnchorus.search.whole_numbers import as_whole_numbers
from dawnchorus.serve.library import NotThereError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.serve.library import Library

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

MOST_KEPT: Final = 8  # arrays of one number a window: 40 MB each of ten million
REFERENCES: Final = 2_000  # windows that novelty is measured against
BLOCK: Final = 20_000


class Scores:
    """Scores by a probe or by the stores' own labels, and novelty.

    Attributes:
        probes: by the name that the page shows.
    """

    def __init__(self, library: Library, probes: Mapping[str, FittedProbe | Path]) -> None:
        """Nothing is computed yet."""
        self.probes: dict[str, FittedProbe | Path] = dict(probes)
        self._library = library
        self._kept: OrderedDict[tuple[str | None, str | None], Floats] = OrderedDict()
        self._lock = threading.Lock()
        # references, which rows they are, and which windows are no example of a sound
        self._measure: tuple[NDArray[np.int8], Rows, NDArray[np.bool_]] | None = None

    def probe(self, name: str | None) -> FittedProbe | Path | None:
        """The probe of a name; None: no name was given.

        Raises:
            NotThereError: There is none.
        """
        if name is None:
            return None
        if name not in self.probes:
            known = ", ".join(self.probes) or "none; start with --probe NAME=FOLDER"
            raise NotThereError(f"no probe {name!r}; there are: {known}")
        return self.probes[name]

    def add_probe(self, name: str, probe: FittedProbe) -> None:
        """A probe that was fitted just now, in place of one of that name."""
        with self._lock:
            self.probes[name] = probe
            self._kept = OrderedDict(
                (key, value) for key, value in self._kept.items() if key[0] != name
            )

    def of(self, label: str | None, probe: str | None) -> Floats:
        """A score for each window of the archive, ``(n_windows,)``.

        Raises:
            UsageError: Neither the probe nor the stores know the label.
            StoreError: A part is missing or damaged.
        """
        key = probe, label
        with self._lock:  # two lists of one label wait for one pass over the vectors
            if key not in self._kept:
                self._kept[key] = window_scores(
                    self._library.archive, probe=self.probe(probe), label=label
                )
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]

    def novelty(self, rows: Rows, done: Callable[[int], object] = lambda _: None) -> Floats:
        """How far each of some windows is from its like in other recordings: 1 - cosine.

        It is measured against `REFERENCES` windows that are spread over the archive, so it does
        not depend on which other windows are asked for; see `strangeness`. Of windows with too
        little sound (see `enough_sound`) it is not known: nan.
        """
        if self._measure is None:
            n = self._library.archive.n_windows
            chosen = np.unique(np.linspace(0, n - 1, min(n, REFERENCES)).astype(np.int64))
            thin = ~enough_sound(self._library.archive)
            self._measure = self._whole(chosen), chosen, thin
        vectors, chosen, thin = self._measure
        owner, found = self._library.owner, np.empty(len(rows), np.float32)
        for first in range(0, len(rows), BLOCK):
            block = rows[first : first + BLOCK]
            both = np.concatenate([self._whole(block), vectors])
            recordings = np.concatenate([owner[block], owner[chosen]]).astype(np.int64)
            places = np.arange(len(block), len(both))
            # of the references themselves it would be known already, but they are few
            found[first : first + len(block)] = strangeness(both, recordings, places)[: len(block)]
            done(len(block))
        found[thin[rows]] = np.nan
        return found

    def _whole(self, rows: Rows) -> NDArray[np.int8]:
        archive = self._library.archive
        return as_whole_numbers(archive.take(rows), archive.mean())
