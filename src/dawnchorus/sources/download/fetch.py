"""One file from a server, whole or not at all: resumed, measured, and kept only if it is sound.

It grows in ``NAME.part``. Bytes of an earlier try are used only if the server confirms, by ETag or
date, that the rest belongs to the same file; ``NAME.part.json`` keeps the two.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from dawnchorus.configs.json_file import read_json
from dawnchorus.errors import RunInterruptedError
from dawnchorus.sources.download.requests import PARTIAL, FailedRequestError, LimitedClient
from dawnchorus.store.files import remove_if_possible
from dawnchorus.url_secrets import without_secrets

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    import httpx2

CHUNK_BYTES: Final = 1 << 16
HEAD_BYTES: Final = 64
SUFFIXES: Final = {
    ".mp3", ".wav", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".aif", ".aiff",
    ".webm", ".caf", ".wma", ".amr", ".3gp",
}  # fmt: skip
# Where the first bytes of a format stand, what they are, and the suffix that they stand for.
MAGICS: Final = (
    (0, b"ID3", ".mp3"),
    (8, b"WAVE", ".wav"),
    (0, b"fLaC", ".flac"),
    (28, b"OpusHead", ".opus"),
    (0, b"OggS", ".ogg"),
    (4, b"ftyp", ".m4a"),
    (8, b"AIFF", ".aiff"),
    (8, b"AIFC", ".aiff"),
    (0, b"caff", ".caf"),
    (0, b"\x1aE\xdf\xa3", ".webm"),
    (0, b"0&\xb2u", ".wma"),
    (0, b"#!AMR", ".amr"),
)
# A page or JSON that a server calls sound: an apology, or a form to log in.
MARKUP: Final = re.compile(rb"\s*(?:<|\{|\[)")
# Names that Windows keeps for devices.
RESERVED: Final = re.compile(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")
# Ids that are safe as they are: Xeno-canto's numbers, or lower case, since some file systems do not
# distinguish case.
PLAIN: Final = re.compile(r"XC\d+|(?!xc\d)[a-z0-9][a-z0-9_-]*")
LONGEST_NAME: Final = 100
MOST_DIGITS: Final = 19  # of a Content-Length


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file that was fetched."""

    path: Path
    n_bytes: int
    sha256: str


def safe_name(id: str) -> str:
    """A path for a file without suffix, relative, the same on every system.

    The id's folders, then one of 256, then its name. Characters that a system forbids or does not
    distinguish (case) are replaced, and a hash keeps such names apart.
    """
    # spreads a million files over 256 folders
    digest = hashlib.sha256(id.encode()).hexdigest()
    *folders, name = id.split("/")
    parts = [_safe(folder, digest) for folder in folders]
    return "/".join([*parts, digest[:2], _safe(name, digest)])


def _safe(name: str, digest: str) -> str:
    if PLAIN.fullmatch(name) and len(name) <= LONGEST_NAME and not RESERVED.fullmatch(name):
        return name
    kept = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:LONGEST_NAME]
    return f"{kept}-{digest[:8]}" if kept else digest[:8]


def fetch_file(
    client: LimitedClient,
    url: str,
    target: Path,
    *,
    sha256: str = "",
    least_bytes_s: float = 0.0,
    most_bytes: float = math.inf,
    stop: threading.Event | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> FetchedFile:
    """Get a file, with as many tries as the client's limits allow.

    Args:
        client: with limits.
        url: of the file.
        target: path without suffix; the suffix follows from the content.
        sha256: of the file, if it is known.
        least_bytes_s: fewer bytes a second, after one timeout, count as silence.
        most_bytes: a larger file is refused.
        stop: ends it after the next bytes; what came is kept.
        clock: seconds.

    Raises:
        FailedRequestError: It is too large, cannot be had, is not sound, or not the one with this
            hash.
        RunInterruptedError: The run was stopped.
        OSError: It cannot be written.
    """
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    kind = ""

    def attempt() -> str:
        nonlocal kind
        # again at each try: the last one may have added bytes
        have, headers = _resumable(part, url)
        try:
            with client.request(url, headers=headers) as answer:
                kind = _kind(answer)
                have = _start(answer, part, url, have)
                check = _pace(client, least_bytes_s, stop, clock)
                return _write(answer, part, have, check, most_bytes)
        except FailedRequestError as failure:
            # the server has fewer bytes than we do: it is another file now
            if failure.reason != "HTTP 416" or not have:
                raise
            _forget(part)
            raise FailedRequestError("wrong part", temporary=True) from failure

    digest = client.retry(attempt)
    try:
        if sha256 and digest != sha256:
            raise FailedRequestError("another sha256", temporary=False)
        suffix = _suffix(part, kind, url)
    except FailedRequestError:
        _forget(part)
        raise
    path = target.with_name(target.name + suffix)
    n_bytes = part.stat().st_size
    # only now has it a name that anybody looks for
    part.replace(path)
    _forget(part)
    return FetchedFile(path, n_bytes, digest)


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _forget(part: Path) -> None:
    remove_if_possible(part)
    remove_if_possible(_note(part))


def _resumable(part: Path, url: str) -> tuple[int, dict[str, str]]:
    """How many bytes are there already, and the headers that ask for the rest of the same file."""
    try:
        note: Any = read_json(_note(part))
        have = part.stat().st_size
        if have and note["url"] == without_secrets(url) and note["same"]:
            return have, {"Range": f"bytes={have}-", "If-Range": note["same"]}
    except (OSError, ValueError, KeyError, TypeError):
        pass  # nothing there, or cut off by a kill: from the start
    return 0, {}


def _start(answer: httpx2.Response, part: Path, url: str, have: int) -> int:
    """Where the answer's bytes belong; the file is cut to there."""
    if answer.status_code == PARTIAL:
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            _forget(part)
            raise FailedRequestError("wrong part", temporary=True)
        return have
    # a weak ETag promises the same meaning, not the same bytes, so it cannot join two parts
    etag = answer.headers.get("ETag", "")
    same = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")
    part.write_bytes(b"")
    _note(part).write_text(
        json.dumps({"url": without_secrets(url), "same": same}), encoding="utf-8"
    )
    return 0


def _pace(
    client: LimitedClient,
    least_bytes_s: float,
    stop: threading.Event | None,
    clock: Callable[[], float],
) -> Callable[[int], None]:
    """A function to call with the bytes so far; it raises if they are too few, or at a stop."""
    started = clock()

    def check(n_bytes: int) -> None:
        if stop is not None and stop.is_set():
            raise RunInterruptedError("stopped; what was finished is kept")
        spent_s = clock() - started
        if spent_s > client.limits.timeout_s and n_bytes < least_bytes_s * spent_s:
            raise FailedRequestError("too slow", temporary=True)

    return check


def _write(
    answer: httpx2.Response,
    part: Path,
    have: int,
    check: Callable[[int], None],
    most_bytes: float,
) -> str:
    """Append the answer; the hash of the whole file."""
    length = answer.headers.get("Content-Length", "")
    n_promised = int(length) if length.isdigit() and len(length) < MOST_DIGITS else 0
    _check_size(part, have + n_promised, most_bytes)
    digest = hashlib.sha256()
    with part.open("r+b") as file:
        # the hash is of the whole file, so what was there before is read again
        while head := file.read(CHUNK_BYTES):
            digest.update(head)
        n_bytes = 0
        for chunk in answer.iter_bytes():
            file.write(chunk)
            digest.update(chunk)
            n_bytes += len(chunk)
            _check_size(part, have + n_bytes, most_bytes)
            check(n_bytes)
    if length and n_bytes != n_promised:
        raise FailedRequestError("broke off", temporary=True)
    if have + n_bytes == 0:
        raise FailedRequestError("empty", temporary=False)
    return digest.hexdigest()


def _check_size(part: Path, n_bytes: int, most_bytes: float) -> None:
    if n_bytes > most_bytes:
        _forget(part)
        raise FailedRequestError(f"larger than {most_bytes / 1e6:g} MB", temporary=False)


def _kind(answer: httpx2.Response) -> str:
    # the file was requested as it is: unpacked, a few bytes can become any number
    packed = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in {"", "identity"}:
        raise FailedRequestError("sent compressed, unasked", temporary=False)
    kind = str(answer.headers.get("Content-Type", "")).partition(";")[0].strip().lower()
    if kind.startswith(("text/", "image/")) or kind in {"application/json", "application/xml"}:
        raise FailedRequestError(f"not sound but {kind}", temporary=False)
    return kind


def _suffix(part: Path, kind: str, url: str) -> str:
    """From the first bytes, otherwise from the URL if the server calls the file sound."""
    with part.open("rb") as file:
        head = file.read(HEAD_BYTES)
    for position, magic, suffix in MAGICS:
        if head[position:].startswith(magic):
            return suffix
    # a frame of MPEG audio begins with eleven ones; ADTS (AAC) has 00 where MPEG has the layer
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return ".aac" if head[1] & 0xF6 == 0xF0 else ".mp3"
    named = PurePosixPath(unquote(urlsplit(url).path)).suffix.lower()
    if kind.startswith("audio/") and not MARKUP.match(head):
        return named if named in SUFFIXES else ".audio"
    raise FailedRequestError("not sound", temporary=False)
