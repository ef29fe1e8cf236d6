"""``dawnchorus posttrain``: train a classifier and its encoder on labelled clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from dawnchorus.cli.flag_record import command_of
from dawnchorus.cli.train_flags import TrainFlags


@dataclass(frozen=True, kw_only=True)
class PosttrainFlags(TrainFlags):
    """Flags of ``dawnchorus posttrain``."""

    config: Annotated[
        Path | None, typer.Argument(help="YAML file of the run; see recipes/.", show_default=False)
    ] = None
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder of sounds. Alone: each folder in it is a label. With a file that needs no "
            "labels: recordings of any length."
        ),
    ] = None


@command_of(PosttrainFlags)
def command(flags: PosttrainFlags) -> int:
    """Train a classifier and its encoder on labelled clips.

    With a YAML file, the run is what it says. With --folder, a model is fine-tuned on your own
    sounds: each folder is a label, a fifth of each label's files is kept for validation. With both,
    a teacher that the file names teaches on a folder of recordings of any length, without labels.

    The same command continues a run that was stopped, from its last checkpoint, with the same
    result as without the stop. The result in RUNS/NAME/export is accepted wherever a model name is.

    Example: dawnchorus posttrain recipes/eat_tiny_local.yaml --data my_corpus

    Example: dawnchorus posttrain --folder my_species --init-from dawnchorus_eat_tiny

    Example: dawnchorus posttrain recipes/distil_aves2_base_to_tiny.yaml --folder recordings
    """
    from dawnchorus.configs import PosttrainConfig, read_recipe
    from dawnchorus.errors import UsageError

    if flags.config is None and flags.folder is None:
        raise UsageError("give a YAML file or --folder; see recipes/ for files")
    # before torch, which takes seconds
    values = {} if flags.config is None else read_recipe(flags.config)

    from dawnchorus.recipes.posttrain import posttrain, posttrain_dry_run

    if flags.config is not None and flags.folder is not None:
        from dawnchorus.recipes.from_recordings import recordings_run_values

        named = {"name": flags.name} if flags.name else {}
        values = recordings_run_values({**values, **named}, flags.folder, runs=flags.runs)
    elif flags.folder is not None:
        from dawnchorus.recipes.from_folder import folder_run_values

        values = folder_run_values(
            flags.folder,
            init_from=flags.init_from,
            runs=flags.runs,
            name=flags.name,
            steps=flags.steps,
        )
    return flags.run(PosttrainConfig(**flags.over(values)), posttrain, posttrain_dry_run)
