"""``dawnchorus verify``: are these weights what they claim to be; for bug reports."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.cli import options

if TYPE_CHECKING:
    from dawnchorus.models.load import LoadedModel

RIGHT: Final = "right"
TOO_FAR: Final = "WRONG: bfloat16 is too far from float32 on this machine; use --precision float32"
OTHER_BACKEND: Final = "WRONG: the backend is too far from torch on this machine; leave it out"
OTHER_VALUES: Final = "WRONG: the weights are those of the card, this machine computes other values"


def command(
    name: options.ModelName,
    backend: options.Backend = None,
    as_json: options.AsJson = False,
) -> int:
    """Load a model strictly, compare it with its card, and print what a bug report needs.

    Exit code 1 if the weights do not fit, are not those of their card, or have no card or no
    labels that fit, or if this machine computes other values than the card says. Where bfloat16 is
    what --precision auto takes, its embeddings of the clips that come with dawnchorus are compared
    with float32's; with --backend those of another backend with torch's.

    Example: dawnchorus verify dawnchorus_eat_tiny
    """
    from dawnchorus.cli.output import print_json

    facts, verdict = examine(name, backend or "torch")
    if as_json:
        print_json({**facts, "verdict": verdict})
    else:
        for key, value in facts.items():
            print(f"{key:20}{value}")
        print(f"{'verdict':20}{verdict}")
    return 0 if verdict == RIGHT else 1


def examine(name: str, backend: str = "torch") -> tuple[dict[str, Any], str]:
    """What there is to say of a model's weights, and whether they are right."""
    import torch

    from dawnchorus import __version__
    from dawnchorus.models.load import open_model

    loaded = open_model(name)  # refuses what is not as its card says
    model, card = loaded.model, loaded.identity.card
    facts: dict[str, Any] = {
        "model": model.name,
        "weights": loaded.source.weights,
        "sha256": model.weights_sha256,
        "layout": loaded.weights.layout,
        "tensors matched": len(loaded.weights.names),
        "tensors not needed": len(loaded.weights.ignored),
        "parameters": sum(p.numel() for p in model.parameters()),
        "normalization": model.config.normalization,
        "labels": _labels(loaded),
        "card": f"{card.name}, {loaded.identity.card_from}" if card else "none",
        "sha256 on card": "none" if card is None or card.sha256 is None else "same",
    }
    fingerprint, is_right = _fingerprint(loaded)
    bfloat16, is_near = _bfloat16(loaded)
    by_backend, is_same = _by_backend(loaded, backend)
    facts |= {
        "fingerprint": fingerprint,
        "bfloat16": bfloat16,
        **by_backend,
        "dawnchorus": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    if card is None:
        return facts, "not known: no card belongs to these weights"
    if loaded.labels.no_logits is not None:
        return facts, "the weights are right, their labels are not"
    # weights whose bytes the card knows are loaded without computing anything: this is about the
    # processor and the libraries
    if not is_right:
        return facts, OTHER_VALUES
    if not is_same:
        return facts, OTHER_BACKEND
    return facts, RIGHT if is_near else TOO_FAR


def _by_backend(loaded: LoadedModel, backend: str) -> tuple[dict[str, Any], bool]:
    """How near another backend is to torch on this machine, and whether that is near enough."""
    if backend == "torch":
        return {}, True
    from dawnchorus.models.backends.export import backend_parity

    found, is_near = backend_parity(loaded, backend)
    return {backend: found}, is_near


def _labels(loaded: LoadedModel) -> str:
    if loaded.labels.no_logits is not None:
        return f"refused: {loaded.labels.no_logits}"
    labels = loaded.model.labels
    return "none" if labels is None else f"{len(labels)}, {loaded.labels.labels_from}"


def _fingerprint(loaded: LoadedModel) -> tuple[str, bool]:
    from dawnchorus.models.fingerprint import fingerprint, largest_difference

    card = loaded.identity.card
    if card is None or card.fingerprint is None:
        values = fingerprint(loaded.model).values
        return "none on card; starts " + " ".join(f"{v:.4f}" for v in values[:4]), True
    if loaded.model.no_logits is not None:  # logits are part of it
        return "not compared: its classifier was taken off", True
    known = card.fingerprint
    difference = largest_difference(loaded.model, known)
    comparison = f"largest difference {difference:.2g}, tolerance {known.atol:.2g}"
    return comparison, difference <= known.atol


def _bfloat16(loaded: LoadedModel) -> tuple[str, bool]:
    """How near bfloat16 is to float32 on this machine, and whether that is near enough."""
    from dawnchorus.models.load import resolve_device
    from dawnchorus.models.parity import LEAST_COSINE_BFLOAT16, LEAST_OVERLAP, bfloat16_parity
    from dawnchorus.models.precision import resolve_precision

    device = resolve_device("auto")
    if resolve_precision("auto", device) == "float32":
        return "not used on this machine", True
    found = bfloat16_parity(loaded.model.to(device))
    needed = f"needed {LEAST_COSINE_BFLOAT16} and {100 * LEAST_OVERLAP:.0f} %"
    return f"{found}; {needed}", found.holds(LEAST_COSINE_BFLOAT16)
