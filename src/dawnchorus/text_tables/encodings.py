"""How a text is encoded: proven by its bytes, guessed in one case, refused in all others.

UTF-8, UTF-16 and UTF-32 prove themselves. Bytes that are none of them are read as Windows-1252
where they make sense in a western European language and in hardly any other code page; any other
guess would turn names of species into other names.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from dawnchorus.text_tables.files import TextFile

BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NOT_TEXT: Final = (
    (b"PK\x03\x04", "a spreadsheet or zip file; save the table as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file; save the table as CSV (UTF-8)"),
    (b"PAR1", "a Parquet file; give it the ending .parquet"),
    (b"RIFF", "a sound file, not a table"),
    (b"fLaC", "a sound file, not a table"),
)
# What a text in a western European language holds beyond ASCII, in Windows' code page. The letters
# of 0x80 to 0x9F are left out: there other code pages have umlauts.
_WESTERN: Final = re.compile(rb"[\xc0-\xd6\xd8-\xf6\xf8-\xff\xa0\xa7\xab\xb0\xb1\xb5\xb7\xbb\x96]")
_WESTERN_RUN: Final = 2  # letters beyond ASCII in a row; Cyrillic, Chinese ... have whole words
_WESTERN_BYTES: Final = 64 << 20  # looked at
_CHUNK_BYTES: Final = 1 << 20
_MOST_BYTES: Final = 4 << 30
_HEAD_BYTES: Final = 4096  # looked at for the zeros of UTF-16


def find_encoding(file: TextFile) -> tuple[str, tuple[str, ...]]:
    """The encoding of a text as Python calls it, and a remark where it was guessed.

    Raises:
        TaskError: It cannot be read, is not text, or its encoding cannot be detected.
    """
    decoder, n_bytes = codecs.getincrementaldecoder("utf-8")(), 0
    with file.open() as content:
        try:
            while chunk := content.read(_CHUNK_BYTES):
                if not n_bytes and (marked := _encoding_of_head(file, chunk)) is not None:
                    return marked, ()
                n_bytes += len(chunk)
                if n_bytes > _MOST_BYTES:
                    raise TaskError(
                        f"{file}: over {_MOST_BYTES >> 30} GiB; cut the table in pieces"
                    )
                decoder.decode(chunk)
            decoder.decode(b"", final=True)  # a letter that is cut off at the end
        except UnicodeDecodeError:
            pass
        else:
            return "utf-8", ()
    _check_western(file)
    return "cp1252", (f"{file}: not UTF-8; read as Windows-1252 (western European)",)


def _encoding_of_head(file: TextFile, head: bytes) -> str | None:
    """The encoding that a file's first bytes prove."""
    for magic, what in NOT_TEXT:
        if head.startswith(magic):
            raise TaskError(f"{file}: cannot be read as a table: it is {what}")
    for mark, encoding in BOMS:
        if head.startswith(mark):
            return encoding
    if b"\0" not in head:
        return None
    # UTF-16 without a mark: of Latin letters every other byte is zero
    pairs = head[: len(head) // 2 * 2][:_HEAD_BYTES]
    zeros = [pairs[0::2].count(0), pairs[1::2].count(0)]
    if max(zeros) > 0.4 * len(pairs) / 2 and min(zeros) == 0:
        return "utf-16-be" if zeros[0] else "utf-16-le"
    raise TaskError(f"{file}: cannot be read as a table: it holds bytes that are not text")


def _check_western(file: TextFile) -> None:
    with file.open() as content:
        text = content.read(_WESTERN_BYTES)
    western = set(_WESTERN.findall(bytes(range(256))))
    odd = set(re.findall(rb"[\x80-\xff]", text)) - western
    longest = max(map(len, re.findall(rb"[\x80-\xff]+", text)), default=0)
    if odd or longest > _WESTERN_RUN:
        raise TaskError(
            f"{file}: not UTF-8, and its encoding cannot be detected; save it as UTF-8 (in Excel: "
            "'CSV UTF-8', or: iconv -f OLD -t UTF-8)"
        )
