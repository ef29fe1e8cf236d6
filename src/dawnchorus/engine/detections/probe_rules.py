"""What a probe decides for a run: encoder, window length, and which of its scores become rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dawnchorus.configs import WindowConfig
from dawnchorus.engine.detections.label_names import as_labels
from dawnchorus.engine.encoding.model import DEFAULT_MODEL
from dawnchorus.errors import UsageError
from dawnchorus.probes.fitted import EncoderMark, FittedProbe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.models.encoder import Encoder
    from dawnchorus.store.schema import StoreHeader


def open_probe(probe: str | Path | FittedProbe) -> FittedProbe:
    """A probe from its folder, or as it is."""
    return FittedProbe.load(probe) if isinstance(probe, str | Path) else probe


def model_for(
    probe: FittedProbe | None, model: str | Path | Encoder | None
) -> str | Path | Encoder:
    """The user's model; default: the one that the probe was fitted on, or the shipped one."""
    if model is not None:
        return model
    return DEFAULT_MODEL if probe is None else probe.notes.model or probe.encoder.name


def windows_for(probe: FittedProbe | None, config: EmbedConfig) -> EmbedConfig:
    """Windows as long as those that a probe was fitted on, where the user chose no length."""
    window_s = None if probe is None else probe.notes.window_s
    if window_s is None or config.windows.window_s is not None:
        return config
    windows = WindowConfig(window_s=window_s, hop_s=config.windows.hop_s)
    return config.model_copy(update={"windows": windows})


def rule_for(probe: FittedProbe | None, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What the user chose, with a probe's own thresholds where no number of rows is chosen.

    A label without a threshold is one for which no score is right often enough: it gives no rows.

    Args:
        probe: None: the encoder's own classifier names, and what was chosen stands.
        chosen: fields of `PredictConfig`; thresholds that the user gives win over the probe's.

    Raises:
        UsageError: Not one of the labels has a threshold, so there would be no row.
    """
    if probe is None or _has(chosen, "top_k") or _has(chosen, "threshold"):
        return dict(chosen)
    given, names = _by_class(probe, chosen)
    if given and names is None:
        return dict(chosen)  # the labels of those thresholds, and no others
    # all by case-folded name: users write "wren" for "Wren"
    known = {name.casefold(): name for name in probe.classes}
    wanted = set(known) if names is None else {name.casefold() for name in names}
    own = {n: value for n, value in probe.thresholds.items() if n.casefold() in wanted}
    # the user's own thresholds come last, so they win
    high = {name.casefold(): (name, value) for name, value in {**own, **given}.items()}
    # some class is wanted, and not one of the wanted ones can give a row
    if wanted & set(known) and not set(high) & set(known):
        raise UsageError(_no_threshold(probe, names))
    rule = {**chosen, "thresholds": dict(high.values())}
    if names is not None:
        # a name that the probe does not know stays, so that it is reported
        rule["labels"] = tuple(
            n for n in names if n.casefold() in high or n.casefold() not in known
        )
    return rule


def _by_class(
    probe: FittedProbe, chosen: Mapping[str, Any]
) -> tuple[dict[str, float], tuple[str, ...] | None]:
    """The user's thresholds and labels, by the probe's own names where they mean one."""
    given, names = chosen.get("thresholds") or {}, chosen.get("labels")
    own = dict(zip(as_labels(given, probe.classes), given.values(), strict=True))
    return own, None if names is None else tuple(as_labels(names, probe.classes))


def _has(chosen: Mapping[str, Any], name: str) -> bool:
    return chosen.get(name) is not None


def _no_threshold(probe: FittedProbe, names: Sequence[str] | None) -> str:
    which = "any of its classes" if names is None else f"any of {', '.join(names)}"
    others = ", ".join(probe.thresholds)
    return (
        f"this probe has no threshold for {which}: on the clips that it was fitted with, no score "
        "was shown to be right often enough, so nothing can be named"
        + (f" (it has thresholds for {others})" if others else "")
        + ". Add clips of other recordings and fit it again, or choose yourself: --threshold 0.5 "
        "gives every score from there on, --top-k 1 the likeliest label of every window"
    )


def silent_labels(probe: FittedProbe | None, chosen: Mapping[str, Any]) -> list[str]:
    """What is to be said of a probe's classes that give no rows, for want of a threshold.

    Args:
        probe: None: nothing is to be said.
        chosen: as for `rule_for`.
    """
    if probe is None or any(_has(chosen, name) for name in ("top_k", "threshold", "thresholds")):
        return []
    names = as_labels(chosen.get("labels") or probe.classes, probe.classes)
    asked = {name.casefold() for name in names}
    mute = [c for c in probe.classes if c.casefold() in asked and c not in probe.thresholds]
    if not mute:
        return []
    return [f"no rows of {', '.join(mute)}: the probe has no threshold for them; see its report.md"]


def check_store(header: StoreHeader, probe: FittedProbe) -> None:
    """Refuse a store whose vectors are not those that the probe was fitted on.

    Raises:
        WeightsError: It was made with another encoder.
        UsageError: It was made with another readout.
    """
    probe.check(EncoderMark(header.model, header.weights_sha256))
    if probe.readout != header.readout:
        raise UsageError(
            f"the store holds the readout {header.readout}, the probe was fitted on "
            f"{probe.readout}; name the recordings instead of the store"
        )
