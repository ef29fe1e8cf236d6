"""Files and folders, on this machine or behind a URL such as ``s3://bucket/folder``.

A place behind a URL is a ``UPath`` of fsspec's universal_pathlib. It has the methods of
`pathlib.Path` that are used here, so both are written as ``Path``.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from dawnchorus.errors import DependencyError, UsageError
from dawnchorus.filename_text import name_of, name_text
from dawnchorus.url_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
WEB: Final = ("http", "https")
EXTRAS: Final = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
FETCH_TRIES: Final = 3
FIRST_WAIT_S: Final = 1.0  # before the second try; doubled before each one after that


def as_path(named: str | os.PathLike[str]) -> Path:
    """A path, or the place behind a URL.

    Raises:
        UsageError: No such kind of URL.
        DependencyError: A package that reads it is not installed.
    """
    if not isinstance(named, str) or "://" not in named:
        return named if is_remote(named) else Path(named)  # type: ignore[return-value]
    protocol = named.partition("://")[0]
    extra = EXTRAS.get(protocol, "s3")
    try:
        from upath import UPath  # noqa: PLC0415  an extra
    except ImportError as missing:
        raise DependencyError("universal_pathlib", extra, f"{named}: reading URLs") from missing
    # other writers' files would be missing from listings that are kept
    options: dict[str, Any] = {} if protocol in WEB else {"use_listings_cache": False}
    try:
        place = UPath(named, **options)
        place.fs  # noqa: B018  made when first asked for
    except ImportError as missing:
        raise DependencyError(EXTRAS.get(protocol, protocol), extra, named) from missing
    except ValueError as error:
        known = "s3://, gs://, http:// and https://"
        raise UsageError(f"{named}: no such kind of URL; {known} are read") from error
    return cast("Path", place)


def is_remote(place: object) -> bool:
    """Whether a place lies behind a URL."""
    return not isinstance(place, str | Path) and hasattr(place, "fs")


def on_web(place: Path) -> bool:
    """Whether a place lies on a web server, which has files and no folders."""
    return is_remote(place) and cast("Any", place).protocol in WEB


def as_text(place: Path) -> str:
    """As it is kept in files, with ``/`` on every system."""
    return str(place) if is_remote(place) else place.as_posix()


def stored_name(place: Path) -> str:
    """A path or URL as text that can be kept.

    As `as_text`, with names that are not UTF-8 escaped, and the secrets of a URL masked: what holds
    a password cannot be reached again by this text, only by naming it again.
    """
    return without_secrets(as_text(place)) if is_remote(place) else name_text(as_text(place))


def from_stored_name(text: str, root: Path | None = None) -> Path:
    """The path whose text `stored_name` or `relative_name` made; from ``root`` if relative."""
    if "://" in text or is_remote(root):
        return as_path(text) if root is None or "://" in text else root / text
    place = name_of(text)
    return Path(place) if root is None else root / place


def absolute(place: Path) -> Path:
    """The place from the root of its drive or bucket; links stay links.

    Following them would rename recordings when a link's target moves.
    """
    return place if is_remote(place) else Path(os.path.abspath(place))  # noqa: PTH100  see above


def common_folder(folders: Sequence[Path]) -> Path:
    """The folder above all of them; the first, if they lie on several drives or in buckets."""
    if not any(is_remote(folder) for folder in folders):
        try:
            return Path(os.path.commonpath(folders))
        except ValueError:  # several drives
            return folders[0]
    first = folders[0]
    for above in (first, *first.parents):
        if all(_slashed(folder).startswith(_slashed(above)) for folder in folders):
            return above
    return first


def relative_name(place: Path, root: Path) -> str:
    """The path from ``root`` with ``/``, the same on every system; `from_stored_name` leads back.

    The whole path or URL, if it lies on another drive or in another bucket.
    """
    if is_remote(place) or is_remote(root):
        return stored_name(absolute(place)).removeprefix(without_secrets(_slashed(root)))
    try:
        relative = os.path.relpath(absolute(place), root)
    except ValueError:
        return stored_name(absolute(place))
    return stored_name(Path(relative))


def _slashed(folder: Path) -> str:
    return as_text(folder).rstrip("/") + "/"


@contextmanager
def remote_errors(place: Path) -> Iterator[None]:
    """Whatever the package behind a URL raises comes out as `OSError`.

    Raises:
        OSError: The place cannot be reached, or not with these credentials.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # each kind of URL has exceptions of its own
        if not is_remote(place):
            raise
        raise OSError(f"cannot be reached: {error}") from error


def fetch(place: Path, target: Path) -> None:
    """Copy a file from behind a URL, whole.

    Raises:
        OSError: It cannot be had, also not when tried again, or there is no room for it.
    """
    remote = cast("Any", place)

    def copy() -> None:
        n_bytes = remote.stat().st_size
        remote.fs.get_file(remote.path, str(target))
        _check_size(target.stat().st_size, n_bytes)

    _try_again(place, copy)


def fetch_bytes(place: Path, first: int, n_bytes: int) -> bytes:
    """Some bytes of a file behind a URL.

    Raises:
        OSError: They cannot be had, also not when tried again.
    """
    remote = cast("Any", place)

    def get() -> bytes:
        content: bytes = remote.fs.cat_file(remote.path, start=first, end=first + n_bytes)
        if len(content) > n_bytes:
            raise PermissionError(f"{place}: the server gives no parts of files (HTTP ranges)")
        _check_size(len(content), n_bytes)
        return content

    return _try_again(place, get)


def _check_size(n_there: int, n_bytes: int | None) -> None:
    if n_bytes and n_there != n_bytes:
        raise OSError(f"{n_there} bytes came of {n_bytes}")


def _try_again(place: Path, get: Callable[[], T]) -> T:
    wait_s = FIRST_WAIT_S
    for left in reversed(range(FETCH_TRIES)):
        try:
            with remote_errors(place):
                return get()
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            if not left:
                raise
            time.sleep(wait_s)
            wait_s *= 2
    raise AssertionError("the last try returns or raises")


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def local_copy(place: Path) -> Iterator[Path]:
    """The file itself, or a copy under the same name for as long as it is needed.

    Raises:
        OSError: It cannot be fetched.
    """
    if not is_remote(place):
        yield place
        return
    with TemporaryDirectory(prefix="dawnchorus-") as folder:
        copy = Path(folder) / place.name
        fetch(place, copy)
        yield copy
