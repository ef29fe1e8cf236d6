"""Which of a window's label probabilities become rows, and whether a species list fits."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.configs import PredictConfig
    from dawnchorus.models.encoder import Encoder

DEFAULT_TOP_K: Final = 3  # when neither top_k nor threshold is given


@dataclass(frozen=True, slots=True)
class Rule:
    """Resolved `PredictConfig`: ``columns (wanted,)`` of the logits, and two limits."""

    columns: NDArray[np.int64]
    top_k: int | None
    threshold: float | None

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
        window, rank = np.nonzero(ranked >= (self.threshold or 0.0))
        return window, self.columns[order[window, rank]], rank + 1


def labels_of(model: Encoder) -> Sequence[str]:
    """What a model can name.

    Raises:
        UsageError: Nothing.
    """
    if not model.labels:
        raise UsageError(
            f"{model.name}: this model has no labels, so it names nothing; use embed alone, or a "
            "model with a classifier (dawnchorus models lists them)"
        )
    return model.labels


def make_rule(config: PredictConfig, labels: Sequence[str]) -> tuple[Rule, tuple[str, ...]]:
    """The rule for a model's labels, and the names of the user's list that the model does not know.

    Names match whatever their case.

    Raises:
        UsageError: The list has no name that the model knows.
    """
    top_k = config.top_k
    if top_k is None and config.threshold is None:
        top_k = DEFAULT_TOP_K
    if config.labels is None:
        return Rule(np.arange(len(labels)), top_k, config.threshold), ()
    known = {label.casefold(): index for index, label in enumerate(labels)}
    found = sorted({known[name.casefold()] for name in config.labels if name.casefold() in known})
    unknown = tuple(name for name in config.labels if name.casefold() not in known)
    if not found:
        raise UsageError(
            f"none of the {len(config.labels)} names is a label of this model, such as "
            f"{unknown[0] if unknown else '(empty list)'!r}; {_closest(unknown, labels)}"
        )
    return Rule(np.array(found, np.int64), top_k, config.threshold), unknown


def _closest(names: Sequence[str], labels: Sequence[str]) -> str:
    close = [match for name in names[:20] for match in difflib.get_close_matches(name, labels, 1)]
    if close:
        return f"did you mean {', '.join(dict.fromkeys(close[:3]))}?"
    return f"it knows {', '.join(list(labels)[:3])} and {max(len(labels) - 3, 0)} more"


def read_label_list(path: Path) -> tuple[str, ...]:
    """Names from a text file, one a line; blank lines and lines that start with # are passed over.

    Raises:
        UsageError: The file cannot be read as UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a list of labels: {error}") from error
    names = (line.strip() for line in lines)
    return tuple(name for name in names if name and not name.startswith("#"))


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities, without overflow at either end."""
    ends = np.exp(-np.abs(logits))
    return (np.where(logits >= 0, 1.0, ends) / (1.0 + ends)).astype(np.float32)
