"""The page that a hub shows of a model, made from its card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dawnchorus.audio.frontend import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.models.card import Card

# the hub's own names for licences; any other is "other", with its name beside it
LICENCES: Final = frozenset(
    {"apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0",
     "cc-by-nc-sa-4.0"}
)  # fmt: skip
MAX_SHOWN: Final = 200  # labels; a page of thousands helps nobody


def model_page(card: Card, labels: Sequence[str] | None, repo: str | None = None) -> str:
    """``README.md`` of a repository: what the hub reads, then what people do.

    Args:
        card: of the weights.
        labels: in the order of the logits; None: there is no classifier.
        repo: where it will lie, for the example; None: not known yet.
    """
    where = f"hf://{repo}" if repo and "/" in repo else "path/to/this/folder"
    lines = [
        "---",
        _front_matter(card, labels),
        "---",
        "",
        f"# {card.title or card.name}",
        "",
        *([card.description, ""] if card.description else []),
        "```python",
        "from dawnchorus import load_model",
        "",
        f'model = load_model("{where}")',
        *(_example(labels)),
        "```",
        "",
        "| | |",
        "|---|---|",
        f"| name | {_cell(card.name)} |",
        *(f"| {key} | {_cell(value)} |" for key, value in card_facts(card)),
        "",
    ]
    if card.notes:
        lines += [*(f"- {note}" for note in card.notes), ""]
    if labels:
        shown = ", ".join(labels[:MAX_SHOWN])
        more = f", and {len(labels) - MAX_SHOWN} more" if len(labels) > MAX_SHOWN else ""
        lines += ["## Labels", "", f"{shown}{more}", ""]
    lines.append(
        "Written by dawnchorus from `card.yaml`, which holds everything that is said here."
    )
    return "\n".join(lines) + "\n"


def _front_matter(card: Card, labels: Sequence[str] | None) -> str:
    from huggingface_hub import ModelCardData  # noqa: PLC0415  slow to import

    name = card.licence.casefold().replace(" ", "-")
    name = {"cc0": "cc0-1.0"}.get(name, name)
    licence: dict[str, Any] = {"license": name}
    if name not in LICENCES:
        licence = {"license": "other", "license_name": name}
    data = ModelCardData(
        **licence,
        library_name="dawnchorus",
        pipeline_tag="audio-classification" if labels else "feature-extraction",
        tags=["audio", "bioacoustics", "eat"],
    )
    return str(data.to_yaml())


def _example(labels: Sequence[str] | None) -> list[str]:
    lines = ["embeddings = model.embed(waveforms)  # (batch, samples) at 16 kHz"]
    if labels:
        lines.append(
            "logits = model(waveforms)            # (batch, labels), named by model.labels"
        )
    return lines


def card_facts(card: Card) -> list[tuple[str, str]]:
    """What a card says of network, origin and licence, as pairs; what is empty is left out."""
    config = card.config
    padded = config.padded_frames
    classifier = f"on {config.head_pooling}" if card.has_classifier else "none"
    pairs = [
        ("encoder", f"EAT, {config.summary}"),
        ("window", f"{config.window_s:g} s at {SAMPLE_RATE} Hz"),
        (
            "padding",
            f"to {padded} frames of 0.0, attended as in training"
            if padded
            else "never attended: a short clip costs and counts only what it holds",
        ),
        ("normalization", f"{config.normalization}, applied as (x - mean) / (2 std)"),
        ("readout", str(config.readout)),
        ("classifier", classifier),
        ("labels", str(config.n_classes or "")),
        ("licence", card.licence),
        ("trained on", card.training_data),
        ("licences of data", card.data_licences),
        ("training", card.training),
        ("scores", card.scores),
        ("source", card.source),
        ("precision", card.precision),
        ("sha256", card.sha256 or ""),
        ("cite", card.citation),
    ]
    return [(key, value) for key, value in pairs if value]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
