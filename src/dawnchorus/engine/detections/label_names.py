"""Names of labels: those that users write, and which labels of a model they mean."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.models.label_facts import LabelFacts, scientific_part
from dawnchorus.text_tables.read import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


NOTHING_KNOWN: Final = LabelFacts()


def by_name(labels: Sequence[str]) -> Mapping[str, int]:
    """Index of each label by its name in small letters, and by the scientific part of it."""
    # whole names win: "Turdus merula" is that label, not "Turdus merula_Common Blackbird"
    parts = {scientific_part(label).casefold(): index for index, label in enumerate(labels)}
    return {**parts, **{label.casefold(): index for index, label in enumerate(labels)}}


def find_label(name: str, known: Mapping[str, int]) -> int | None:
    """The label that a name means; ``Passeridae_Sparrows`` may mean ``Passeridae``."""
    index = known.get(name.casefold())
    # only what starts like a scientific name: clock_tick is not clock
    if index is None and name[:1].isupper():
        return known.get(name.partition("_")[0].casefold())
    return index


def as_labels(names: Iterable[str], labels: Sequence[str]) -> list[str]:
    """Names, but the label itself for a name that means one and is written in another form."""
    known = by_name(labels)
    whole = {label.casefold() for label in labels}
    meant = {name: find_label(name, known) for name in names}
    return [
        name if index is None or name.casefold() in whole else labels[index]
        for name, index in meant.items()
    ]


def columns_of(
    named: tuple[str, ...] | None, known: Mapping[str, int], labels: Sequence[str]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Which labels a list names, and the names that no label has.

    Args:
        named: None: all labels.
        known: of `by_name`.
        labels: of the model.

    Returns:
        Indices of labels, ``(wanted,)``, ascending; and names that mean none of them.

    Raises:
        UsageError: Not one name is a label.
    """
    if named is None:
        return np.arange(len(labels)), ()
    indices = {name: find_label(name, known) for name in named}
    chosen = sorted({index for index in indices.values() if index is not None})
    unknown = tuple(name for name, index in indices.items() if index is None)
    if not chosen:
        raise UsageError(
            f"none of the {len(named)} names is a label of this model, such as "
            f"{unknown[0] if unknown else '(empty list)'!r}; {_closest(unknown, labels)}; "
            "dawnchorus describe MODEL --list-labels lists them"
        )
    return np.array(chosen, np.int64), unknown


def _closest(names: Sequence[str], labels: Sequence[str]) -> str:
    # the search is slow: a list of a thousand wrong names must not take minutes to refuse
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
        # from the right: a name may have a comma, as in "Gull, unidentified, 0.7"
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
        return None  # the comma is part of the name
