"""``dawnchorus describe``: everything that a model's card says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnchorus.cli import options
from dawnchorus.cli.renamed import renamed
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dawnchorus.models.card import Card


@renamed({"--labels": "--list-labels"})
def command(
    name: options.ModelName,
    labels: Annotated[
        bool,
        typer.Option(
            "--list-labels",
            help="List its labels with their levels, their thresholds, and how often those are "
            "right, as CSV; with --json as JSON.",
        ),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Say everything about a model: what it is, its input, licence, citation, oddities.

    Example: dawnchorus describe dawnchorus_eat_tiny
    """
    from dawnchorus.cli.output import print_json
    from dawnchorus.models.registry import card_of

    if labels:
        if as_json:
            print_json([*label_rows(name)])
        else:
            print(label_table(name), end="")
        return
    card = card_of(name)
    if as_json:
        print_json(card.model_dump(mode="json"))
        return
    for key, value in facts(card):
        print(f"{key:18}{value}")
    for note in card.notes:
        print(f"{'note':18}{note}")


def label_table(name: str) -> str:
    """A line for each label; its first column serves as a list for ``predict --species``."""
    from dawnchorus.text_tables.write import csv_text

    rows = [*label_rows(name)]
    return csv_text(tuple(rows[0]), (row.values() for row in rows))


def label_rows(name: str) -> Iterator[dict[str, Any]]:
    """What is known of each label; what is not measured is None.

    Raises:
        UsageError: The model has no labels.
    """
    from dawnchorus.models.label_facts import LabelFacts, levels_of
    from dawnchorus.models.load import open_model

    loaded = open_model(name)
    names = loaded.model.labels
    if not names:
        raise UsageError(
            f"{name}: there is no label map with this model, so it has no names for classes"
        )
    card = loaded.identity.card
    facts = card.label_facts if card else LabelFacts()
    for label, level, threshold in zip(
        names, levels_of(names, facts), facts.lowest(names), strict=True
    ):
        known = facts.evidence_of(label)
        yield {
            "label": label,
            "level": level,
            "threshold": threshold,
            "threshold_is": facts.threshold_is(label),
            "precision": known and known.precision,
            "precision_low": known and known.low,
            "precision_high": known and known.high,
            "recordings": known and known.n_recordings,
        }


def _thresholds(card: Card) -> str:
    known = card.label_facts
    if not card.has_classifier or known.threshold is None:
        return ""
    shared = known.shared_evidence
    right = f" ({shared.text})" if shared else ""
    own = len(known.thresholds)
    return f"{known.threshold:g}{right}, {own} labels have their own; {known.origin}"


def _calibration(card: Card) -> str:
    line = card.label_facts.calibration
    if not card.has_classifier or line is None:
        return ""
    return f"sigmoid of {line.slope:g} x logit {line.offset:+g}; {line.origin}"


def _unfamiliar(card: Card) -> str:
    known = card.label_facts.unfamiliar
    return "" if known is None else f"by the embedding {known.readout}; {known.origin}"


def revision(card: Card) -> str:
    """Which state of a repository is read, and what happens when its owner changes it."""
    location = card.hub
    if location is None:
        return ""
    if location.revision is not None:
        return f"{location.revision}, whatever is uploaded later"
    if card.sha256 is None:
        return (
            f"the newest; no sha256 is known to hold it against. A download is kept, and "
            f"hf://{location.repo}@COMMIT reads one state for good"
        )
    return (
        f"the newest; a file that was replaced is refused, since its sha256 is another. "
        f"hf://{location.repo}@COMMIT then reads the earlier one"
    )


def facts(card: Card) -> list[tuple[str, str]]:
    """The card as lines of key and text; empty ones are left out."""
    from dawnchorus.cli.models import where
    from dawnchorus.models.page import card_facts

    lines = [
        ("name", card.name),
        ("what", card.title),
        ("", card.description),
        ("weights", where(card)),
        ("revision", revision(card)),
        *card_facts(card),
        ("thresholds", _thresholds(card)),
        ("calibration", _calibration(card)),
        ("unfamiliar", _unfamiliar(card)),
    ]
    return [(key, text) for key, text in lines if text]
