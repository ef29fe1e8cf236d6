"""Files and folders, on this machine or behind a URL such as ``s3://bucket/folder``.

A path behind a URL is a ``UPath`` of fsspec's universal_pathlib. It has the methods of
`pathlib.Path` that are used here, so both are typed as ``Path``.
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
from dawnchorus.filename_text import escaped_name, unescaped_name
from dawnchorus.url_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
WEB: Final = ("http", "https")
# kind of URL to the extra of dawnchorus that installs what reads it
EXTRAS: Final = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
FETCH_TRIES: Final = 3
FIRST_WAIT_S: Final = 1.0  # before the second try; doubled before each one after that


def cache_folder() -> Path:
    """Where what can be made again is kept: ``DAWNCHORUS_CACHE``, or the user's cache folder."""
    named = os.environ.get("DAWNCHORUS_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dawnchorus"


def as_path(name: str | bytes | os.PathLike[str]) -> Path:
    """A path of this machine, or one behind a URL.

    Raises:
        UsageError: No such kind of URL, or it is no path at all.
        DependencyError: A package that reads it is not installed.
    """
    name = os.fsdecode(name) if isinstance(name, bytes) else name
    there: object = name  # of callers without types it may be anything
    if not isinstance(there, str | os.PathLike) and not is_remote(there):
        raise UsageError(f"need a path, got {type(there).__name__}: {there!r:.60}")
    if not isinstance(name, str) or "://" not in name:
        return name if is_remote(name) else Path(name)  # type: ignore[return-value]
    protocol = name.partition("://")[0]
    extra = EXTRAS.get(protocol, "s3")
    try:
        from upath import UPath  # noqa: PLC0415  an extra
    except ImportError as missing:
        raise DependencyError("universal_pathlib", extra, f"{name}: reading URLs") from missing
    # in a cached listing, the files of other writers would be missing
    options: dict[str, Any] = {} if protocol in WEB else {"use_listings_cache": False}
    try:
        path = UPath(name, **options)
        path.fs  # noqa: B018  made when first asked for
    except ImportError as missing:
        raise DependencyError(EXTRAS.get(protocol, protocol), extra, name) from missing
    except ValueError as error:
        known = "s3://, gs://, http:// and https://"
        raise UsageError(f"{name}: no such kind of URL; {known} are read") from error
    return cast("Path", path)


def is_remote(path: object) -> bool:
    """Whether a path lies behind a URL."""
    return not isinstance(path, str | Path) and hasattr(path, "fs")


def is_on_web(path: Path) -> bool:
    """Whether a path lies on a web server, which has files and no folders."""
    return is_remote(path) and cast("Any", path).protocol in WEB


def as_text(path: Path) -> str:
    """A path as files of ours have it, with ``/`` on every system."""
    return str(path) if is_remote(path) else path.as_posix()


def stored_name(path: Path) -> str:
    """A path or URL as text that can be kept.

    As `as_text`, but names that are not UTF-8 are escaped, and the secrets of a URL are masked. A
    URL with a password cannot be opened again by this text; the user has to name it again.
    """
    return without_secrets(as_text(path)) if is_remote(path) else escaped_name(as_text(path))


def from_stored_name(text: str, root: Path | None = None) -> Path:
    """The path that `stored_name` or `relative_name` wrote as text; from ``root`` if relative."""
    if "://" in text or is_remote(root):
        return as_path(text) if root is None or "://" in text else root / text
    path = unescaped_name(text)
    return Path(path) if root is None else root / path


def absolute(path: Path) -> Path:
    """The path from the root of its drive or bucket; links are not followed.

    Following them would rename recordings when the target of a link moves.
    """
    return path if is_remote(path) else Path(os.path.abspath(path))  # noqa: PTH100  see above


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


def relative_name(path: Path, root: Path) -> str:
    """The path from ``root`` with ``/``, the same on every system; `from_stored_name` leads back.

    The whole path or URL, if it lies on another drive or in another bucket.
    """
    if is_remote(path) or is_remote(root):
        return stored_name(absolute(path)).removeprefix(without_secrets(_slashed(root)))
    try:
        relative = os.path.relpath(absolute(path), root)
    except ValueError:
        return stored_name(absolute(path))
    return stored_name(Path(relative))


def _slashed(folder: Path) -> str:
    return as_text(folder).rstrip("/") + "/"


@contextmanager
def remote_errors(path: Path) -> Iterator[None]:
    """Errors of the package that reads a URL become `OSError`.

    Raises:
        OSError: The path cannot be reached, or not with these credentials.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # each kind of URL has exceptions of its own
        if not is_remote(path):
            raise
        raise OSError(f"cannot be reached: {error}") from error


def fetch(path: Path, target: Path) -> None:
    """Copy a file from behind a URL, whole.

    Raises:
        OSError: It cannot be read after `FETCH_TRIES` tries, or there is no room for it.
    """
    remote = cast("Any", path)

    def copy() -> None:
        n_bytes = remote.stat().st_size
        remote.fs.get_file(remote.path, str(target))
        _check_size(target.stat().st_size, n_bytes)

    _try_again(path, copy)


def fetch_bytes(path: Path, first: int, n_bytes: int) -> bytes:
    """Some bytes of a file behind a URL.

    Raises:
        OSError: They cannot be read after `FETCH_TRIES` tries.
    """
    remote = cast("Any", path)

    def get() -> bytes:
        content: bytes = remote.fs.cat_file(remote.path, start=first, end=first + n_bytes)
        if len(content) > n_bytes:
            raise PermissionError(f"{path}: the server gives no parts of files (HTTP ranges)")
        _check_size(len(content), n_bytes)
        return content

    return _try_again(path, get)


def _check_size(n_there: int, n_bytes: int | None) -> None:
    if n_bytes and n_there != n_bytes:
        raise OSError(f"{n_there} bytes came of {n_bytes}")


def _try_again(path: Path, get: Callable[[], T]) -> T:
    wait_s = FIRST_WAIT_S
    for left in reversed(range(FETCH_TRIES)):
        try:
            with remote_errors(path):
                return get()
        except (FileNotFoundError, PermissionError):
            raise  # another try would give the same answer
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
def local_copy(path: Path) -> Iterator[Path]:
    """The file itself, or a copy with the same name that is removed afterwards.

    Raises:
        OSError: It cannot be fetched.
    """
    if not is_remote(path):
        yield path
        return
    with TemporaryDirectory(prefix="dawnchorus-") as folder:
        copy = Path(folder) / path.name
        fetch(path, copy)
        yield copy
