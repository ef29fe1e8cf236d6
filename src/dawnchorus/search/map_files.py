"""The files of a map: tables of clusters, windows, twins and strange sounds, and pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.audio.decode.read import read_audio, read_info
from dawnchorus.audio.spectrogram import spectrogram_image
from dawnchorus.errors import AudioError, DependencyError, UsageError
from dawnchorus.paths import from_stored_name, local_copy
from dawnchorus.search.clusters import NONE
from dawnchorus.search.map_pictures import plot_map, plot_sheet, plot_twins
from dawnchorus.search.oddities import duplicate_pairs, percentiles_within
from dawnchorus.store.files import write_whole
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.search.cluster_names import ClusterName
    from dawnchorus.search.map import ArchiveMap

    Rows = NDArray[np.int64]
    Labelled = dict[str, NDArray[np.bool_]]

MOST_DRAWN: Final = 40  # sounds on one sheet
WINDOW: Final = ("path", "start_s", "stop_s")


@dataclass(slots=True)
class ClusterReport:
    """What `cluster_stores` found and wrote.

    Attributes:
        n_windows: in the map.
        n_new: that an earlier map did not have; all of them where there was none.
        n_landmarks: that hold the map.
        names: of the clusters, from the largest on.
        sizes: windows in each.
        n_none: windows in no cluster.
        stability: of each cluster, 0 to 1; None where it was not asked for.
        n_duplicates: pairs; None where they were not asked for.
        files: that were written.
        warnings: what to mind.
    """

    n_windows: int
    n_new: int
    n_landmarks: int
    names: list[ClusterName]
    sizes: list[int]
    n_none: int
    stability: list[float] | None = None
    n_duplicates: int | None = None
    files: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class MapFiles:
    """Writes the tables and pictures of one map into its folder."""

    def __init__(self, folder: Path, audio_root: Path, report: ClusterReport) -> None:
        """Write into ``folder``, and say what was written in ``report``."""
        self._folder = folder
        self._audio_root = audio_root
        self._report = report

    def _csv(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        path = self._folder / name
        write_whole(path, csv_text(columns, rows).encode())
        self._report.files.append(path)

    def clusters(
        self, table: pa.Table, names: Sequence[ClusterName], sizes: Sequence[int], typical: Rows
    ) -> None:
        """A row a cluster, with its most typical window."""
        examples = table.take(typical).select(list(WINDOW)).to_pylist()
        self._csv(
            "clusters.csv",
            ["cluster", "name", "n_windows", "label", "label_share", "n_labels", "stability",
             *WINDOW],
            (
                [at, name.text, size, name.label or "", f"{name.share:.3f}", name.n_labels, stable,
                 *example.values()]
                for at, (name, size, stable, example) in enumerate(
                    zip(names, sizes, self._stable(len(names)), examples, strict=True)
                )
            ),
        )  # fmt: skip

    def _stable(self, n: int) -> list[str]:
        """Stability of each cluster as text, empty where it is not known."""
        values = self._report.stability
        return [""] * n if values is None else [f"{value:.2f}" for value in values]

    def windows(
        self,
        table: pa.Table,
        made: ArchiveMap,
        names: Sequence[ClusterName],
        labelled: Labelled,
    ) -> None:
        """A row a window: what people called it and, in a column of its own, what is guessed."""
        clusters = made.clusters
        own = _words(labelled, len(table))
        guessed = [
            None if cluster == NONE or own[row] else names[cluster].passed_on
            for row, cluster in enumerate(clusters.tolist())
        ]
        shown = [names[one].text if one != NONE else "" for one in clusters.tolist()]
        columns = [*(table[name].to_pylist() for name in WINDOW)]
        points = [[f"{value:.3f}" for value in table[name].to_pylist()] for name in ("x", "y")]
        self._csv(
            "windows.csv",
            [*WINDOW, "x", "y", "cluster", "cluster_name", "label", "label_from_cluster"],
            zip(*columns, *points, clusters.tolist(), shown,
                [word or "" for word in own], [word or "" for word in guessed], strict=True),
        )  # fmt: skip

    def duplicates(
        self,
        table: pa.Table,
        nearest: tuple[Rows, NDArray[np.float64]],
        threshold: float,
    ) -> None:
        """Pairs of windows of different recordings that are alike, and how alike others are."""
        rows, near = nearest
        pairs = duplicate_pairs(rows, near, threshold)
        self._report.n_duplicates = len(pairs)
        windows = table.select(list(WINDOW)).to_pylist()
        self._csv(
            "duplicates.csv",
            ["cosine", *WINDOW, *(f"other_{name}" for name in WINDOW)],
            (
                [f"{value:.4f}", *windows[one].values(), *windows[other].values()]
                for one, other, value in pairs
            ),
        )
        self._draw("duplicates.png", plot_twins, near, threshold)

    def strangest(self, table: pa.Table, strange: NDArray[np.float64], n: int) -> None:
        """The windows of each site that are farthest from all others."""
        sites, groups = _sites(table), site_numbers(table)
        percentile = percentiles_within(strange, groups)
        order = np.lexsort((-np.nan_to_num(strange, nan=-1), groups))
        kept = [
            row
            for group in range(groups.max(initial=-1) + 1)
            for row in order[groups[order] == group][:n].tolist()
            if np.isfinite(strange[row])
        ]
        windows = table.take(kept).select(list(WINDOW)).to_pylist()
        self._csv(
            "strangest.csv",
            ["site", *WINDOW, "distance", "percentile"],
            (
                [sites[row], *window.values(), f"{strange[row]:.4f}", f"{percentile[row]:.2f}"]
                for row, window in zip(kept, windows, strict=True)
            ),
        )
        captions = [
            (
                f"{sites[row]} {window['path'].rpartition('/')[2]}".strip(),
                f"{window['start_s']:.1f} s",
            )
            for row, window in zip(kept, windows, strict=True)
        ]
        # as many of each site as there is room for; they lie in the order of sites
        each = max(1, MOST_DRAWN // max(1, len(np.unique(groups[kept]))))
        shown = [
            at for at, row in enumerate(kept) if (groups[kept[:at]] == groups[row]).sum() < each
        ][:MOST_DRAWN]
        images = [self._image(table, kept[at]) for at in shown]
        heading = f"The sounds that are least like any other. {self._axes(table)}"
        sounds = [(*captions[at], image) for at, image in zip(shown, images, strict=True)]
        self._draw("strangest.png", plot_sheet, sounds, heading)

    def pictures(
        self,
        table: pa.Table,
        made: ArchiveMap,
        names: Sequence[ClusterName],
        labelled: Labelled,
        typical: Rows,
    ) -> None:
        """The map in colours, and the most typical sound of each cluster."""
        clusters = made.clusters.tolist()
        colourings: dict[str, Any] = {
            "cluster": [names[one].text if one != NONE else None for one in clusters]
        }
        if labelled:
            colourings["label, by people"] = _words(labelled, len(table))
        if "site" in table.column_names:
            colourings["site"] = table["site"].to_pylist()
        hours = _hours(table)
        if np.isfinite(hours).any():
            colourings["local hour"] = hours
        points = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1)
        self._draw("map.png", plot_map, points, colourings)
        shown = typical[:MOST_DRAWN].tolist()
        captions = [
            (names[at].text, f"{self._report.sizes[at]:,} windows") for at in range(len(shown))
        ]
        images = [self._image(table, row) for row in shown]
        if shown:
            heading = f"The most typical sound of the largest clusters. {self._axes(table)}"
            sounds = [(*words, image) for words, image in zip(captions, images, strict=True)]
            self._draw("typical.png", plot_sheet, sounds, heading)

    @staticmethod
    def _axes(table: pa.Table) -> str:
        """What lies along the edges of each picture of sound."""
        return f"Across: {_window_s(table):g} s; up: to half the recording's sample rate."

    def _image(self, table: pa.Table, row: int) -> NDArray[np.uint8] | None:
        window = table.slice(row, 1).to_pylist()[0]
        try:
            with local_copy(from_stored_name(window["path"], self._audio_root)) as path:
                rate = read_info(path).sample_rate
                samples = read_audio(path, start_s=window["start_s"], stop_s=window["stop_s"])
            # the last window of a recording may be short: nothing follows, at the same scale
            n_missing = max(0, round(_window_s(table) * rate) - len(samples))
            samples = np.pad(samples.astype(np.float32), (0, n_missing))
            return spectrogram_image(samples, rate, height=120, width=320)
        except (AudioError, OSError, UsageError) as error:
            said = f"{window['path']}: not drawn: {error}"
            self._report.warnings.append(said)
            return None

    def _draw(self, name: str, draw: Any, *given: Any) -> None:
        path = self._folder / name
        try:
            draw(path, *given)
        except DependencyError as error:
            self._report.warnings.append(f"no {name}: {error}")
        else:
            self._report.files.append(path)


def _window_s(table: pa.Table) -> float:
    """Length of a whole window, seconds."""
    lengths = table["stop_s"].to_numpy() - table["start_s"].to_numpy()
    return round(float(lengths.max(initial=0.0)), 3)


def _sites(table: pa.Table) -> list[str]:
    if "site" not in table.column_names:
        return [""] * len(table)
    return [site or "" for site in table["site"].to_pylist()]


def site_numbers(table: pa.Table) -> Rows:
    """The site of each window as a number, by name; all are of one where none is known."""
    return np.unique(_sites(table), return_inverse=True)[1]


def _words(labelled: Labelled, n: int) -> list[str | None]:
    """The labels of each window as one text, None without any."""
    words: list[str | None] = [None] * n
    for label, flags in labelled.items():
        for row in np.flatnonzero(flags).tolist():
            before = words[row]
            words[row] = label if before is None else f"{before}; {label}"
    return words


def _hours(table: pa.Table) -> NDArray[np.float64]:
    """Local hour of each window, nan where it is not known."""
    if "local_time" not in table.column_names:
        return np.full(len(table), np.nan)
    texts = table["local_time"].to_pylist()  # ISO 8601: 2024-05-01T04:30:00
    return np.array(
        [np.nan if text is None else int(text[11:13]) + int(text[14:16]) / 60 for text in texts]
    )
