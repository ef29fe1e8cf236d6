"""A run folder: resolved config, environment, log, checkpoints, best, export."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import yaml

from dawnchorus.configs import TrainConfig, read_yaml
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PACKAGES = ("dawnchorus", "torch", "numpy", "lightning-fabric", "safetensors", "soundfile", "soxr")
# Keys that a resumed run may change without becoming another run.
FREE_KEYS = frozenset(
    {
        "device", "devices", "nodes", "strategy", "accumulate", "compile",
        "checkpoint_every", "keep_checkpoints", "validate_every", "log_every", "loggers",
    }
)  # fmt: skip


class RunFolder:
    """Where one run of training keeps everything it leaves."""

    def __init__(self, path: Path) -> None:
        """``path``: ``runs/NAME``; made by `open`."""
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.best = path / "best"
        self.export = path / "export"
        self.log_path = path / "log.jsonl"

    def open(self, config: TrainConfig) -> None:
        """Start a run, or go on with the one that is there.

        Raises:
            UsageError: The folder holds a run of another kind or config; the message says which
                keys differ.
        """
        kept = self.path / "config.yaml"
        if kept.exists():
            values = read_yaml(kept)
            if values.get("kind") != config.model_dump().get("kind"):
                raise UsageError(
                    f"{self.path}: holds a {values.get('kind')} run; choose another name"
                )
            before = type(config)(**values)
            differing = _differences(before.model_dump(mode="json"), config.model_dump(mode="json"))
            if differing:
                raise UsageError(
                    f"{self.path}: holds a run of another config, which differs in "
                    f"{'; '.join(differing)}; choose another name, or put the old values back "
                    f"to resume"
                )
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        write_beside(kept, text.encode())
        environment = json.dumps(describe_environment(), indent=1)
        write_beside(self.path / "environment.json", environment.encode())

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to ``log.jsonl``."""
        with self.log_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


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
    found: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found | {"cpus": os.cpu_count()}


def write_beside(path: Path, content: bytes) -> None:
    """Write a file beside its place, flush it to disk, and rename it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
