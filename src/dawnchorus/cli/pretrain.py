"""``dawnchorus pretrain``: train an encoder without labels from a YAML file."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def command(
    config: Annotated[Path, typer.Argument(help="YAML file of the run; see recipes/.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data, instead of data.root in the file.")
    ] = None,
    init_from: Annotated[
        str | None, typer.Option(help="Model, file or run to start from.", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps, instead of those in the file.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that holds run folders.")] = Path("runs"),
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    devices: Annotated[int | None, typer.Option(help="Processes on this machine.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would be, try two steps, leave nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train an encoder on clips without labels.

    A run that was stopped goes on with the same command, from its last checkpoint, as if nothing
    had happened. The result in RUNS/NAME/export is accepted wherever a model name is, such as
    --init-from of dawnchorus posttrain, which gives it labels.

    Example: dawnchorus pretrain recipes/eat_tiny_pretrain_local.yaml --data my_corpus
    """
    from dawnchorus.cli.train_output import dry_run_text, talk, training_values
    from dawnchorus.configs import PretrainConfig, read_yaml
    from dawnchorus.recipes.pretrain import pretrain, pretrain_dry_run
    from dawnchorus.training.devices import is_first

    values = training_values(read_yaml(config), data=data, device=device, devices=devices)
    given = {"init_from": init_from, "name": name, "steps": steps}
    checked = PretrainConfig(**values | {k: v for k, v in given.items() if v is not None})
    if dry_run:
        found = pretrain_dry_run(checked)
        if is_first():
            print(json.dumps(found, indent=1) if as_json else dry_run_text(found))
        return
    report = pretrain(checked, runs=runs, say=talk(checked.steps, quiet=quiet))
    if not is_first():
        return
    if as_json:
        print(json.dumps(asdict(report), default=str))
        return
    print(
        f"{report.steps} steps, {report.skipped_steps} skipped; {report.n_parameters} parameters",
        file=sys.stderr,
    )
    print(report.export)
