r"""File names as text, also those that are not UTF-8.

On Linux a file name is bytes. Python reads a byte that is not UTF-8 as a lone surrogate, which no
CSV, JSON, Parquet or terminal takes. As text such a byte is written ``\xe9``: ``caf\xe9.wav``. So
that no two files share a name, a backslash of such a name, or of one that looks like it, is written
``\x5c``; the text leads back to the file. All other names are themselves.
"""

from __future__ import annotations

import re
from typing import Final

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# what `escaped_name` writes, and nothing else: a byte from 0x80 on, a backslash, half a character
_ESCAPED: Final = re.compile(r"\\x(?P<byte>5c|[89a-f][0-9a-f])|\\u(?P<half>d[89a-f][0-9a-f]{2})")
_LOWEST_BYTE, _HIGHEST_BYTE = 0xDC80, 0xDCFF  # how Python reads the bytes 0x80 to 0xFF


def printable(text: str) -> str:
    """The text with bytes that are not UTF-8 written out: what can be printed and stored."""
    return _SURROGATE.sub(lambda match: _escape(match[0]), text)


def escaped_name(name: str) -> str:
    """A file name or path as text; no two names give the same text."""
    if not is_not_utf8(name) and _ESCAPED.search(name) is None:
        return name
    return printable(name.replace("\\", r"\x5c"))


def unescaped_name(text: str) -> str:
    """The file name that `escaped_name` wrote as this text."""
    return _ESCAPED.sub(_unescape, text)


def is_not_utf8(name: str) -> bool:
    """Whether a name holds bytes that are not UTF-8."""
    return _SURROGATE.search(name) is not None


def _escape(half: str) -> str:
    code = ord(half)
    is_byte = _LOWEST_BYTE <= code <= _HIGHEST_BYTE
    return (
        f"\\x{code - 0xDC00:02x}" if is_byte else f"\\u{code:04x}"
    )  # Windows allows unpaired surrogates


def _unescape(match: re.Match[str]) -> str:
    if match["half"]:
        return chr(int(match["half"], 16))
    byte = int(match["byte"], 16)
    return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)
