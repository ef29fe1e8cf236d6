"""One run of training, whichever kind: open the folder, read the data, train, export, report.

`pretrain` and `posttrain` differ in what is trained and how it is scored. That is a `Recipe`; all
that a run does besides is here, once. ``training/loop`` knows neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from dawnchorus.configs import TrainConfig, read_recipe
from dawnchorus.feed.loader import Loader
from dawnchorus.models.header import header_metadata
from dawnchorus.models.load import resolve_device
from dawnchorus.models.write import model_files
from dawnchorus.recipes.export import export_model
from dawnchorus.training import devices
from dawnchorus.training.loop import train
from dawnchorus.training.run import RunFolder, TrainReport
from dawnchorus.training.trainable import Trainable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from dawnchorus.feed.batches import Batch, BatchSource
    from dawnchorus.models.card import Card
    from dawnchorus.models.eat import EAT
    from dawnchorus.recipes.training_data import TrainingData
    from dawnchorus.training.schedule import Stage

    Draw = Callable[[int, int, int], Batch]  # step, part, number of parts

ConfigT = TypeVar("ConfigT", bound=TrainConfig)


class Recipe(Protocol):
    """What one kind of run trains, made from its config and data."""

    @property
    def objective(self) -> nn.Module:
        """Everything that has weights."""
        ...

    @property
    def model(self) -> EAT:
        """The part of it that is exported."""
        ...

    @property
    def card(self) -> Card:
        """What is known of the model before it is trained."""
        ...

    @property
    def stages(self) -> Sequence[Stage]:
        """Parts of the run with an optimiser of their own; none: one, as the config says."""
        ...

    def losses(self, module: Any, batch: Batch) -> Mapping[str, Tensor]:
        """Losses of a part of a batch; ``module`` is the objective as devices wrap it."""
        ...

    def validate(self) -> Mapping[str, float]:
        """Scores; the first one, higher is better, chooses the best checkpoint."""
        ...

    def after_step(self, n_done: int) -> None:
        """Called after each step of the optimiser."""
        ...

    def watch(self, step: int, losses: Mapping[str, float]) -> None:
        """Called with a step, from 0, and its losses; may end the run."""
        ...

    def result(self, run: RunFolder, state: Mapping[str, Any]) -> tuple[Card, Mapping[str, Tensor]]:
        """The card and the weights to export at the end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKind(Generic[ConfigT]):
    """A kind of run.

    Attributes:
        config: its options.
        open_data: reads the manifest, and makes batches and validation clips ready.
        make: the recipe, from config, data, and the run's folder; None in a dry run.
    """

    config: type[ConfigT]
    open_data: Callable[[ConfigT], TrainingData]
    make: Callable[[ConfigT, TrainingData, RunFolder | None], Recipe]

    def read(self, config: ConfigT | str | Path) -> ConfigT:
        """The config itself, or read from its YAML file and those that it builds on."""
        return (
            self.config(**read_recipe(Path(config))) if isinstance(config, (str, Path)) else config
        )


def train_and_export(
    kind: RunKind[ConfigT],
    config: ConfigT | str | Path,
    *,
    runs: str | Path,
    extend: bool,
    say: Callable[[Mapping[str, Any]], None],
) -> TrainReport:
    """Train to the end, from the latest checkpoint if there is one, and write the model's folder.

    Args:
        kind: which kind of run.
        config: its config, or the YAML file.
        runs: folder that holds run folders.
        extend: the run may be longer than when it was started.
        say: called with each log record, in the first process.
    """
    config = kind.read(config)
    run = RunFolder(Path(runs) / config.name)
    run.open(config, extend=extend)
    # with several devices, all that follows happens in each of their processes
    fabric = devices.launch(config)
    data = kind.open_data(config)
    _report_data(run, data, say)
    recipe = kind.make(config, data, run)
    with open_loader(data.source, config) as loader:
        state = train(trainable_of(recipe, loader.draw), config, run, fabric=fabric, say=say)
    if devices.is_first():
        card, weights = recipe.result(run, state)
        export_model(card, recipe.model.labels, weights, run.export, config.export_precision)
    devices.wait_for_all()  # nobody returns before the export is there
    return TrainReport(
        run=run.path,
        export=run.export,
        steps=state["step"],
        skipped_steps=state["skipped"],
        best_score=state["best"],
        n_parameters=sum(p.numel() for p in recipe.model.parameters()),
        n_labels=len(recipe.model.labels or ()),
    )


def trainable_of(recipe: Recipe, draw: Draw) -> Trainable[Batch]:
    """A recipe as the loop needs it.

    Args:
        recipe: what is trained.
        draw: where batches come from.
    """
    return Trainable(
        module=recipe.objective,
        draw=draw,
        losses=recipe.losses,
        describe=lambda batch: batch.ids,
        size=lambda batch: len(batch.ids),
        validate=recipe.validate,
        after_step=recipe.after_step,
        watch=recipe.watch,
        stages=recipe.stages,
        beside=model_files(recipe.card, recipe.model.labels),
        metadata=header_metadata(recipe.card, recipe.model.labels),
    )


def open_loader(source: BatchSource, config: TrainConfig) -> Loader:
    """A loader of this process, one of ``config.devices`` on this machine that share its cores."""
    return Loader(
        source,
        workers=config.data.workers,
        n_processes=config.devices,
        pin=resolve_device(config.device).type == "cuda",
    )


def _report_data(
    run: RunFolder, data: TrainingData, say: Callable[[Mapping[str, Any]], None]
) -> None:
    """Say what there is to train on, and log it once: a resumed run has the same data."""
    record = {"event": "data", **data.facts}
    if devices.is_first():
        say(record)
        if record not in run.records():
            run.log(record)
