"""What a download would fetch, how much that is, and from where; nothing is fetched."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.configs.data import DownloadConfig
from dawnchorus.errors import TaskError
from dawnchorus.sources.download.remote_files import files_to_fetch, locked_ledger
from dawnchorus.sources.download.requests import FailedRequestError, LimitedClient

if TYPE_CHECKING:
    from dawnchorus.sources.download.remote_files import RemoteFile

N_SAMPLED: Final = 24  # files whose size is requested beforehand
GUESSED_BYTES_S: Final = 16_000.0  # of sound, where no size is known: MP3 of 128 kbit/s
SPARE_BYTES: Final = 200e6  # left free on the disk


@dataclass(slots=True)
class DownloadPlan:
    """What a download would do.

    Attributes:
        n_wanted: files to fetch.
        n_there: files that are there already.
        refused: rows that are not fetched, by reason.
        hosts: files to fetch by host.
        n_bytes: of all files to fetch; None where nothing is known.
        exact: whether ``n_bytes`` is the sum of the sizes that servers state; otherwise it is
            extrapolated.
        free_bytes: on the disk.
    """

    n_wanted: int = 0
    n_there: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    n_bytes: float | None = None
    exact: bool = False
    free_bytes: float = 0.0

    def check_room(self) -> None:
        """Refuse to begin what the disk cannot hold.

        Raises:
            TaskError: It cannot.
        """
        if self.n_bytes is not None and self.n_bytes + SPARE_BYTES > self.free_bytes:
            raise TaskError(
                f"{self.n_bytes / 1e9:.1f} GB are to be downloaded and {self.free_bytes / 1e9:.1f} "
                "GB are free on that disk; choose another, or a smaller manifest"
            )


def plan_download(
    manifest: Path, folder: Path, config: DownloadConfig | None = None
) -> DownloadPlan:
    """Find out what `download` would fetch, how much that is, and from where; fetches nothing.

    Servers are asked for the size of a few files, chosen at random.

    Raises:
        TaskError: The manifest is not one, or another download works in the folder.
    """
    config = config or DownloadConfig()
    plan = DownloadPlan()
    generator = np.random.default_rng(0)
    sample: list[RemoteFile] = []
    total_s, n_timed = 0.0, 0
    # a plan writes nothing: without the folder nothing is there yet, as in an empty one
    with (
        TemporaryDirectory(prefix="dawnchorus-") as empty,
        locked_ledger(folder if folder.exists() else Path(empty)) as ledger,
    ):
        for file in files_to_fetch(manifest, config, plan.refused):
            if ledger.done(file.id, file.url):
                plan.n_there += 1
                continue
            plan.n_wanted += 1
            plan.hosts[file.host] += 1
            if file.duration_s:
                total_s, n_timed = total_s + file.duration_s, n_timed + 1
            if len(sample) < N_SAMPLED:
                sample.append(file)
            # reservoir sampling: each file is as likely in the sample, however many there are
            elif (at := int(generator.integers(plan.n_wanted))) < N_SAMPLED:
                sample[at] = file
    sizes = _sizes(sample, config)
    all_timed = n_timed == plan.n_wanted and plan.n_wanted > 0
    plan.exact = len(sizes) == plan.n_wanted
    # as good as it can be: all sizes; bytes per second of sound; the mean size; a guess
    if plan.exact:
        plan.n_bytes = float(sum(n_bytes for _, n_bytes in sizes))
    elif sizes and all_timed:
        sampled_s = sum(file.duration_s or 0.0 for file, _ in sizes)
        plan.n_bytes = sum(n_bytes for _, n_bytes in sizes) / sampled_s * total_s
    elif sizes:
        plan.n_bytes = sum(n_bytes for _, n_bytes in sizes) / len(sizes) * plan.n_wanted
    elif all_timed:
        plan.n_bytes = GUESSED_BYTES_S * total_s
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    plan.free_bytes = float(shutil.disk_usage(there).free)
    return plan


def _sizes(sample: list[RemoteFile], config: DownloadConfig) -> list[tuple[RemoteFile, int]]:
    """Sizes that servers state; one that refuses is not asked again."""
    sizes, refusing = [], set()
    with LimitedClient(config) as client:
        for file in sample:
            if file.host in refusing:
                continue
            try:
                with client.request(file.url, method="HEAD") as answer:
                    length = answer.headers.get("Content-Length", "")
            except FailedRequestError as failure:
                if failure.temporary or failure.reason in {"HTTP 405", "HTTP 501", "HTTP 403"}:
                    refusing.add(file.host)
                continue
            if length.isdigit() and int(length):
                sizes.append((file, int(length)))
    return sizes
