"""``dawnchorus pretrain``: train an encoder without labels from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dawnchorus.cli import options


def command(
    config: Annotated[Path, typer.Argument(help="YAML file of the run; see recipes/.")],
    data: options.Data = None,
    init_from: options.InitFrom = None,
    name: options.RunName = None,
    steps: options.Steps = None,
    extend: options.Extend = False,
    runs: options.Runs = Path("runs"),
    device: options.Device = None,
    devices: options.Devices = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Train an encoder on clips without labels.

    The same command continues a run that was stopped, from its last checkpoint, with the same
    result as without the stop. The result in RUNS/NAME/export is accepted wherever a model name is,
    such as --init-from of dawnchorus posttrain, which gives it labels.

    Example: dawnchorus pretrain recipes/eat_tiny_pretrain_local.yaml --data my_corpus
    """
    from dawnchorus.configs import PretrainConfig, read_recipe

    values = read_recipe(config)  # before torch, which takes seconds

    from dawnchorus.cli import train_output as output
    from dawnchorus.recipes.pretrain import pretrain, pretrain_dry_run

    values = output.training_values(
        values, data=data, init_from=init_from, name=name, steps=steps, device=device,
        devices=devices,
    )  # fmt: skip
    checked = PretrainConfig(**values)
    if dry_run:
        output.run_dry(pretrain_dry_run, checked, as_json=as_json)
        return
    report = pretrain(
        checked, runs=runs, extend=extend, say=output.talk(checked.steps, quiet=quiet)
    )
    output.show_report(report, f"; {report.n_parameters} parameters", as_json=as_json)
