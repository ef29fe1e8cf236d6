"""Other programs' logs beside our own: TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.errors import DependencyError
from dawnchorus.training.devices import is_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dawnchorus.configs import TrainConfig

    Log = Callable[[int, Mapping[str, Any]], None]  # step, and what was logged of it


@contextmanager
def open_loggers(config: TrainConfig, folder: Path, *, step: int) -> Iterator[Log]:
    """Whatever loggers the config names, as one; none in other processes than the first.

    Args:
        config: of the run.
        folder: the run's, for what is kept on disk.
        step: where the run continues; what was logged after it is overwritten where possible.

    Raises:
        DependencyError: A logger's package is not installed.
    """
    with ExitStack() as stack:
        names = config.loggers if is_first() else ()
        logs = [stack.enter_context(OPENERS[name](config, folder, step)) for name in names]

        def log(at: int, record: Mapping[str, Any]) -> None:
            # none of the three takes texts or lists, and their step is an argument of its own
            values = {
                name: float(value)
                for name, value in record.items()
                if name != "step" and isinstance(value, int | float)
            }
            for send in logs:
                send(at, values)

        yield log


@contextmanager
def _tensorboard(config: TrainConfig, folder: Path, step: int) -> Iterator[Log]:
    del config  # TensorBoard has no place for it
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  an extra
    except ImportError as error:
        raise DependencyError("tensorboard", "train", "loggers: [tensorboard]") from error
    # a resumed run repeats steps: what was logged of them before is hidden
    with SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1) as writer:

        def log(at: int, values: Mapping[str, float]) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, at)

        yield log


@contextmanager
def _wandb(config: TrainConfig, folder: Path, step: int) -> Iterator[Log]:
    """A W&B run, kept on disk for ``wandb sync`` unless ``WANDB_MODE=online`` is set."""
    del step  # a resumed run is another run there
    try:
        import wandb  # noqa: PLC0415  an extra
    except ImportError as error:
        raise DependencyError("wandb", "wandb", "loggers: [wandb]") from error
    # offline unless the user says otherwise: training must not need a network or an account
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", "dawnchorus"),
        name=config.name,
        dir=str(folder),
        config=config.model_dump(mode="json"),
        mode=os.environ.get("WANDB_MODE", "offline"),
    )
    try:
        yield lambda at, values: run.log(dict(values), step=at)
    finally:
        run.finish()


@contextmanager
def _mlflow(config: TrainConfig, folder: Path, step: int) -> Iterator[Log]:
    """An MLflow run, in the run's folder unless ``MLFLOW_TRACKING_URI`` names a server."""
    del step
    try:
        import mlflow  # noqa: PLC0415  an extra
    except ImportError as error:
        raise DependencyError("mlflow", "mlflow", "loggers: [mlflow]") from error
    if "MLFLOW_TRACKING_URI" not in os.environ:
        # one file, which needs no server
        mlflow.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').resolve().as_posix()}")
    mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "dawnchorus"))
    with mlflow.start_run(run_name=config.name):
        mlflow.log_dict(config.model_dump(mode="json"), "config.yaml")
        yield lambda at, values: mlflow.log_metrics(dict(values), step=at)


OPENERS: Final[Mapping[str, Callable[[TrainConfig, Path, int], AbstractContextManager[Log]]]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}
