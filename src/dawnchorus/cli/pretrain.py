"""``dawnchorus pretrain``: train an encoder without labels from a YAML file."""

from __future__ import annotations

from dataclasses import dataclass

from dawnchorus.cli import options
from dawnchorus.cli.flag_record import command_of
from dawnchorus.cli.train_flags import TrainFlags


@dataclass(frozen=True, kw_only=True)
class PretrainFlags(TrainFlags):
    """Flags of ``dawnchorus pretrain``."""

    config: options.RecipePath


@command_of(PretrainFlags)
def command(flags: PretrainFlags) -> int:
    """Train an encoder on clips without labels.

    The same command continues a run that was stopped, from its last checkpoint, with the same
    result as without the stop. The result in RUNS/NAME/export is accepted wherever a model name is,
    such as --init-from of dawnchorus posttrain, which gives it labels.

    Example: dawnchorus pretrain recipes/eat_tiny_pretrain_local.yaml --data my_corpus
    """
    from dawnchorus.configs import PretrainConfig, read_recipe

    values = read_recipe(flags.config)  # before torch, which takes seconds

    from dawnchorus.recipes.pretrain import pretrain, pretrain_dry_run

    return flags.run(PretrainConfig(**flags.over(values)), pretrain, pretrain_dry_run)
