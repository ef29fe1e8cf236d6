"""From what the user named to recordings, each once, each with a name that lasts.

Recordings are walked twice: to count them, and to go through them. No list of them is held, so an
archive may have millions.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from dawnchorus.audio.decode.read import AUDIO_SUFFIXES
from dawnchorus.engine.recordings.listing import LIST_SUFFIX, START_TIME, read_listing
from dawnchorus.errors import UsageError
from dawnchorus.paths import absolute, as_path, common_folder, is_on_web, is_remote, remote_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dawnchorus.engine.recordings.listing import Carried

Inputs: TypeAlias = str | Path | Iterable[str | Path]


@dataclass(slots=True)
class Scan:
    """What was found in the files and folders that the user named.

    Attributes:
        named: the files and folders that the user named.
        n_recordings, n_bytes: of sound files.
        n_folders, n_files, suffixes: everything that was looked at, for the user who finds nothing.
        n_duplicates: files left out because they are the same file as another one.
        unlisted: folders that could not be read, with the system's reason.
        columns: of the user's lists, in their order, but for the path.
    """

    named: tuple[Path, ...]
    n_recordings: int = 0
    n_bytes: int = 0
    n_folders: int = 0
    n_files: int = 0
    n_duplicates: int = 0
    suffixes: Counter[str] = field(default_factory=Counter)
    unlisted: list[str] = field(default_factory=list)
    columns: dict[str, None] = field(default_factory=dict)

    def entries(self) -> Iterator[tuple[Path, Carried]]:
        """Recordings in the order of the arguments, sorted inside a folder; columns of a list."""
        return _walk_all(Scan(self.named))  # a second walk must not add to the counts

    def paths(self) -> Iterator[Path]:
        """`entries` without the columns."""
        return (path for path, _ in self.entries())


def find_recordings(inputs: Inputs) -> Scan:
    """Walk folders for sound files; a file that is named itself is taken whatever its suffix.

    A ``.csv`` is a list of recordings, see `read_listing`.

    Hidden files and folders and the ``._`` files of macOS are passed over. A file that is reached
    twice, by a link or by two arguments, counts once.

    Raises:
        UsageError: A path does not exist, a list is wrong, or nothing was found; the message says
            what was scanned.
    """
    named = as_paths(inputs)
    for item in named:
        _check_there(item)
    scan = Scan(tuple(named))
    for path, carried in _walk_all(scan):
        scan.n_recordings += 1
        scan.columns |= dict.fromkeys(name for name, _ in carried)
        if is_remote(path):
            continue  # its size came with the listing, where there was one
        try:
            scan.n_bytes += path.stat().st_size
        except (OSError, ValueError):
            continue  # it will be a failed recording, with its reason
    if not scan.n_recordings:
        raise UsageError(_nothing_found(named, scan))
    return scan


def as_paths(inputs: Inputs) -> list[Path]:
    """What the user named as a list, which can be gone through more than once; a generator cannot.

    Raises:
        UsageError: It is neither a path nor some of them.
    """
    if isinstance(inputs, str | bytes | Path) or is_remote(inputs):
        return [as_path(_path_of(inputs))]
    if not isinstance(inputs, Iterable):
        raise UsageError(f"need a path or several, got {type(inputs).__name__}: {inputs!r:.60}")
    return [as_path(_path_of(item)) for item in inputs]


def _path_of(item: object) -> str | bytes | Path:
    if isinstance(item, str | bytes) and not item:
        # of a variable that was never set; as a path it would be the folder one is in
        raise UsageError("need paths, got an empty text among them")
    if isinstance(item, bytes):
        return item
    if isinstance(item, str | Path) or is_remote(item):
        return cast("str | Path", item)
    if isinstance(item, os.PathLike):
        return Path(item)
    raise UsageError(f"need paths, got {type(item).__name__} among them: {item!r:.60}")


def _check_there(item: Path) -> None:
    try:
        with remote_errors(item):
            there = item.exists() or item.is_symlink()
    except (OSError, ValueError) as error:
        raise UsageError(f"{item}: {error}") from error
    if not there:
        raise UsageError(f"{item}: no such file or folder")
    if is_on_web(item) and item.suffix.lower() not in AUDIO_SUFFIXES | {LIST_SUFFIX}:
        raise UsageError(
            f"{item}: a web server has no folders to look through; name the recordings, or a "
            ".csv with a column 'path'"
        )


def _is_folder(item: Path) -> bool:
    if is_remote(item):
        return not is_on_web(item) and item.is_dir()
    return os.path.isdir(item)  # noqa: PTH112  False, not an error, where nothing can be seen


def _real(path: Path) -> Path:
    """Where links lead; a link that leads to itself, or a name that no file can have, stays."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        return absolute(path)


def _walk_all(scan: Scan) -> Iterator[tuple[Path, Carried]]:
    """All recordings; counts go to ``scan``.

    Lists come first: what they say of a recording holds too where its folder is named beside them.
    """
    lists = [item for item in scan.named if _is_list(item)]
    others = [item for item in scan.named if not _is_list(item)]
    roots = [_real(item) for item in others if not is_remote(item) and _is_folder(item)]
    visited: set[tuple[int, int]] = set()  # folders: a link may lead back, an argument lie inside
    # Files reached in other ways than by walking down to them. Those that are walked to are not
    # remembered: an archive has millions.
    reached: set[Path] = set()
    for path, carried, expected in _listed_in(lists, scan):
        real = path if is_remote(path) else _real(path)
        if real not in reached:
            reached.add(real)
            yield path, carried
        elif not expected:
            scan.n_duplicates += 1
    listed = frozenset(reached)
    for item in others:
        for path in _reached_from(item, scan, visited):
            # resolving every path is slow on network disks: only where a second way may lead to it
            known_by = _to_compare(path, item, several=len(scan.named) > 1, listed=bool(listed))
            if known_by is not None:
                beside = not is_remote(path) and (path.is_symlink() or not _is_folder(item))
                if known_by in reached or (beside and _is_walked(known_by, roots)):
                    scan.n_duplicates += known_by not in listed
                    continue
                reached.add(known_by)
            yield path, ()


def _to_compare(path: Path, item: Path, *, several: bool, listed: bool) -> Path | None:
    """What a file is known by where it may be reached twice; None: it is reached once alone."""
    if is_remote(path):
        return path if several or not _is_folder(item) else None
    return _real(path) if listed or not _is_folder(item) or path.is_symlink() else None


def _is_list(item: Path) -> bool:
    return item.suffix.lower() == LIST_SUFFIX and not _is_folder(item)


def _listed_in(lists: Sequence[Path], scan: Scan) -> Iterator[tuple[Path, Carried, bool]]:
    """Recordings of all lists; the third value: a folder's row was expected to come to it again."""
    for listing in lists:
        folders = _folder_rows(listing)
        for path, carried in read_listing(listing):
            if absolute(path) not in folders:
                yield path, _inherited(path, carried, folders), False
        for folder in folders:
            for path in _reached_from(folder, scan, set()):
                yield path, _inherited(path, (), folders), True


def _folder_rows(listing: Path) -> dict[Path, Carried]:
    folders: dict[Path, Carried] = {}
    for path, carried in read_listing(listing):
        if path.suffix.lower() in AUDIO_SUFFIXES or not _is_folder(path):
            continue
        if dict(carried).get(START_TIME):
            raise UsageError(
                f"{listing}: {path} is a folder, and the recordings in it do not all begin at one "
                f"time; leave its {START_TIME} empty"
            )
        folders[absolute(path)] = carried
    return folders


def _inherited(path: Path, carried: Carried, folders: dict[Path, Carried]) -> Carried:
    """What a list says of a recording and of the folders it lies in; the nearest counts."""
    if not folders:
        return carried
    values: dict[str, str] = {}
    above = (folders[folder] for folder in reversed(absolute(path).parents) if folder in folders)
    for columns in (*above, carried):
        # an empty cell of a recording does not hide what its folder says
        values |= {name: value for name, value in columns if value or name not in values}
    return tuple(values.items())


def _reached_from(item: Path, scan: Scan, visited: set[tuple[int, int]]) -> Iterator[Path]:
    if _is_folder(item):
        yield from _walk_remote(item, scan) if is_remote(item) else _walk(item, scan, visited)
    else:
        yield item


def _is_walked(real: Path, roots: Sequence[Path]) -> bool:
    """Will walking down the roots come to this file by itself?"""
    if real.suffix.lower() not in AUDIO_SUFFIXES or not os.path.isfile(real):  # noqa: PTH113
        return False
    inner = [real.relative_to(root) for root in roots if real.is_relative_to(root)]
    return any(not any(part.startswith(".") for part in path.parts) for path in inner)


def _walk(root: Path, scan: Scan, visited: set[tuple[int, int]]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        scan.unlisted.append(f"{error.filename}: folder cannot be read: {error.strerror}")

    for name, folders, files in os.walk(root, onerror=unreadable, followlinks=True):
        folder = Path(name)
        try:
            status = folder.stat()
        except OSError as error:  # gone since it was listed
            unreadable(error)
            folders.clear()
            continue
        # by device and inode, which a link cannot disguise
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()  # a link led back here
            continue
        visited.add((status.st_dev, status.st_ino))
        scan.n_folders += 1
        # in place: os.walk descends into what is left here, in this order
        folders[:] = sorted(inner for inner in folders if not inner.startswith("."))
        for file in sorted(files):
            if file.startswith("."):
                continue
            scan.n_files += 1
            suffix = Path(file).suffix.lower()
            scan.suffixes[suffix or "(none)"] += 1
            if suffix in AUDIO_SUFFIXES:
                yield folder / file


def _walk_remote(root: Path, scan: Scan) -> Iterator[Path]:
    remote = cast("Any", root)
    for name, folders, files in remote.fs.walk(remote.path, detail=True):
        scan.n_folders += 1
        # fsspec gives names without the scheme, from the bucket on
        inner = name.removeprefix(remote.path).strip("/")
        folder = root / inner if inner else root
        for hidden in [folder for folder in folders if folder.startswith(".")]:
            del folders[hidden]
        for file in sorted(file for file in files if not file.startswith(".")):
            scan.n_files += 1
            suffix = Path(file).suffix.lower()
            scan.suffixes[suffix or "(none)"] += 1
            if suffix in AUDIO_SUFFIXES:
                scan.n_bytes += files[file].get("size") or 0
                yield folder / file


def _nothing_found(named: Sequence[Path], scan: Scan) -> str:
    if not named:
        return "no recordings: not a single path was given"
    where = ", ".join(str(item) for item in named[:3]) + (", ..." if len(named) > 3 else "")
    seen = ", ".join(f"{suffix} {n}" for suffix, n in scan.suffixes.most_common(5)) or "none"
    known = " ".join(sorted(AUDIO_SUFFIXES))
    problems = "".join(f"; {text}" for text in scan.unlisted[:3])
    return (
        f"no recordings in {where}: looked through {scan.n_folders} folders with {scan.n_files} "
        f"files (suffixes: {seen}); sound files end in {known}{problems}"
    )


def common_root(inputs: Inputs) -> Path:
    """The folder that holds everything named: what the paths in a new store are relative to."""
    named = as_paths(inputs)
    return common_folder(
        [absolute(item) if _is_folder(item) else absolute(item).parent for item in named]
    )


def root_of(recordings: str | Path | Sequence[str | Path], audio_root: str | Path | None) -> Path:
    """What paths are relative to: the folder that was given, there or not, else `common_root`."""
    return common_root(recordings) if audio_root is None else absolute(as_path(audio_root))
