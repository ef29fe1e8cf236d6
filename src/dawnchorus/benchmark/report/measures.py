"""What each measure is called in a report, what it asks, and what guessing scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from dawnchorus.benchmark.tasks.registry import all_tasks

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["probe", "retrieval", "clustering"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of the results.

    Attributes:
        chance: what guessing scores whatever the task; None where that depends on the task.
    """

    name: str
    title: str
    kind: Kind
    chance: float | None = None


# In the order of a report. Others (of standardised vectors, from train) are in the long tables.
MEASURES: Final = {
    measure.name: measure
    for measure in (
        Measure("accuracy", "accuracy", "probe"),
        Measure("macro_recall", "macro recall", "probe"),
        Measure("beans_map", "mAP as BEANS has it", "probe"),
        Measure("cmap", "mAP of the classes present", "probe"),
        Measure("macro_roc_auc", "macro ROC AUC", "probe", 0.5),
        Measure("call_roc_auc", "ROC AUC of any call", "probe", 0.5),
        Measure("top_5_accuracy", "top-5 accuracy", "probe"),
        Measure("retrieval_roc_auc", "retrieval ROC AUC", "retrieval", 0.5),
        Measure(
            "retrieval_class_balanced_roc_auc", "class-balanced retrieval ROC AUC", "retrieval", 0.5
        ),
        Measure("retrieval_precision_at_1", "retrieval precision at 1", "retrieval"),
        Measure("nmi", "NMI", "clustering"),
        Measure("ami", "AMI", "clustering"),
        Measure("ari", "ARI", "clustering"),
    )
}
_CLUSTERING: Final = ("nmi", "ami", "ari")


def measure_of(name: str) -> Measure:
    """The measure of a name; what is not known keeps its name."""
    if name in MEASURES:
        return MEASURES[name]
    kind: Kind = "probe"
    if name.startswith("retrieval"):
        kind = "retrieval"
    elif name.partition("_")[0] in _CLUSTERING:
        kind = "clustering"
    base = next((known for known in MEASURES if name.startswith(f"{known}_")), None)
    title = name.replace("_", " ")
    if base is not None:
        title = f"{MEASURES[base].title}, {name.removeprefix(base).strip('_').replace('_', ' ')}"
    return Measure(name, title, kind)


def order_of(name: str) -> tuple[int, str]:
    """Place in the order of a report; those that are not known come last."""
    return [*MEASURES, name].index(name), name


def main_measure(task: str, protocol: str, kind: Kind, names: Iterable[str]) -> str | None:
    """The measure that a task asks for, of those that it has; None where it has none of the kind.

    Of a task that is not known here, the first in the order of a report.
    """
    known = sorted((name for name in names if measure_of(name).kind == kind), key=order_of)
    task_known = all_tasks().get(task)
    if kind == "probe" and task_known is not None and protocol in {"paper", "strict"}:
        asked = task_known.measures_under("paper" if protocol == "paper" else "strict").probe
        if asked in known:
            return asked
    return known[0] if known and known[0] in MEASURES else None
