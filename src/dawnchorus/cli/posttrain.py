"""``dawnchorus posttrain``: train a classifier and its encoder from a YAML file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping


def command(
    config: Annotated[Path, typer.Argument(help="YAML file of the run; see recipes/.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data, instead of data.root in the file.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder that holds run folders.")] = Path("runs"),
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a classifier and its encoder on labelled clips.

    A run that was stopped goes on with the same command, from its last checkpoint, as if nothing
    had happened. The result in RUNS/NAME/export is accepted wherever a model name is.

    Example: dawnchorus posttrain recipes/eat_tiny_local.yaml --data my_corpus
    """
    from dawnchorus.configs import PosttrainConfig, read_yaml
    from dawnchorus.recipes.posttrain import posttrain

    values: dict[str, Any] = read_yaml(config)
    if data is not None:
        values["data"] = {**values.get("data", {}), "root": str(data)}
    if device is not None:
        values["device"] = device
    report = posttrain(PosttrainConfig(**values), runs=runs, say=_silent if quiet else _say)
    if as_json:
        print(json.dumps({name: _plain(getattr(report, name)) for name in report.__slots__}))
        return
    best = "none" if report.best_score is None else f"{report.best_score:.3f}"
    print(
        f"{report.steps} steps, {report.skipped_steps} skipped, best validation mAP {best}; "
        f"{report.n_parameters} parameters, {report.n_labels} labels",
        file=sys.stderr,
    )
    print(report.export)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _silent(_record: Mapping[str, Any]) -> None:
    pass


def _say(record: Mapping[str, Any]) -> None:
    text = "  ".join(f"{name} {_short(value)}" for name, value in record.items())
    print(text, file=sys.stderr, flush=True)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
