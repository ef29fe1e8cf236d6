"""Which of a window's label probabilities become rows, and whether a species list fits."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.engine.detections import Merging, merge_windows
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.configs import PredictConfig
    from dawnchorus.models.encoder import Encoder

DEFAULT_TOP_K: Final = 3  # when neither top_k nor threshold is given


@dataclass(frozen=True, slots=True)
class Rule:
    """Resolved `PredictConfig`.

    Attributes:
        columns: ``(wanted,)``, which logits.
        lowest: ``(wanted,)``, the probability that each of their rows reaches.
        top_k: rows a window at most.
        merging: how rows of windows become detections, None: they do not.
    """

    columns: NDArray[np.int64]
    lowest: NDArray[np.float32]
    top_k: int | None
    merging: Merging | None = None

    def choose(
        self, probabilities: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Rows for a batch of windows.

        Args:
            probabilities: ``(windows, classes)``.

        Returns:
            Window, class and rank of each row, by window and falling probability; rank 1 is the
            highest among the wanted labels.
        """
        wanted = probabilities[:, self.columns]
        order = np.argsort(-wanted, axis=1, kind="stable")[:, : self.top_k]
        ranked = np.take_along_axis(wanted, order, axis=1)
        window, rank = np.nonzero(ranked >= self.lowest[order])
        return window, self.columns[order[window, rank]], rank + 1

    def merged(self, rows: pa.Table) -> pa.Table:
        """One recording's rows, merged if that was asked for."""
        return rows if self.merging is None else merge_windows(rows, self.merging)


def labels_of(model: Encoder) -> Sequence[str]:
    """What a model can name.

    Raises:
        UsageError: Nothing.
    """
    refused = getattr(model, "no_logits", None)
    if refused is not None:
        raise UsageError(f"{model.name}: names nothing: {refused}")
    if not model.labels:
        raise UsageError(
            f"{model.name}: this model has no labels, so it names nothing; use embed alone, or a "
            "model with a classifier (dawnchorus models lists them)"
        )
    return model.labels


def make_rule(config: PredictConfig, labels: Sequence[str]) -> tuple[Rule, tuple[str, ...]]:
    """The rule for a model's labels, and those of the user's names that the model does not know.

    Names match whatever their case.

    Raises:
        UsageError: The list has no name that the model knows.
    """
    top_k = config.top_k
    if top_k is None and config.threshold is None and not config.thresholds:
        top_k = DEFAULT_TOP_K
    # with thresholds for some labels and none for all, only those labels are wanted
    named = config.labels
    if named is None and config.thresholds and config.threshold is None:
        named = tuple(config.thresholds)
    known = {label.casefold(): index for index, label in enumerate(labels)}
    columns, unknown = _columns(named, known, labels)
    own = {name.casefold(): value for name, value in config.thresholds.items()}
    unknown += tuple(
        name for name in config.thresholds if name.casefold() not in known and name not in unknown
    )
    high = np.array(
        [own.get(labels[index].casefold(), config.threshold or 0.0) for index in columns],
        np.float32,
    )
    if not config.merge:
        return Rule(columns, high, top_k), unknown
    low = high if config.low_threshold is None else np.full_like(high, config.low_threshold)
    merging = Merging(
        thresholds={
            labels[index]: float(value) for index, value in zip(columns, high, strict=True)
        },
        gap_s=config.gap_s,
        min_length_s=config.min_length_s,
    )
    return Rule(columns, low, None, merging), unknown


def _columns(
    named: tuple[str, ...] | None, known: Mapping[str, int], labels: Sequence[str]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if named is None:
        return np.arange(len(labels)), ()
    found = sorted({known[name.casefold()] for name in named if name.casefold() in known})
    unknown = tuple(name for name in named if name.casefold() not in known)
    if not found:
        raise UsageError(
            f"none of the {len(named)} names is a label of this model, such as "
            f"{unknown[0] if unknown else '(empty list)'!r}; {_closest(unknown, labels)}"
        )
    return np.array(found, np.int64), unknown


def _closest(names: Sequence[str], labels: Sequence[str]) -> str:
    close = [match for name in names[:20] for match in difflib.get_close_matches(name, labels, 1)]
    if close:
        return f"did you mean {', '.join(dict.fromkeys(close[:3]))}?"
    return f"it knows {', '.join(list(labels)[:3])} and {max(len(labels) - 3, 0)} more"


def read_label_list(path: Path) -> tuple[tuple[str, ...], dict[str, float]]:
    """Names from a text file, one a line, and the thresholds that stand behind some of them.

    Blank lines and lines that start with # are passed over. ``Turdus merula, 0.7`` is a name with
    its own threshold.

    Raises:
        UsageError: The file cannot be read as UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a list of labels: {error}") from error
    names, thresholds = [], {}
    for line in filter(None, map(str.strip, lines)):
        if line.startswith("#"):
            continue
        name, comma, value = line.rpartition(",")
        number = _number(value) if comma else None
        names.append(line if number is None else name.strip())
        if number is not None:
            thresholds[name.strip()] = number
    return tuple(names), thresholds


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None  # a name may have a comma


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities, without overflow at either end."""
    ends = np.exp(-np.abs(logits))
    return (np.where(logits >= 0, 1.0, ends) / (1.0 + ends)).astype(np.float32)


def asked(selection: PredictConfig) -> str:
    """What a row had to reach, in words."""
    own = f", {len(selection.thresholds)} labels have their own" if selection.thresholds else ""
    merged = (
        f"; merged detections of at least {selection.min_length_s:g} s" if selection.merge else ""
    )
    return f"the threshold is {selection.threshold}{own}{merged}"
