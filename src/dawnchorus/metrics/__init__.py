"""Scores of classification, ranking, retrieval and clustering, on plain arrays, with intervals.

Knows nothing of models, tasks or files. A score that is not defined raises
`dawnchorus.errors.TaskError`; `scored` turns that into nan with the reason. Start reading in
``ranking``; ``docs/reference/metrics.md`` defines every one.
"""

from dawnchorus.metrics.classes import (
    accuracy,
    macro_recall,
    normalised_mutual_information,
    t1_accuracy,
    top_k_accuracy,
)
from dawnchorus.metrics.clusters import Clustering, clustering
from dawnchorus.metrics.intervals import (
    Comparison,
    Interval,
    bootstrap,
    jackknife,
    paired_bootstrap,
)
from dawnchorus.metrics.measures import MEASURES, statistic
from dawnchorus.metrics.neighbours import Retrieval, retrieval, retrieval_roc_auc
from dawnchorus.metrics.ranking import (
    average_precision,
    average_precisions,
    beans_map,
    call_roc_auc,
    cmap,
    cmap5,
    macro_roc_auc,
    mean_average_precision,
    micro_average_precision,
    pcmap,
    roc_auc,
    roc_aucs,
)
from dawnchorus.metrics.score import Score, scored

__all__ = [
    "MEASURES",
    "Clustering",
    "Comparison",
    "Interval",
    "Retrieval",
    "Score",
    "accuracy",
    "average_precision",
    "average_precisions",
    "beans_map",
    "bootstrap",
    "call_roc_auc",
    "clustering",
    "cmap",
    "cmap5",
    "jackknife",
    "macro_recall",
    "macro_roc_auc",
    "mean_average_precision",
    "micro_average_precision",
    "normalised_mutual_information",
    "paired_bootstrap",
    "pcmap",
    "retrieval",
    "retrieval_roc_auc",
    "roc_auc",
    "roc_aucs",
    "scored",
    "statistic",
    "t1_accuracy",
    "top_k_accuracy",
]
