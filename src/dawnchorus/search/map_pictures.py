"""Pictures of a map: its windows coloured four ways, typical sounds of clusters, twins counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.figures import new_figure, picture_bytes, picture_format
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Points = NDArray[np.float64]
    Images = Sequence[tuple[str, str, NDArray[np.uint8] | None]]

# Okabe and Ito's eight, apart for every kind of colour-blindness; then marks tell them apart.
COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
MARKS: Final = ("o", "^", "s", "D", "v")
NOTHING: Final = "#dddddd"
OTHER: Final = "#9a9a9a"
MOST_NAMED: Final = 12  # in a legend; the rest is grey
HEIGHT_TO_WIDTH: Final = 0.8  # of a map
MOST_DRAWN: Final = 40_000  # points of a picture: more hide each other
DOTS_PER_INCH: Final = 110
ACROSS: Final = 4  # sounds side by side
LINE: Final = 52  # letters over one


def plot_map(
    path: Path, points: Points, colourings: Mapping[str, Sequence[str | None] | Points]
) -> None:
    """Draw the same map once for each way to colour it.

    Args:
        path: the picture; its suffix says the format.
        points: ``(n, 2)``.
        colourings: a title to a word for each window, None for none; or to numbers ``(n,)`` that
            run in a circle of 24, the hour.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    columns = min(2, len(colourings))
    rows = -(-len(colourings) // columns)
    figure = _figure(9.8 * columns, 5.4 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    shown, (left, right, low, high) = _some(len(points)), _edges(points)
    for axes, (title, values) in zip(grid.flat, colourings.items(), strict=False):
        axes.set_title(title, loc="left")
        axes.set(xticks=[], yticks=[], xlim=(left, right), ylim=(low, high), anchor="W")
        axes.set_box_aspect(HEIGHT_TO_WIDTH)
        for edge in axes.spines.values():
            edge.set_color("#bbbbbb")
        if isinstance(values, np.ndarray):
            _draw_hours(axes, points[shown], values[shown])
        else:
            _draw_words(axes, points[shown], [values[row] for row in shown.tolist()])
    for axes in list(grid.flat)[len(colourings) :]:
        axes.set_axis_off()
    figure.supxlabel(
        "Near means alike. Directions and distances across the map mean nothing.",
        fontsize=9,
        color="#555555",
    )
    _save(figure, path)


def _edges(points: Points) -> tuple[float, float, float, float]:
    """Left, right, low and high of a map that holds all points, at one scale both ways."""
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2, 1.04 * (high - low) / 2
    across = max(half[0], half[1] / HEIGHT_TO_WIDTH, 1e-6)
    up = across * HEIGHT_TO_WIDTH
    return middle[0] - across, middle[0] + across, middle[1] - up, middle[1] + up


def _draw_words(axes: Any, points: Points, words: Sequence[str | None]) -> None:
    size = _point_size(len(points))
    names = [word for word in words if word is not None]
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    named = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_NAMED]
    place = {name: at for at, name in enumerate(named)}
    keys = np.array([-1 if word is None else place.get(word, len(named)) for word in words])
    for key, colour in ((-1, NOTHING), (len(named), OTHER)):
        axes.scatter(*points[keys == key].T, s=size, c=colour, linewidths=0, rasterized=True)
    for at, name in enumerate(named):
        mark = MARKS[at // len(COLOURS)]
        axes.scatter(
            *points[keys == at].T,
            s=size,
            c=COLOURS[at % len(COLOURS)],
            marker=mark,
            linewidths=0,
            rasterized=True,
            label=f"{_short(name)} ({counts[name]:,})",
        )
    others = (f"{len(counts) - len(named)} others", OTHER, len(named)), ("none", NOTHING, -1)
    for name, colour, key in others:
        if n := int((keys == key).sum()):
            axes.scatter([], [], s=size, c=colour, label=f"{name} ({n:,})")
    axes.legend(
        loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8, scatterpoints=1,
        markerscale=max(1.0, (30 / size) ** 0.5),
    )  # fmt: skip


def _draw_hours(axes: Any, points: Points, hours: NDArray[np.float64]) -> None:
    size = _point_size(len(points))
    known = np.isfinite(hours)
    axes.scatter(*points[~known].T, s=size, c=NOTHING, linewidths=0, rasterized=True)
    # midnight is beside midnight, so the colours run in a circle
    drawn = axes.scatter(
        *points[known].T, s=size, c=hours[known], cmap="twilight_shifted", vmin=0, vmax=24,
        linewidths=0, rasterized=True,
    )  # fmt: skip
    beside = axes.inset_axes((1.03, 0.15, 0.03, 0.7))
    bar = axes.figure.colorbar(drawn, cax=beside, ticks=range(0, 25, 6))
    bar.ax.set_yticklabels([f"{hour}:00" for hour in range(0, 25, 6)])


def plot_sheet(path: Path, images: Images, heading: str) -> None:
    """Draw typical sounds side by side, each with its name.

    Args:
        path: the picture.
        images: what each is, and how much or where, and its spectrogram; None where the sound could
            not be read.
        heading: over all of them.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    rows = max(1, -(-len(images) // ACROSS))
    figure = _figure(3.4 * ACROSS, 1.9 * rows + 0.6)
    grid = figure.subplots(rows, ACROSS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (what, where, image) in zip(grid.flat, images, strict=False):
        # a long name is cut, the number beside it never
        axes.set_title(_short(what, LINE - len(where)), fontsize=8, loc="left")
        axes.set_title(where, fontsize=8, loc="right", color="#555555")
        if image is None:
            axes.text(0.5, 0.5, "not readable now", ha="center", va="center", color="#888888")
        else:
            axes.imshow(image, aspect="auto")
    figure.suptitle(heading, fontsize=11, x=0.01, ha="left")
    _save(figure, path)


def plot_twins(path: Path, near: NDArray[np.float64], threshold: float) -> None:
    """Draw how alike each window is to the nearest in another recording, and the threshold.

    Args:
        path: the picture.
        near: ``(n,)`` cosines; nan is left out.
        threshold: from which on windows count as duplicates.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    values = near[np.isfinite(near)]
    figure = _figure(7, 3.6)
    axes = figure.subplots()
    lowest = np.floor(20 * min(values.min(initial=0.95), threshold - 0.05)) / 20
    axes.hist(values, bins=np.linspace(lowest, 1, 101), color=COLOURS[0])
    axes.axvline(threshold, color=COLOURS[5], linewidth=1.5, label=f"threshold {threshold:g}")
    axes.legend(loc="upper left", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_yscale("symlog")
    axes.set(
        xlim=(lowest, 1.005),
        xlabel="cosine to the most similar window of another recording", ylabel="windows",
        title=f"{int((values >= threshold).sum()):,} of {len(values):,} windows at "
        f"{threshold:g} or more",
    )  # fmt: skip
    _save(figure, path)


def _some(n: int) -> NDArray[np.int64]:
    """Rows to draw: all, or as many as can be seen, the same ones each time."""
    if n <= MOST_DRAWN:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).permutation(n)[:MOST_DRAWN])


def _point_size(n: int) -> float:
    return float(np.clip(20_000 / max(n, 1), 2, 30))


def _short(text: str, most: int = 34) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _figure(width_in: float, height_in: float) -> Any:
    return new_figure(width_in, height_in, extra="search", what="a picture")


def _save(figure: Any, path: Path) -> None:
    write_whole(path, picture_bytes(figure, picture_format(path), dpi=DOTS_PER_INCH))
