"""``dawnchorus pretrain``: train an encoder without labels from a YAML file."""

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
    """Train an encoder on clips without labels.

    A run that was stopped goes on with the same command, from its last checkpoint, as if nothing
    had happened. The result in RUNS/NAME/export is accepted wherever a model name is, as
    init_from of a post-training run too.

    Example: dawnchorus pretrain recipes/eat_tiny_pretrain_local.yaml --data my_corpus
    """
    from dawnchorus.configs import PretrainConfig, read_yaml
    from dawnchorus.recipes.pretrain import pretrain

    values: dict[str, Any] = read_yaml(config)
    if data is not None:
        values["data"] = {**values.get("data", {}), "root": str(data)}
    if device is not None:
        values["device"] = device
    report = pretrain(PretrainConfig(**values), runs=runs, say=_silent if quiet else _say)
    if as_json:
        print(json.dumps({name: _plain(getattr(report, name)) for name in report.__slots__}))
        return
    print(
        f"{report.steps} steps, {report.skipped_steps} skipped; {report.n_parameters} parameters",
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
