"""JSON files, held to a size and to what JSON can say: no key twice, no NaN, no endless nesting."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NoReturn

from dawnchorus.errors import shown

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES: Final = 64 << 20


def read_json(path: Path, *, most_bytes: int = MOST_BYTES, nan: bool = False) -> Any:
    """The value of a JSON file; callers raise their own error from what this raises.

    Args:
        path: of the file.
        most_bytes: a larger file is refused.
        nan: NaN and infinities are numbers here.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is too large, not JSON, not UTF-8, nested too deeply, or ambiguous.
    """
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)  # one more, to see that there is more
    if len(content) > most_bytes:
        raise ValueError(f"more than {most_bytes:,} bytes, too large for what it should hold")
    return parse_json(content, nan=nan)


def parse_json(content: bytes | str, *, nan: bool = False) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is not JSON, not UTF-8, nested too deeply, or ambiguous.
    """
    try:
        refuse = None if nan else _refuse
        return json.loads(content, object_pairs_hook=_unique, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("values are nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json takes the last of equal keys without a word; which one was meant nobody can tell
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {shown(twice)} is there twice")
    return values


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
