"""A run folder: resolved config, environment, log, checkpoints, best, export."""

from __future__ import annotations

import json
import os
import platform
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import yaml
from filelock import FileLock, Timeout

from dawnchorus.configs import TrainConfig, read_yaml
from dawnchorus.configs.json_file import parse_json
from dawnchorus.errors import TrainingError, UsageError
from dawnchorus.store.files import write_whole
from dawnchorus.training.devices import is_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PACKAGES: Final = (
    "dawnchorus", "torch", "numpy", "lightning-fabric", "safetensors", "soundfile", "soxr",
)  # fmt: skip
# Keys that a resumed run may change without becoming another run.
FREE_KEYS: Final = frozenset(
    {
        "device", "devices", "nodes", "strategy", "accumulate", "compile",
        "checkpoint_every", "keep_checkpoints", "validate_every", "log_every", "loggers",
        "export_precision",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What a finished run left."""

    run: Path
    export: Path
    steps: int
    skipped_steps: int
    best_score: float | None
    n_parameters: int  # of the exported model
    n_labels: int = 0  # that it names; 0 without a classifier


class RunFolder:
    """Where one run of training keeps everything it leaves; only the first process writes."""

    def __init__(self, path: Path) -> None:
        """``path``: ``runs/NAME``; made by `open`."""
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.best = path / "best"
        self.export = path / "export"
        self.log_path = path / "log.jsonl"

    def open(self, config: TrainConfig, *, extend: bool = False) -> None:
        """Start a run, or continue the one that is there.

        Args:
            config: of the run.
            extend: it may be longer than that of the run that is there.

        Raises:
            UsageError: The folder holds checkpoints of a run of another kind or config; the message
                says which keys differ.
        """
        kept = self.path / "config.yaml"
        # without a checkpoint nothing is lost: the config was wrong, or the run was cut off early
        if kept.exists() and any(self.checkpoints.glob("step-*")):
            before = _checked(self.path, read_yaml(kept), config, extend=extend)
            if before.steps != config.steps:
                self.log({"event": "extended", "before": before.steps, "steps": config.steps})
        if not is_first():
            return
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        # all keys, defaults too: a later version may have others
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        write_whole(kept, text.encode())
        environment = json.dumps(describe_environment(), indent=1)
        write_whole(self.path / "environment.json", environment.encode())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs out of the folder; the system lets go of it when the process dies.

        Raises:
            TrainingError: Another process trains in it.
        """
        if not is_first():
            yield
            return
        # a lock of the system, not a file that is there: a killed process must not leave it
        lock = FileLock(self.path / "run.lock", blocking=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise TrainingError(
                f"{self.path}: another process trains in this folder; wait for it, stop it, or "
                f"give this run another name"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to ``log.jsonl``."""
        if is_first():
            with self.log_path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """What the log holds; a line that a kill cut short is left out."""
        if not self.log_path.exists():
            return []
        records = []
        for line in self.log_path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = parse_json(line, nan=True)
            except ValueError:
                continue
            if isinstance(record, dict):
                records.append(record)
        return records

    def rewind_log(self, step: int) -> None:
        """Take back what was logged after a step, since those steps are going to be done again."""
        if not is_first() or not self.log_path.exists():
            return
        # records without a step are events of the run, which happened once
        kept = [record for record in self.records() if record.get("step", 0) <= step]
        write_whole(self.log_path, "".join(json.dumps(r) + "\n" for r in kept).encode())

    def sync_log(self) -> None:
        """Flush the log to disk: a checkpoint must not know of steps that the log has lost."""
        if self.log_path.exists():
            with self.log_path.open("rb+") as file:
                os.fsync(file.fileno())


def _checked(
    path: Path, kept: Mapping[str, Any], config: TrainConfig, *, extend: bool
) -> TrainConfig:
    """The config of the run that is there, if it may continue with this one."""
    now = config.model_dump(mode="json")
    if kept.get("kind") != now.get("kind"):
        raise UsageError(
            f"{path}: holds a {kept.get('kind')} run, this is a {now.get('kind')} run; "
            f"choose another name"
        )
    before = type(config)(**kept)
    # read as a config again, so that keys that are new since have their defaults in both
    longer = config.steps > before.steps
    same = {"steps": config.steps} if extend and longer else {}
    differing = _differences(before.model_dump(mode="json") | same, now)
    if differing:
        hint = " (more steps of the same run: --extend)" if longer and len(differing) == 1 else ""
        raise UsageError(
            f"{path}: holds a run of another config, which differs in {'; '.join(differing)}; "
            f"choose another name, or put the old values back to resume{hint}"
        )
    return before


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    before, now = _flat(before), _flat(now)
    return [
        f"{key} ({before.get(key)!r} then, {now.get(key)!r} now)"
        for key in sorted(before.keys() | now.keys())
        if key not in FREE_KEYS and before.get(key) != now.get(key)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def describe_environment() -> dict[str, Any]:
    """Versions and machine, as a bug report needs them."""
    versions: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return versions | {"cpus": os.cpu_count()}
