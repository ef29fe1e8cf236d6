"""A manifest in one picture: hours per source, clips per label, lengths, licences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.compute as pc

from dawnchorus.clips.manifest import SPLITS, texts
from dawnchorus.clips.summary import UNKNOWN, summarise
from dawnchorus.figures import new_figure, picture_bytes, picture_format
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.clips.manifest import Manifest

MOST_BARS: Final = 14
LONGEST_NAME: Final = 20  # more would leave no room for the bars
COLOURS: Final = {"train": "#3b6ea5", "val": "#e0a030", "test": "#b5443c", UNKNOWN: "#999999"}


def plot_summary(manifest: Manifest, path: Path) -> None:
    """Draw the picture; the file's suffix says its format.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    form = picture_format(path)
    figure = new_figure(12, 9, extra="plot", what="drawing a summary")
    axes = figure.subplots(2, 2)
    summary = summarise(manifest)
    total = summary.total
    figure.suptitle(
        f"{total.n_clips:,} clips of {total.n_files:,} files, {total.hours:,.1f} hours, "
        f"{total.n_labels:,} labels"
    )
    _hours(axes[0, 0], manifest)
    _labels(axes[0, 1], manifest)
    _lengths(axes[1, 0], manifest)
    _bars(axes[1, 1], summary.licences, "clips", "licence")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, picture_bytes(figure, form, dpi=110))


def _splits(manifest: Manifest) -> list[tuple[str, Manifest]]:
    split = pc.fill_null(texts(manifest.table["split"]), UNKNOWN)
    parts = [(name, manifest.filter(pc.equal(split, name))) for name in (*SPLITS, UNKNOWN)]
    return [(name, part) for name, part in parts if len(part)]


def _hours(axes: Any, manifest: Manifest) -> None:
    column = "dataset"
    names = [entry.as_py() for entry in pc.unique(texts(manifest.table[column]))]
    hours: dict[str, dict[str, float]] = {name: {} for name in names}
    for split, part in _splits(manifest):
        length_s = np.nan_to_num(part.seconds("stop_s") - part.seconds("start_s"))
        values = texts(part.table[column])
        place = pc.index_in(values, pc.unique(texts(manifest.table[column]))).to_numpy()
        for name, total in zip(names, np.bincount(place, length_s, len(names)), strict=True):
            hours[name][split] = total / 3600
    order = sorted(names, key=lambda name: sum(hours[name].values()))[-MOST_BARS:]
    left = np.zeros(len(order))
    for split, _ in _splits(manifest):
        width = np.array([hours[name].get(split, 0.0) for name in order])
        shown = [name or UNKNOWN for name in order]
        axes.barh(shown, width, left=left, label=split, color=COLOURS[split])
        left += width
    axes.set_xlabel("hours of clips")
    axes.set_title("Datasets" + ("" if len(names) <= MOST_BARS else f", the largest {MOST_BARS}"))
    if len(names):
        axes.legend()


def _labels(axes: Any, manifest: Manifest) -> None:
    for split, part in _splits(manifest):
        counts = pc.list_flatten(part.table["labels"]).value_counts()
        # by rank on two logarithmic axes: a straight line is a long tail of rare labels
        clips = np.sort(pc.struct_field(counts, "counts").to_numpy())[::-1]
        if len(clips):
            axes.plot(1 + np.arange(len(clips)), clips, ".-", label=split, color=COLOURS[split])
    axes.set(xscale="log", yscale="log", xlabel="rank of the label", ylabel="clips that have it")
    axes.set_title("Labels")
    if axes.lines:
        axes.legend()


def _lengths(axes: Any, manifest: Manifest) -> None:
    length_s = manifest.seconds("stop_s") - manifest.seconds("start_s")
    length_s = length_s[length_s > 0]
    if len(length_s):
        low, high = np.log10([length_s.min() * 0.9, length_s.max() * 1.1])
        # bins of equal width on a logarithmic axis
        axes.hist(length_s, bins=np.logspace(low, high, 50), color=COLOURS["train"])
    axes.set(xscale="log", yscale="log", xlabel="length in seconds", ylabel="clips")
    axes.set_title("Lengths")


def _bars(axes: Any, counts: dict[str, int], what: str, title: str) -> None:
    shown = dict(list(counts.items())[:MOST_BARS][::-1])
    names = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…" for name in shown]
    axes.barh(range(len(shown)), list(shown.values()), color=COLOURS["train"])
    axes.set_yticks(range(len(shown)), names)
    axes.set_xlabel(what)
    axes.set_title(title.capitalize() + ("" if shown else ": none is given"))
