"""Where a threshold is applied: which of a window's label probabilities become rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.engine.detections.label_names import NOTHING_KNOWN, by_name, columns_of, find_label
from dawnchorus.engine.detections.merging import MergeRule, merge_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.configs import PredictConfig
    from dawnchorus.models.label_facts import LabelFacts


@dataclass(frozen=True, slots=True)
class DetectionRule:
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
    merging: MergeRule | None = None

    def choose(
        self, probabilities: NDArray[np.float32], nameless: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Rows for a batch of windows.

        Args:
            probabilities: ``(windows, classes)``.
            nameless: ``(windows,)``, those that give no rows: without any signal, or unlike all
                that the model was trained on.

        Returns:
            Window, class and rank of each row, by window and falling probability; rank 1 is the
            highest among the wanted labels.
        """
        wanted = probabilities[:, self.columns]  # (windows, wanted)
        has_rows = (wanted >= self.lowest).any(axis=1)  # a score at its threshold is a row
        if nameless is not None:
            has_rows &= ~nameless
        # few windows have any, and sorting is most of the work
        (kept,) = np.nonzero(has_rows)
        wanted = wanted[kept]
        # stable: labels of one probability stay in the order of the model, on every machine
        order = np.argsort(-wanted, axis=1, kind="stable")[:, : self.top_k]
        ranked = np.take_along_axis(wanted, order, axis=1)
        window, rank = np.nonzero(ranked >= self.lowest[order])
        return kept[window], self.columns[order[window, rank]], rank + 1

    def merged(self, rows: pa.Table) -> pa.Table:
        """One recording's rows, merged if that was asked for."""
        return rows if self.merging is None else merge_windows(rows, self.merging)


def make_rule(
    config: PredictConfig, labels: Sequence[str], facts: LabelFacts = NOTHING_KNOWN
) -> tuple[DetectionRule, tuple[str, ...]]:
    """The rule for a model's labels, and those of the user's names that the model does not know.

    Names match whatever their case, and as ``Scientific name_Common name`` too. A label's score has
    to reach, in this order: the label's own threshold of the user; the user's for all; nothing,
    where only ``top_k`` was asked for; the model's own threshold for it.

    Raises:
        UsageError: The list has no name that the model knows.
    """
    # with thresholds for some labels and none for all, only those labels are wanted
    named = config.labels
    if named is None and config.thresholds and config.threshold is None:
        named = tuple(config.thresholds)
    known = by_name(labels)
    columns, unknown = columns_of(named, known, labels)
    by_index = {find_label(name, known): value for name, value in config.thresholds.items()}
    unknown += tuple(
        name
        for name in config.thresholds
        if find_label(name, known) is None and name not in unknown
    )
    usual = _usual(config, labels, facts)
    high = np.array([by_index.get(index, usual[index]) for index in columns.tolist()], np.float32)
    if not config.merge:
        return DetectionRule(columns, high, config.top_k), unknown
    # hysteresis: windows from the lower threshold on are kept, and `merge_windows` then drops the
    # detections without any window that reaches the higher one
    low = high
    if config.low_threshold is not None:
        low = np.minimum(high, np.float32(config.low_threshold))
    merging = MergeRule(
        thresholds={
            labels[index]: float(value) for index, value in zip(columns, high, strict=True)
        },
        gap_s=config.gap_s,
        min_length_s=config.min_length_s,
    )
    return DetectionRule(columns, low, None, merging), unknown


def _usual(config: PredictConfig, labels: Sequence[str], facts: LabelFacts) -> Sequence[float]:
    """What each label has to reach, if the user gave it no threshold of its own."""
    if config.threshold is not None:
        return [config.threshold] * len(labels)
    if config.top_k is not None and not config.thresholds:
        return [0.0] * len(labels)
    return facts.lowest(labels)


def describe_rule(selection: PredictConfig, facts: LabelFacts = NOTHING_KNOWN) -> str:
    """What a row had to reach, in words."""
    n_own = len(selection.thresholds)
    own = f", {n_own} labels have their own" if n_own else ""
    merged = (
        f"; merged detections of at least {selection.min_length_s:g} s" if selection.merge else ""
    )
    if selection.threshold is not None:
        return f"the threshold is {selection.threshold}{own}{merged}"
    if selection.top_k is not None and not selection.thresholds:
        return f"each window that is not silent gives its {selection.top_k} likeliest labels"
    usual = f"the threshold is {facts.usual:g}, the model's usual one{own}{merged}"
    return f"{usual}; --threshold 0.1 or --top-k 1 shows what is less likely"
