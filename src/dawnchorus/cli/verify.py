"""``dawnchorus verify``: are these weights what they claim to be; for bug reports."""

from __future__ import annotations

import platform
from typing import Annotated, Any

import typer

from dawnchorus.cli import options


def command(
    name: Annotated[str, typer.Argument(help="A model's name, folder or weights file.")],
    as_json: options.JsonOnly = False,
) -> int:
    """Load a model strictly, compare it with its card, and print what a bug report needs.

    Exit code 1 if the weights do not fit, or compute other values than the card says.

    Example: dawnchorus verify dawnchorus_eat_tiny
    """
    from dawnchorus.cli.output import print_json

    facts, is_right = examine(name)
    if as_json:
        print_json({**facts, "verdict": "right" if is_right else "wrong"})
    else:
        for key, value in facts.items():
            print(f"{key:20}{value}")
        print(f"{'verdict':20}{'right' if is_right else 'WRONG'}")
    return 0 if is_right else 1


def examine(name: str) -> tuple[dict[str, Any], bool]:
    """What there is to say of a model's weights, and whether they are right."""
    import torch

    from dawnchorus import __version__
    from dawnchorus.models.fingerprint import fingerprint, largest_difference
    from dawnchorus.models.load import open_model

    loaded = open_model(name)
    model, card = loaded.model, loaded.source.card
    facts: dict[str, Any] = {
        "model": model.name,
        "weights": loaded.source.weights,
        "sha256": model.weights_sha256,
        "layout": loaded.fit.layout,
        "tensors matched": loaded.fit.n_matched,
        "tensors not needed": len(loaded.fit.ignored),
        "parameters": sum(p.numel() for p in model.parameters()),
        "labels": len(model.labels or []),
        "card": card.name if card else "none",
    }
    is_right = True
    if card and card.sha256:
        same = card.sha256 == model.weights_sha256
        facts["sha256 on card"] = "same" if same else f"DIFFERS: {card.sha256}"
        is_right &= same
    if card and card.fingerprint:
        difference = largest_difference(model, card.fingerprint)
        facts["fingerprint"] = (
            f"largest difference {difference:.2g}, tolerance {card.fingerprint.atol:.2g}"
        )
        is_right &= difference <= card.fingerprint.atol
    else:
        values = fingerprint(model).values
        facts["fingerprint"] = "none on card; starts " + " ".join(f"{v:.4f}" for v in values[:4])
    facts |= {
        "dawnchorus": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    return facts, is_right
