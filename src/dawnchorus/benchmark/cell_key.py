"""The key of a cell: a hash of everything that decides its scores. It tells finished cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dawnchorus.benchmark.fits import fit_config
from dawnchorus.benchmark.scores import LEVEL
from dawnchorus.embedding.cache import hash_of_value

if TYPE_CHECKING:
    from dawnchorus.benchmark.plan import Cell
    from dawnchorus.benchmark.task_run import TaskRun

SCORES_VERSION: Final = 2  # another number where the same options would give other scores


def cell_key(run: TaskRun, cell: Cell) -> str:
    """Hash of a cell; two runs that have it in common have the same scores."""
    config, task = run.config, run.data.task
    decides: dict[str, Any] = {
        "version": SCORES_VERSION,
        "task": [task.id, task.version],
        "protocol": config.protocol,
        "split": config.split,
        "model": [run.competitor.name, run.competitor.weights_sha256],
        "readout": [cell.features.readout, cell.features.pooling],
        "probe": [cell.probe, cell.n_labels],
        "seeds": config.n_seeds,
        "bootstrap": [config.n_bootstrap, LEVEL],
        "data": run.data.sha256,  # labels and groups: the features do not know them
        "features": {
            split: run.features.sha256(cell.features, split) for split in run.splits(cell)
        },
        "leaks": None if run.known_ids is None else sorted(run.known_ids),
    }
    if cell.probe:  # a probe is not affected by scalings of distances, nor these by its fit
        fit = fit_config(cell, config, run.measures, model=run.competitor.name, seed=0)
        decides["fit"] = fit.model_dump(mode="json")
    else:
        decides["distances"] = [list(config.used_scalings), config.same_group]
    return hash_of_value(decides)[:32]
