"""Which of a window's label probabilities become rows, and whether a species list fits."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.engine.detections import Merging, merge_windows
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.models.label_facts import LabelFacts, scientific_part
from dawnchorus.text_tables.text import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.configs import PredictConfig
    from dawnchorus.models.encoder import Encoder

NOTHING_KNOWN: Final = LabelFacts()


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
        self, probabilities: NDArray[np.float32], silent: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Rows for a batch of windows.

        Args:
            probabilities: ``(windows, classes)``.
            silent: ``(windows,)``, those without any signal, which give no rows.

        Returns:
            Window, class and rank of each row, by window and falling probability; rank 1 is the
            highest among the wanted labels.
        """
        wanted = probabilities[:, self.columns]
        order = np.argsort(-wanted, axis=1, kind="stable")[:, : self.top_k]
        ranked = np.take_along_axis(wanted, order, axis=1)
        chosen = ranked >= self.lowest[order]
        if silent is not None:
            chosen &= ~silent[:, None]
        window, rank = np.nonzero(chosen)
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


def make_rule(
    config: PredictConfig, labels: Sequence[str], facts: LabelFacts = NOTHING_KNOWN
) -> tuple[Rule, tuple[str, ...]]:
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
    known = _by_name(labels)
    columns, unknown = _columns(named, known, labels)
    own = {_find(name, known): value for name, value in config.thresholds.items()}
    unknown += tuple(
        name for name in config.thresholds if _find(name, known) is None and name not in unknown
    )
    usual = _usual(config, labels, facts)
    high = np.array([own.get(index, usual[index]) for index in columns.tolist()], np.float32)
    if not config.merge:
        return Rule(columns, high, config.top_k), unknown
    low = high
    if config.low_threshold is not None:
        low = np.minimum(high, np.float32(config.low_threshold))
    merging = Merging(
        thresholds={
            labels[index]: float(value) for index, value in zip(columns, high, strict=True)
        },
        gap_s=config.gap_s,
        min_length_s=config.min_length_s,
    )
    return Rule(columns, low, None, merging), unknown


def _usual(config: PredictConfig, labels: Sequence[str], facts: LabelFacts) -> Sequence[float]:
    """What each label has to reach that the user gave no threshold of its own."""
    if config.threshold is not None:
        return [config.threshold] * len(labels)
    if config.top_k is not None and not config.thresholds:
        return [0.0] * len(labels)
    return facts.lowest(labels)


def _by_name(labels: Sequence[str]) -> Mapping[str, int]:
    """Labels by their names in small letters; whole names count before scientific parts."""
    parts = {scientific_part(label).casefold(): index for index, label in enumerate(labels)}
    return {**parts, **{label.casefold(): index for index, label in enumerate(labels)}}


def _find(name: str, known: Mapping[str, int]) -> int | None:
    """The label that a name means; ``Passeridae_Sparrows`` may mean ``Passeridae``."""
    found = known.get(name.casefold())
    if found is None and name[:1].isupper():
        return known.get(name.partition("_")[0].casefold())
    return found


def as_labels(names: Iterable[str], labels: Sequence[str]) -> list[str]:
    """Names with the label in place of those that mean one in another form than whole."""
    known = _by_name(labels)
    whole = {label.casefold() for label in labels}
    found = {name: _find(name, known) for name in names}
    return [
        name if index is None or name.casefold() in whole else labels[index]
        for name, index in found.items()
    ]


def _columns(
    named: tuple[str, ...] | None, known: Mapping[str, int], labels: Sequence[str]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if named is None:
        return np.arange(len(labels)), ()
    indices = {name: _find(name, known) for name in named}
    found = sorted({index for index in indices.values() if index is not None})
    unknown = tuple(name for name, index in indices.items() if index is None)
    if not found:
        raise UsageError(
            f"none of the {len(named)} names is a label of this model, such as "
            f"{unknown[0] if unknown else '(empty list)'!r}; {_closest(unknown, labels)}; "
            "dawnchorus describe MODEL --labels lists them"
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
        UsageError: The file cannot be read as text.
    """
    try:
        lines = _text_of(path).splitlines()
    except (TaskError, OSError, UnicodeDecodeError) as error:
        raise UsageError(f"list of labels {error}") from error
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


def _text_of(path: Path) -> str:
    if path.exists() and not path.is_file() and not path.is_dir():
        return path.read_text(encoding="utf-8-sig")  # a pipe, as of <(grep ...), gives it once
    return read_text(path)[0]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None  # a name may have a comma


def asked(selection: PredictConfig, facts: LabelFacts = NOTHING_KNOWN) -> str:
    """What a row had to reach, in words."""
    own = f", {len(selection.thresholds)} labels have their own" if selection.thresholds else ""
    merged = (
        f"; merged detections of at least {selection.min_length_s:g} s" if selection.merge else ""
    )
    if selection.threshold is not None:
        return f"the threshold is {selection.threshold}{own}{merged}"
    if selection.top_k is not None and not selection.thresholds:
        return f"each window that is not silent gives its {selection.top_k} likeliest labels"
    usual = f"the threshold is {facts.usual:g}, the model's usual one{own}{merged}"
    return f"{usual}; --threshold 0.1 or --top-k 1 shows what is less likely"
