"""Downloads, and only here: a file of a hub repository, from the cache whenever it is there."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

from dawnchorus.errors import DownloadError, WeightsError

if TYPE_CHECKING:
    from dawnchorus.models.card import Card


def cached(repo: str, file: str) -> Path | None:
    """A file of a repository if it is in huggingface_hub's cache; no request is made."""
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415  slow to import

    found = try_to_load_from_cache(repo, file)
    return Path(found) if isinstance(found, str) else None


def fetch(repo: str, file: str) -> tuple[Path, bool]:
    """A file of a repository, from the cache or else from the hub.

    Returns:
        Its path, and whether it was downloaded just now.

    Raises:
        DownloadError: It is not in the cache, and the hub cannot be reached or does not have it.
    """
    found = cached(repo, file)
    if found is not None:
        return found, False
    from huggingface_hub import hf_hub_download  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        _check_reachable()
        return Path(hf_hub_download(repo, file)), True
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        raise DownloadError(
            f"{repo}/{file} is not on this machine and cannot be downloaded "
            f"({type(error).__name__}); on a machine with network get huggingface.co/{repo}, put "
            f"{file} (and label_map.json if there is one) into a folder, and give that folder as "
            "the model"
        ) from error


def _check_reachable() -> None:
    """Fail at once where there is no network; the hub's client would try for half a minute."""
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE  # noqa: PLC0415

    if HF_HUB_OFFLINE or getproxies():
        return
    host = urlsplit(ENDPOINT).hostname
    if host is not None:
        socket.getaddrinfo(host, 443)


def check_file(path: Path, sha256: str, card: Card) -> None:
    """Compare a file with the size and hash on its card.

    Raises:
        WeightsError: It is another file.
    """
    size = path.stat().st_size
    if card.n_bytes is not None and size != card.n_bytes:
        raise WeightsError(f"{path}: {size} bytes, the card of {card.name} says {card.n_bytes}")
    if card.sha256 is not None and sha256 != card.sha256:
        raise WeightsError(
            f"{path}: sha256 {sha256[:16]}..., the card of {card.name} says {card.sha256[:16]}...; "
            "the file is damaged or a newer upload: remove it to download it again, or give its "
            "path as the model to use it as it is"
        )
