"""YAML files, held to a size before anything is made of them.

A few hundred bytes of YAML can stand for gigabytes, by aliases of aliases, and a few thousand
brackets exhaust Python's stack. So the file's size, its depth and what its aliases unfold to are
counted on the tree of nodes, which repeats nothing, before values are built from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from dawnchorus.errors import UsageError, shortened, shown

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES: Final = 1 << 20
MOST_DEPTH: Final = 40
MOST_VALUES: Final = 100_000  # with aliases unfolded
MOST_CHARACTERS: Final = 4 << 20  # likewise

# PyYAML's constructors of !!int, !!timestamp and the like let these through for malformed text
_MALFORMED: Final = (
    yaml.YAMLError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError,
    RecursionError,
)  # fmt: skip


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        UsageError: The file is missing, cannot be read, is not YAML, is not a mapping, names a key
            twice, or is larger or deeper than any config.
    """
    content = parse_yaml(_text(path), str(path))
    if not isinstance(content, dict):
        raise UsageError(
            f"{path}: need a mapping of keys to values, found {type(content).__name__}"
        )
    wrong = [key for key in content if not isinstance(key, str)]
    if wrong:
        raise UsageError(f"{path}: the key {shown(wrong[0])} is not text; write it in quotes")
    return content


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8-sig")  # Windows editors begin a file with a mark
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a YAML file: {error}") from error
    if len(content) > MOST_BYTES:
        raise UsageError(f"{path}: more than {MOST_BYTES >> 20} MB, too large for a YAML file")
    return text


def parse_yaml(text: str, named: str) -> Any:
    """Values of a YAML text; ``named`` is where it comes from, for messages.

    Raises:
        UsageError: As of `read_yaml`, but for what concerns the file and the mapping.
    """
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, {}, frozenset())
        return loader.construct_document(node)
    except _RefusedError as error:
        raise UsageError(f"{named}: {error}") from error
    except _MALFORMED as error:
        raise UsageError(f"{named}: not a YAML file: {shortened(str(error), 600)}") from error
    finally:
        if loader is not None:
            loader.dispose()


class _RefusedError(Exception):
    """A document that is YAML and no config."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with a bound on depth: its composer calls itself."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise _RefusedError(f"values are nested deeper than {MOST_DEPTH} levels")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


@dataclass(slots=True)
class _Size:
    """Of a node, its aliases written out."""

    n_values: int = 1
    n_characters: int = 0
    depth: int = 1

    def add(self, other: _Size) -> None:
        """Of a child."""
        self.n_values += other.n_values
        self.n_characters += other.n_characters
        self.depth = max(self.depth, other.depth + 1)

    @property
    def problem(self) -> str | None:
        """Why no config needs it."""
        if self.depth > MOST_DEPTH:
            return f"values are nested deeper than {MOST_DEPTH} levels"
        if self.n_values > MOST_VALUES:
            return f"with its aliases written out this is more than {MOST_VALUES} values"
        if self.n_characters > MOST_CHARACTERS:
            return f"with its aliases written out this is more than {MOST_CHARACTERS >> 20} MB"
        return None


def _measure(node: yaml.Node, known: dict[int, _Size], above: frozenset[int]) -> _Size:
    """Size of a node, or the reason to refuse it; each is looked at once, however often named."""
    if id(node) in known:
        return known[id(node)]
    if id(node) in above:
        raise _RefusedError(f"line {_line(node)}: an alias stands inside of what it names")
    size = _Size()
    if isinstance(node, yaml.ScalarNode):
        size.n_characters = len(node.value)
    elif isinstance(node, yaml.MappingNode):
        _check_keys(node)
    for child in _children(node):
        size.add(_measure(child, known, above | {id(node)}))
        if size.problem:
            raise _RefusedError(f"line {_line(node)}: {size.problem}; no config needs that")
    known[id(node)] = size
    return size


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[tuple[str, str]] = set()
    for key, _value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _RefusedError(f"line {_line(key)}: a key must be one word or number")
        if (key.tag, key.value) in seen:
            raise _RefusedError(
                f"line {_line(key)}: the key {shown(key.value)} is there twice; keep one of them"
            )
        seen.add((key.tag, key.value))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return []
