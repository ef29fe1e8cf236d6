"""The Hugging Face hub, and only here: files of a repository, from the cache wherever they are."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from dawnchorus.errors import DownloadError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Sequence


MAIN: Final = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a repository is reached; the words are huggingface_hub's.

    Attributes:
        token: of a user who may read it; None: the one that ``hf auth login`` keeps.
        cache_dir: where downloads lie; None: huggingface_hub's cache.
        local_files_only: make no request.
        force_download: download again what lies in the cache.
    """

    token: str | bool | None = None
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    force_download: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """How files get into a repository; the words are huggingface_hub's.

    Attributes:
        message: of the commit.
        private: whether a new repository is; None: as its owner has it.
        token: of a user who may write there; None: the one that ``hf auth login`` keeps.
        branch: to write to; None: main.
        create_pr: propose the commit instead.
    """

    message: str
    private: bool | None = None
    token: str | None = None
    branch: str | None = None
    create_pr: bool = False


def cached(
    repo: str, file: str, revision: str | None = None, access: Access | None = None
) -> Path | None:
    """A file of a repository if it is in the cache; no request is made."""
    entry = _cache_entry(repo, file, revision, access or Access())
    return Path(entry) if isinstance(entry, str) else None


def _cache_entry(repo: str, file: str, revision: str | None, access: Access) -> object:
    """A path; None; or ``_CACHED_NO_EXIST`` where the repository is known not to have the file."""
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415  slow to import

    return try_to_load_from_cache(repo, file, cache_dir=access.cache_dir, revision=revision)


def cached_files(repo: str, revision: str | None, access: Access) -> Sequence[str]:
    """Names of a repository's files that are in the cache, of one revision."""
    from huggingface_hub import constants  # noqa: PLC0415
    from huggingface_hub.file_download import repo_folder_name  # noqa: PLC0415

    # models--OWNER--NAME/refs/main holds the commit that snapshots/COMMIT/ is of
    root = Path(access.cache_dir or constants.HF_HUB_CACHE)
    folder = root / repo_folder_name(repo_id=repo, repo_type="model")
    reference = folder / "refs" / (revision or MAIN)
    commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else revision
    snapshot = folder / "snapshots" / (commit or MAIN)
    return sorted(
        path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()
    )


def listed_files(repo: str, revision: str | None, access: Access) -> Sequence[str]:
    """Names of a repository's files, as the hub lists them.

    Raises:
        DownloadError: The hub cannot be reached, or has no such repository or revision.
    """
    from huggingface_hub import HfApi  # noqa: PLC0415

    try:
        _check_reachable(access)
        return sorted(HfApi(token=access.token).list_repo_files(repo, revision=revision))
    except hub_errors() as error:
        raise DownloadError(
            f"hf://{repo}: its files cannot be listed: {_reason(error)}; {_advice(repo, None)}"
        ) from error


def fetch(
    repo: str,
    file: str,
    *,
    revision: str | None = None,
    access: Access | None = None,
    name: str | None = None,
) -> tuple[Path, bool]:
    """A file of a repository, from the cache or else from the hub.

    Args:
        repo: ``owner/name``.
        file: its path in the repository.
        revision: branch, tag or commit; None: main.
        access: how the repository is reached.
        name: of the model, for the advice where it cannot be downloaded.

    Returns:
        Its path, and whether it was downloaded just now.

    Raises:
        DownloadError: It is not in the cache, and the hub cannot be reached or does not have it.
    """
    access = access or Access()
    here = None if access.force_download else cached(repo, file, revision, access)
    if here is not None:
        return here, False
    from huggingface_hub import hf_hub_download  # noqa: PLC0415

    try:
        _check_reachable(access)
        path = hf_hub_download(
            repo,
            file,
            revision=revision,
            token=access.token,
            cache_dir=access.cache_dir,
            local_files_only=access.local_files_only,
            force_download=access.force_download,
        )
    except hub_errors() as error:
        raise DownloadError(
            f"{repo}/{file} is not on this machine and cannot be downloaded: {_reason(error)}; "
            f"{_advice(repo, name)}"
        ) from error
    return Path(path), True


def fetch_beside(
    repo: str, file: str, *, revision: str | None, access: Access, is_needed: bool
) -> Path | None:
    """A file that may lie beside the weights, None if the repository does not have it.

    Args:
        repo: ``owner/name``.
        file: its path in the repository.
        revision: branch, tag or commit.
        access: how the repository is reached.
        is_needed: the weights were downloaded just now, so a hub that cannot be reached is an
            error; weights from the cache are used as they are where there is no network.

    Raises:
        DownloadError: The hub cannot be reached.
    """
    from huggingface_hub import _CACHED_NO_EXIST  # noqa: PLC0415

    # without this every load of a cached model would ask the hub for files that it does not have
    if _cache_entry(repo, file, revision, access) is _CACHED_NO_EXIST:
        return None
    try:
        return fetch(repo, file, revision=revision, access=access)[0]
    except DownloadError as error:
        if is_needed and not is_absent(error.__cause__):
            raise
        return None


def commit_of(path: Path) -> str | None:
    """The commit that a file in the cache is of."""
    parts = path.parts  # .../snapshots/COMMIT/folder/file
    if "snapshots" not in parts:
        return None
    last = len(parts) - 1 - parts[::-1].index("snapshots")
    return parts[last + 1]


def is_absent(error: BaseException | None) -> bool:
    """Whether an error of the hub says that a file is not in the repository."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError  # noqa: PLC0415

    return isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError)


def upload(folder: Path, repo: str, commit: Commit) -> str:
    """Put the files of a folder into a repository, in one commit; it is made if it is not there.

    Returns:
        Address of the commit.

    Raises:
        WeightsError: The hub cannot be reached, or does not let this user write there.
    """
    from huggingface_hub import HfApi  # noqa: PLC0415

    try:
        _check_reachable(Access())
        api = HfApi(token=commit.token)
        repo = api.create_repo(repo, private=commit.private, exist_ok=True).repo_id
        if commit.branch is not None and not commit.create_pr:
            api.create_branch(repo, branch=commit.branch, exist_ok=True)
        address = api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            commit_message=commit.message,
            revision=commit.branch,
            create_pr=commit.create_pr,
        )
    except hub_errors() as error:
        raise WeightsError(
            f"hf://{repo}: cannot be written: {_reason(error)}; nothing was committed. Log in with "
            "`hf auth login`, with a token that may write there"
        ) from error
    return str(address)


def hub_errors() -> tuple[type[BaseException], ...]:
    """What huggingface_hub raises where a repository cannot be read or written."""
    from huggingface_hub import errors  # noqa: PLC0415

    names = ("EntryNotFoundError", "RevisionResolutionError", "XetDownloadError")
    also = tuple(getattr(errors, name) for name in names if hasattr(errors, name))
    # the first base of its HTTP error is the one of the HTTP client, for a line that breaks
    client: type[BaseException] = errors.HfHubHTTPError.__mro__[1]
    return (client, errors.HfHubHTTPError, OSError, ValueError, RuntimeError, *also)


def _reason(error: BaseException) -> str:
    from huggingface_hub import errors  # noqa: PLC0415

    # the more special class first: some of these derive from others
    reasons: tuple[tuple[Any, str], ...] = (
        (errors.GatedRepoError, "its owner asks you to agree to terms first, on the hub's page"),
        (errors.RepositoryNotFoundError, "there is no such repository, or this user may not see it"
         " (`hf auth login`)"),
        (errors.RevisionNotFoundError, "the repository has no such revision"),
        (errors.OfflineModeIsEnabled, "HF_HUB_OFFLINE is set"),
        (errors.LocalEntryNotFoundError, "it is not in the cache and no request can be made"),
        (errors.EntryNotFoundError, "the repository has no such file"),
    )  # fmt: skip
    for kind, reason in reasons:
        if isinstance(error, kind):
            return reason
    status = getattr(getattr(error, "response", None), "status_code", None)
    return type(error).__name__ if status is None else f"the hub answers {status}"


def _advice(repo: str, name: str | None) -> str:
    folder = "a folder" if name is None else f"a folder called {name}"
    return (
        f"on a machine with network get the files of huggingface.co/{repo} (weights, and card.yaml "
        f"and label_map.json where they are), put them into {folder}, and give that folder as the "
        "model"
    )


def _check_reachable(access: Access) -> None:
    """Fail at once where there is no network; the hub's client would try for half a minute."""
    from huggingface_hub import constants  # noqa: PLC0415

    if constants.HF_HUB_OFFLINE or access.local_files_only or getproxies():
        return
    # looking up the name is enough: it fails at once where there is no network
    host = urlsplit(constants.ENDPOINT).hostname
    if host is not None:
        socket.getaddrinfo(host, 443)
