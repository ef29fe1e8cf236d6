"""What a safetensors file says of itself, read before any tensor is: shapes, a card, labels.

Every weights file that we write holds its card and its label map in the metadata of its header, so
that a copy under any name is still the same model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from safetensors import SafetensorError, safe_open

from dawnchorus.configs.json_file import parse_json
from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.models.card import Card

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dawnchorus.models.layouts import Shape

# one key for both: the library writes several in an order that differs from run to run, and with it
# the hash of the file
KEY: Final = "dawnchorus"
MAX_CHARS: Final = 1 << 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a weights file says of itself.

    Attributes:
        shapes: of its tensors, by their names in the file.
        card: that was written with the weights, without what only the whole file has (its size and
            hash); None: there is none.
        labels: in the order of the logits; None: there are none.
    """

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    card: Card | None = None
    labels: Sequence[str] | None = None


def read_header(path: Path) -> Header:
    """Read the header of a safetensors file; no tensor is read or allocated.

    Raises:
        WeightsError: The file is not whole, or the card or label map in it is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  not a dict
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path}: not a whole safetensors file ({path.stat().st_size} bytes): "
            f"{str(error)[:300]}; get it again"
        ) from error
    card, labels = _belongings(metadata.get(KEY), f"{path}: the card in its header")
    return Header(shapes=shapes, card=card, labels=labels)


def _belongings(text: str | None, source: str) -> tuple[Card | None, Sequence[str] | None]:
    if text is None:
        return None, None
    if len(text) > MAX_CHARS:
        raise WeightsError(f"{source} has {len(text)} characters, need at most {MAX_CHARS}")
    try:
        content = parse_json(text)
    except ValueError as error:
        raise WeightsError(f"{source} is not JSON: {str(error)[:200]}") from error
    if not isinstance(content, dict) or not isinstance(content.get("card"), dict):
        raise WeightsError(f"{source} is not there: found {text[:60]!r}")
    try:
        card = Card.of(content["card"], source)
    except UsageError as error:
        raise WeightsError(str(error)) from error
    return card, _labels(content.get("labels"), source)


def _labels(content: Any, source: str) -> Sequence[str] | None:  # Any: whatever the file holds
    if content is None:
        return None
    is_list = isinstance(content, list) and all(isinstance(label, str) for label in content)
    if not is_list or len(set(content)) < len(content):
        raise WeightsError(f"{source}: its labels need to be a list of names, each once")
    return list(content)


def header_metadata(card: Card, labels: Sequence[str] | None) -> dict[str, str]:
    """What goes into the header of a weights file beside its shapes.

    The size and hash of the file cannot stand in the file itself; the hash of its tensors can.
    """
    bare = card.model_copy(update={"sha256": None, "n_bytes": None})
    content: dict[str, Any] = {"card": bare.model_dump(mode="json", exclude_defaults=True)}
    if labels is not None:
        content["labels"] = list(labels)
    return {KEY: json.dumps(content, ensure_ascii=False)}
