"""Confusion matrices: which class a clip is taken for, a panel a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.benchmark.report.style import SMALL, Picture, as_png, file_name, panels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.benchmark.report.protocol_scores import ProtocolScores
    from dawnchorus.benchmark.report.run_folder import ItemLogits, RunFolder

MOST_CLASSES: Final = 25  # with a name; of more, those with most errors
MOST_NUMBERS: Final = 12  # classes up to which cells have numbers
MOST_MODELS: Final = 6
LONGEST_NAME: Final = 22


def confusion_pictures(section: ProtocolScores, run_folder: RunFolder) -> list[Picture]:
    """A picture for each task whose items have exactly one class."""
    pictures = []
    for task in section.tasks:
        scores = section.main_of(task, "probe")
        there = [model for model, score in scores.items() if run_folder.has_predictions(score)]
        first = section.by_name(there[:MOST_MODELS])
        read = {model: run_folder.predictions(scores[model]) for model in first}
        if read and all((one.items.y.sum(axis=1) == 1).all() for one in read.values()):
            pictures.append(_picture(section, task, read, len(there)))
    return pictures


def confusion(predictions: ItemLogits) -> NDArray[np.int64]:
    """Counts ``(true class, guessed class)`` over all seeds; of equal logits the first class."""
    n = len(predictions.classes)
    guess = predictions.logits.argmax(axis=2)
    truth = np.broadcast_to(predictions.items.y.argmax(axis=1), guess.shape)
    flat = (truth * n + guess).ravel()
    counts: NDArray[np.int64] = np.bincount(flat, minlength=n * n).reshape(n, n)
    return counts


def _picture(
    section: ProtocolScores, task: str, read: dict[str, ItemLogits], n_models: int
) -> Picture:
    classes = next(iter(read.values())).classes
    counts = {model: confusion(predictions) for model, predictions in read.items()}
    kept = _kept(sum(counts.values(), np.zeros((len(classes),) * 2, np.int64)))
    size = max(3.2, (0.36 if len(kept) <= MOST_NUMBERS else 0.2) * len(kept) + 1.9)
    columns = max(1, int(15 // size))
    figure, grid = panels(len(read), most_columns=columns, size_in=(size, size))
    image = None
    for axes, (model, matrix) in zip(grid, counts.items(), strict=True):
        image = _draw(axes, matrix, kept, [_short(classes[k]) for k in kept])
        axes.set_title(section.labels[model], fontsize=SMALL + 2)
        axes.set_xlabel("taken for", fontsize=SMALL)
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel("true class", fontsize=SMALL)
    figure.colorbar(image, ax=grid, shrink=0.5, label="share of the true class")
    caption = "Each line adds up to 1, over all classes."
    if len(kept) < len(classes):
        caption = (
            f"The {len(kept)} of {len(classes)} classes with most errors; a line adds up to 1 "
        )
        caption += "over all classes, those that are not shown too."
    if n_models > len(read):
        caption += f" The best {len(read)} of {n_models} models."
    name = file_name(section.protocol, task, "confusion")
    return Picture(name, f"{task}: what is taken for what", caption, as_png(figure))


def _kept(counts: NDArray[np.int64]) -> list[int]:
    """Classes to show, in their order: those with most errors, as truth or guess."""
    if len(counts) <= MOST_CLASSES:
        return list(range(len(counts)))
    errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
    return sorted(np.argsort(-errors, kind="stable")[:MOST_CLASSES].tolist())


def _draw(axes: Any, counts: NDArray[np.int64], kept: list[int], names: list[str]) -> Any:
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shown = share[np.ix_(kept, kept)]
    image = axes.imshow(shown, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=SMALL - 1)
    axes.set_yticks(range(len(names)), names, fontsize=SMALL - 1)
    if len(names) <= MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(shown):
            if value >= 0.005:
                colour = "white" if value > 0.55 else "black"
                axes.text(
                    column, row, f"{value:.2f}", ha="center", va="center", color=colour,
                    fontsize=SMALL - 2,
                )  # fmt: skip
    return image


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
