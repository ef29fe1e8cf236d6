"""The map as bytes: where each window lies, and what it is coloured by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.annotations.window_labels import PRESENT, window_labels
from dawnchorus.errors import UsageError
from dawnchorus.serve.bodies import Item, MapColours
from dawnchorus.serve.library import DAY_S, NotThereError
from dawnchorus.serve.lists import items
from dawnchorus.serve.places import Found

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dawnchorus.search.map import ArchiveMap
    from dawnchorus.serve.session import Session

    Codes = NDArray[np.uint16]

NONE: Final = 65_535
TOP: Final = 65_534  # the highest value of a scale
HOUR_S: Final = 3_600
HOURS: Final = 24.0
MOST_LABELS: Final = 40
MOST_HEADER: Final = 6_000  # bytes of names, which go into a header


def map_points(session: Session) -> bytes:
    """X of every window, then y, as little-endian float32.

    Raises:
        NotThereError: There is no map of these windows.
    """
    windows = needed_map(session).windows
    return b"".join(windows[name].to_numpy().astype("<f4").tobytes() for name in ("x", "y"))


def needed_map(session: Session) -> ArchiveMap:
    """The map.

    Raises:
        NotThereError: There is none of exactly these windows.
    """
    made = session.map
    if made is None:
        raise NotThereError(
            f"there is no map of these windows in {session.map_folder}; make one here, or with "
            f"dawnchorus cluster {session.store_words} -o {session.map_folder}"
        )
    return made


def map_colours(session: Session, by: str, label: str | None) -> tuple[bytes, MapColours]:
    """A code for every window, as little-endian uint16, and what the codes mean.

    Args:
        session: whose map.
        by: ``cluster``, ``label``, ``site``, ``hour`` or ``score``.
        label: of ``score``; None: how typical of its cluster is not known, so no point has one.

    Raises:
        NotThereError: There is no map of these windows.
        UsageError: They cannot be coloured so.
    """
    needed_map(session)
    if by not in COLOURS:
        raise UsageError(f"by: need one of {', '.join(COLOURS)}")
    codes, meaning = COLOURS[by](session, label)
    return codes.astype("<u2").tobytes(), meaning


def _by_cluster(session: Session, _label: str | None) -> tuple[Codes, MapColours]:
    clusters = needed_map(session).clusters
    names = [session.cluster_names[at] for at in sorted(session.cluster_names)]
    codes = np.where((clusters < 0) | (clusters >= NONE), NONE, clusters)
    return codes.astype(np.uint16), MapColours(by="cluster", names=_fitting(names))


def _by_label(session: Session, _label: str | None) -> tuple[Codes, MapColours]:
    session.live.refresh()
    rows = session.live.rows()
    counts: dict[str, int] = {}
    for row in rows:
        if row.state == "present" and row.label:
            counts[row.label] = counts.get(row.label, 0) + 1
    names = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_LABELS]
    codes = np.full(session.library.archive.n_windows, NONE, np.uint16)
    for code, name in reversed(list(enumerate(names))):  # of two labels, the more frequent shows
        codes[window_labels(session.library.windows, rows, name) == PRESENT] = code
    return codes, MapColours(by="label", names=_fitting(names))


def _by_site(session: Session, _label: str | None) -> tuple[Codes, MapColours]:
    names, of_recording = session.library.sites
    codes = of_recording[session.library.owner]
    codes = np.where((codes < 0) | (codes >= NONE), NONE, codes)
    return codes.astype(np.uint16), MapColours(by="site", names=_fitting(names))


def _by_hour(session: Session, _label: str | None) -> tuple[Codes, MapColours]:
    clock = session.library.clock(np.arange(session.library.archive.n_windows))
    hours = np.mod(clock, DAY_S) / HOUR_S
    return _scaled(hours, 0.0, HOURS), MapColours(by="hour", low=0.0, high=HOURS)


def _by_score(session: Session, label: str | None) -> tuple[Codes, MapColours]:
    name = f"learned: {label}"
    probe = name if name in session.scores.probes else next(iter(session.scores.probes), None)
    if label is None and probe is None:
        raise UsageError("which label's score? Choose a label first")
    scores = session.scores.of(label, probe).astype(np.float64)
    low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
    return _scaled(scores, low, high), MapColours(by="score", low=low, high=high)


def _scaled(values: NDArray[np.float64], low: float, high: float) -> Codes:
    share = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    return np.where(np.isnan(share), NONE, np.rint(np.nan_to_num(share) * TOP)).astype(np.uint16)


def _fitting(names: list[str]) -> tuple[str, ...]:
    """Names, the last ones shortened to numbers where all would not fit into a header."""
    n_bytes, kept = 0, []
    for at, name in enumerate(names):
        # percent-encoded, a letter may be twelve
        n_bytes += 3 * len(name.encode()) + 6
        kept.append(name if n_bytes <= MOST_HEADER else str(at))
    return tuple(kept)


def map_item(session: Session, row: int) -> Item:
    """One point as a sound.

    Raises:
        NotThereError: There is no such row.
    """
    if not 0 <= row < session.library.archive.n_windows:
        raise NotThereError(f"row {row}: these stores have {session.library.archive.n_windows}")
    session.live.refresh()
    return items(session, Found(np.array([row]), "", ""), None)[0]


COLOURS: Final[dict[str, Callable[[Session, str | None], tuple[Codes, MapColours]]]] = {
    "cluster": _by_cluster,
    "label": _by_label,
    "site": _by_site,
    "hour": _by_hour,
    "score": _by_score,
}
