"""What a download would fetch, how much that is, and from where; nothing is fetched."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.configs.data import DownloadConfig
from dawnchorus.errors import TaskError
from dawnchorus.sources.download.requests import FailedRequestError, PoliteClient
from dawnchorus.sources.download.wanted import at_work, wanted_of

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.sources.download.wanted import Wanted

N_SAMPLED: Final = 24  # files whose size is asked for beforehand
GUESSED_BYTES_S: Final = 16_000.0  # of sound, where no size is known: MP3 of 128 kbit/s
SPARE_BYTES: Final = 200e6  # left free on the disk


@dataclass(slots=True)
class Plan:
    """What a download would do.

    Attributes:
        n_wanted: files to fetch.
        n_there: files that are there already.
        refused: rows that are not fetched, by reason.
        hosts: files to fetch by host.
        n_bytes: of all files to fetch; None where nothing is known.
        exact: whether ``n_bytes`` is the sum of told sizes, else it is extrapolated.
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


def plan_download(manifest: Path, folder: Path, config: DownloadConfig | None = None) -> Plan:
    """Say what `download` would fetch, how much that is, and from where; fetches nothing.

    A few files, chosen at random, are asked for their size.

    Raises:
        TaskError: The manifest is not one, or another download works in the folder.
    """
    config = config or DownloadConfig()
    plan = Plan()
    generator = np.random.default_rng(0)
    sample: list[Wanted] = []
    total_s, n_timed = 0.0, 0
    with at_work(folder) as ledger:
        for wanted in wanted_of(manifest, config, plan.refused):
            if ledger.done(wanted.id, wanted.url):
                plan.n_there += 1
                continue
            plan.n_wanted += 1
            plan.hosts[wanted.host] += 1
            if wanted.duration_s:
                total_s, n_timed = total_s + wanted.duration_s, n_timed + 1
            if len(sample) < N_SAMPLED:
                sample.append(wanted)
            elif (place := int(generator.integers(plan.n_wanted))) < N_SAMPLED:
                sample[place] = wanted
    sizes = _sizes(sample, config)
    all_timed = n_timed == plan.n_wanted and plan.n_wanted > 0
    plan.exact = len(sizes) == plan.n_wanted
    if plan.exact:
        plan.n_bytes = float(sum(n_bytes for _, n_bytes in sizes))
    elif sizes and all_timed:
        sampled_s = sum(wanted.duration_s or 0.0 for wanted, _ in sizes)
        plan.n_bytes = sum(n_bytes for _, n_bytes in sizes) / sampled_s * total_s
    elif sizes:
        plan.n_bytes = sum(n_bytes for _, n_bytes in sizes) / len(sizes) * plan.n_wanted
    elif all_timed:
        plan.n_bytes = GUESSED_BYTES_S * total_s
    plan.free_bytes = float(shutil.disk_usage(folder).free)
    return plan


def _sizes(sample: list[Wanted], config: DownloadConfig) -> list[tuple[Wanted, int]]:
    """Sizes that servers tell; one that does not like to be asked is left in peace."""
    sizes, mute = [], set()
    with PoliteClient(config) as client:
        for wanted in sample:
            if wanted.host in mute:
                continue
            try:
                with client.ask(wanted.url, method="HEAD") as answer:
                    told = answer.headers.get("Content-Length", "")
            except FailedRequestError as failure:
                if failure.passing or failure.reason in {"HTTP 405", "HTTP 501", "HTTP 403"}:
                    mute.add(wanted.host)
                continue
            if told.isdigit() and int(told):
                sizes.append((wanted, int(told)))
    return sizes
