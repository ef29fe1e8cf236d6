"""``dawnchorus posttrain``: train a classifier and its encoder on labelled clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dawnchorus.cli import options


def command(
    config: Annotated[
        Path | None, typer.Argument(help="YAML file of the run; see recipes/.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Instead of a file: folder of sounds, in which each folder is a label."),
    ] = None,
    init_from: options.InitFrom = None,
    data: options.Data = None,
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
    """Train a classifier and its encoder on labelled clips.

    With a YAML file, the run is what it says. With --folder, a model is fine-tuned on your own
    sounds: each folder is a label, a fifth of each label's files is kept for validation.

    The same command continues a run that was stopped, from its last checkpoint, with the same
    result as without the stop. The result in RUNS/NAME/export is accepted wherever a model name is.

    Example: dawnchorus posttrain recipes/eat_tiny_local.yaml --data my_corpus

    Example: dawnchorus posttrain --folder my_species --init-from dawnchorus_eat_tiny
    """
    from dawnchorus.configs import PosttrainConfig, read_recipe
    from dawnchorus.errors import UsageError

    if (config is None) == (folder is None):
        raise UsageError("give a YAML file or --folder, one of them; see recipes/ for files")
    values = {} if config is None else read_recipe(config)  # before torch, which takes seconds

    from dawnchorus.cli import train_output
    from dawnchorus.recipes.posttrain import posttrain, posttrain_dry_run

    if folder is not None:
        from dawnchorus.recipes.from_folder import folder_run_values

        values = folder_run_values(folder, init_from=init_from, runs=runs, name=name, steps=steps)
    flags = options.given(
        init_from=init_from, name=name, steps=steps, device=device, devices=devices
    )
    checked = PosttrainConfig(**train_output.with_flags(values, data, flags))
    if dry_run:
        train_output.run_dry(posttrain_dry_run, checked, as_json=as_json)
        return
    say = train_output.talk(checked.steps, quiet=quiet)
    train_output.close(posttrain(checked, runs=runs, extend=extend, say=say), as_json=as_json)
