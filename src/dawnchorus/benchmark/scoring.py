"""The scores of a cell as rows of results: a probe fitted and scored, or distances."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.benchmark.cell_key import cell_key
from dawnchorus.benchmark.distances import VectorSpace, distance_scores
from dawnchorus.benchmark.fits import fitted_logits
from dawnchorus.benchmark.items_file import write_items
from dawnchorus.benchmark.plan import DISTANCES
from dawnchorus.benchmark.predictions import write_predictions
from dawnchorus.benchmark.results import ResultRow
from dawnchorus.benchmark.scores import probe_measures, probe_scores, undefined
from dawnchorus.errors import TaskError, TrainingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.benchmark.plan import Cell
    from dawnchorus.benchmark.scores import CellScore
    from dawnchorus.benchmark.task_run import TaskRun

WITHOUT: Final = "without"  # items that an audit found in training


def score_cell(run: TaskRun, cell: Cell) -> list[ResultRow]:
    """Compute a cell; the items that it scored, and a probe's logits, go beside the results."""
    scored, data = run.config.split, run.data
    scores = _distances(run, cell) if cell.probe == DISTANCES else _probe(run, cell)
    write_items(
        Path(run.config.output), data.sha256, scored, data.labelled(scored), data.items.classes
    )
    common = {
        "task": data.task.id,
        "task_version": data.task.version,
        "protocol": run.config.protocol,
        "quirks": ",".join(data.items.quirks),
        "split": scored,
        "model": run.competitor.name,
        "weights_sha256": run.competitor.weights_sha256,
        "readout": cell.features.readout,
        "pooling": cell.features.pooling,
        "probe": cell.probe,
        "n_labels": cell.n_labels,
        "data_sha256": data.sha256,
        "features_sha256": run.features.sha256(cell.features, scored),
        "cell": cell_key(run, cell),
        "versions": "",  # these three are set when the row is written
        "seconds": 0.0,
        "finished_at": datetime.now(UTC),
    }
    return [_row(common, score) for score in scores]


def _distances(run: TaskRun, cell: Cell) -> list[CellScore]:
    splits = run.splits(cell)
    space = VectorSpace(
        vectors={split: run.features.load(cell.features, split) for split in splits},
        items={split: run.data.labelled(split) for split in splits},
        measures=run.measures,
        config=run.config,
    )
    scores = distance_scores(space)
    clean = _clean_rows(run)
    if clean is not None:
        without = distance_scores(space.with_scored_rows(clean))
        scores += [replace(score, leaks=WITHOUT) for score in without]
    return scores


def _probe(run: TaskRun, cell: Cell) -> list[CellScore]:
    items = run.data.labelled(run.config.split)
    measures = probe_measures(run.measures, items.y, multi_label=run.data.items.multi_label)
    try:
        logits, notes = fitted_logits(run, cell)
    except (TaskError, TrainingError) as error:
        return [undefined(name, str(error), items) for name in measures]
    scores = probe_scores(logits, items, measures, run.config)
    if cell.n_labels is None:
        output, classes = Path(run.config.output), run.data.items.classes
        write_predictions(output, cell_key(run, cell), items, classes, logits)
    clean = _clean_rows(run)
    if clean is not None:
        kept = {seed: of_seed[clean] for seed, of_seed in logits.items()}
        without = probe_scores(kept, items.take(clean), measures, run.config)
        scores += [replace(score, leaks=WITHOUT) for score in without]
    return [_with_notes(score, notes) for score in scores]


def _clean_rows(run: TaskRun) -> NDArray[np.intp] | None:
    """Scored items that no audit found in training; None without an audit."""
    if run.known_ids is None:
        return None
    ids = run.data.labelled(run.config.split).ids
    return np.flatnonzero(~np.isin(ids, list(run.known_ids)))


def _with_notes(score: CellScore, notes: dict[int, dict[str, Any]]) -> CellScore:
    """Of a score of one seed that seed's notes, of one over all seeds those of all."""
    seeds = notes if score.seed is None else [score.seed]
    return replace(score, notes={str(seed): notes[seed] for seed in seeds})


def _row(common: dict[str, Any], score: CellScore) -> ResultRow:
    seeds = "" if score.seed is None else str(score.seed)
    if score.seed is None and score.notes:
        seeds = ",".join(score.notes)
    return ResultRow(
        measure=score.measure,
        value=score.value,
        low=score.low,
        high=score.high,
        reason=score.reason,
        n_items=score.n_items,
        n_groups=score.n_groups,
        n_skipped=score.n_skipped,
        seed=score.seed,
        seeds=seeds,
        leaks=score.leaks,
        notes=json.dumps(dict(score.notes), default=str) if score.notes else "",
        **common,
    )
