"""``dawnchorus pretrain``: train an encoder without labels from a YAML file."""

from __future__ import annotations

from pathlib import Path

from dawnchorus.cli import options


def command(
    config: options.RecipePath,
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

    from dawnchorus.cli import train_output
    from dawnchorus.recipes.pretrain import pretrain, pretrain_dry_run

    flags = options.given(
        init_from=init_from, name=name, steps=steps, device=device, devices=devices
    )
    checked = PretrainConfig(**train_output.with_flags(values, data, flags))
    if dry_run:
        train_output.run_dry(pretrain_dry_run, checked, as_json=as_json)
        return
    say = train_output.talk(checked.steps, quiet=quiet)
    train_output.close(pretrain(checked, runs=runs, extend=extend, say=say), as_json=as_json)
