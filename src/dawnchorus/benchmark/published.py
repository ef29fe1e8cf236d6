"""The figures that the paper's authors published, cell by cell, and which of our models are theirs.

``published.csv`` holds the aggregate table and the four tables of single tasks: 20 models, values
as printed, under the protocol ``paper``. A figure that was not published has no value, and
a doubtful one has a note. Source: result tables of "What Matters for Bioacoustic Encoding", arXiv
2508.11845; the means over tasks are named ``mean/...``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from dawnchorus.configs import ScheduleConfig

# Each mean of the aggregate table, and the tasks that it is taken over.
AGGREGATES: Final = {
    "mean/beans_classification": (
        "beans/watkins", "beans/cbi", "beans/humbugdb", "beans/bats", "beans/dogs", "beans/esc50",
    ),
    "mean/beans_detection": (
        "beans/enabirds", "beans/rfcx", "beans/hiceas", "beans/hainan_gibbons", "beans/dcase",
    ),
    "mean/birdset": (
        "birdset/POW", "birdset/PER", "birdset/NES", "birdset/NBP", "birdset/HSN", "birdset/SNE",
        "birdset/UHH",
    ),
    "mean/individual": (
        "individual/chiffchaff", "individual/little_owl", "individual/tree_pipit",
        "individual/macaques",
    ),
    "mean/repertoire": (
        "repertoire/zebra_finch", "repertoire/giant_otters", "repertoire/bengalese_finch",
        "repertoire/killer_whale",
    ),
}  # fmt: skip
# Models that anyone can load here, and what the tables call them.
PUBLISHED_AS: Final = {
    "esp_aves2_sl_eat_all_ssl_all": "sl-EAT-all",
    "esp_aves2_sl_eat_bio_ssl_all": "sl-EAT-bio",
    "esp_aves2_eat_all": "EAT-all",
    "esp_aves2_eat_bio": "EAT-bio",
    "eat_base_epoch30_pretrain": "EAT-base (pretrained)",
    "eat_base_epoch30_finetune_as2m": "EAT-base (SFT)",
}

# How their linear probes were trained where it is not `ScheduleConfig.paper`.
PROBED_WITH: Final[dict[str, dict[str, Any]]] = {
    "EAT-all": {"batch_size": 64},
    "EAT-bio": {"batch_size": 64},
    "EAT-base (pretrained)": {"batch_size": 64},
    "EAT-base (SFT)": {"n_epochs": 300, "learning_rates": (3e-4,)},
}


def paper_schedule(model: str) -> ScheduleConfig:
    """The schedule that the published code trained a model's linear probe by.

    Args:
        model: as it is called here; one that the table lacks gets the usual schedule.
    """
    own = PROBED_WITH.get(PUBLISHED_AS.get(model, ""), {})
    return ScheduleConfig.paper().model_copy(update=own)


@dataclass(frozen=True, slots=True)
class Figure:
    """One published number.

    Attributes:
        value: as printed; None where the cell says that there is none.
        note: why there is none, what is doubtful, or how it was measured.
    """

    model: str
    task: str
    measure: str
    value: float | None
    note: str

    @property
    def doubtful(self) -> bool:
        """Whether the printed value is likely wrong."""
        return self.note.startswith("doubtful")


@cache
def published_figures() -> tuple[Figure, ...]:
    """Every figure, in the order of the tables."""
    text = files("dawnchorus.benchmark").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(
        Figure(
            row["model"],
            row["task"],
            row["measure"],
            float(row["value"]) if row["value"] else None,
            row["note"],
        )
        for row in csv.DictReader(text.splitlines())
    )


def published_models() -> tuple[str, ...]:
    """The 20 models, in the order of the tables."""
    return tuple(dict.fromkeys(figure.model for figure in published_figures()))


def published_value(model: str, task: str, measure: str) -> Figure | None:
    """The figure of a cell; None where the tables have no such cell."""
    return _cells().get((model, task, measure))


@cache
def _cells() -> dict[tuple[str, str, str], Figure]:
    return {(cell.model, cell.task, cell.measure): cell for cell in published_figures()}
