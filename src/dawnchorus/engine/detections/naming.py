"""What names the sound of a window: the model's own classifier, or a probe on its embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dawnchorus.configs import WindowConfig
from dawnchorus.engine.detections.label_names import NOTHING_KNOWN, as_labels, labels_of
from dawnchorus.engine.encoding.batches import BatchEncoder
from dawnchorus.engine.encoding.model import DEFAULT_MODEL
from dawnchorus.errors import UsageError
from dawnchorus.models.card import Card, known_cards
from dawnchorus.probes.calibration import logit
from dawnchorus.probes.fitted import EncoderMark, FittedProbe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.models.encoder import Encoder, EncoderOutput
    from dawnchorus.models.label_facts import LabelFacts
    from dawnchorus.store.schema import StoreHeader


@dataclass(frozen=True, slots=True)
class WindowClassifier:
    """Labels, and windows to logits of them; a probe's logits are of its calibrated scores."""

    labels: Sequence[str]
    batches: BatchEncoder
    probe: FittedProbe | None = None
    facts: LabelFacts = NOTHING_KNOWN

    def check(self, window: int) -> None:
        """As `BatchEncoder.check`, of what this names by."""
        self.batches.check(window, of_logits=self.probe is None)

    def logits(self, waveforms: Tensor, lengths: Tensor) -> NDArray[np.float32]:
        """``(batch, labels)``; the sigmoid makes probabilities of them, whatever the probe is."""
        if self.probe is None:
            return self.batches.logits(waveforms, lengths)
        if self.probe.kind in {"tokens", "layer_tokens"}:
            take = partial(_mean_and_logits, self.probe)
            both = self.batches.pooled_by(waveforms, lengths, take)
            return both[:, -len(self.labels) :]
        vectors = self.batches.vectors(waveforms, lengths)
        return _logits(self.probe, vectors)


def _mean_and_logits(probe: FittedProbe, out: EncoderOutput) -> Tensor:
    """Logits behind the mean token, by which windows that give one result are told.

    The logits may well be alike: those of many windows without any of the classes.
    """
    scores = torch.from_numpy(logit(probe.probabilities(*probe.read(out))))
    return torch.cat([out.pool("mean").float().cpu(), scores.float()], dim=1)


def _logits(probe: FittedProbe, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return logit(scores_of(probe, vectors)).astype(np.float32)


def scores_of(probe: FittedProbe, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities ``(n, classes)`` of joined layers ``(n, dim)``, kept apart if it needs that.

    Raises:
        UsageError: The probe reads tokens, or vectors of another length.
    """
    n_parts = len(probe.readout.parts)
    if probe.kind == "layers" and vectors.shape[1] % n_parts == 0:
        vectors = vectors.reshape(len(vectors), n_parts, -1)
    return probe.probabilities(vectors)


def classifier_for(encoder: Encoder, probe: FittedProbe | None, n_workers: int) -> WindowClassifier:
    """The encoder's own classifier, or the probe.

    Raises:
        UsageError: The encoder has no classifier and there is no probe.
        WeightsError: The probe is of another encoder.
    """
    if probe is None:
        batches = BatchEncoder(encoder, n_workers=n_workers)
        return WindowClassifier(labels_of(encoder), batches, facts=facts_of(encoder))
    probe.check(encoder)
    batches = BatchEncoder(encoder, readout=probe.readout, n_workers=n_workers)
    return WindowClassifier(probe.classes, batches, probe)


def facts_of(encoder: Encoder) -> LabelFacts:
    """What the encoder's card says of its labels."""
    card = _card_of(encoder)
    return NOTHING_KNOWN if card is None else card.label_facts


def is_demonstration(encoder: Encoder) -> bool:
    """Whether the encoder's card calls it a model for trying out."""
    card = _card_of(encoder)
    return card is not None and card.demonstration


def stored_facts(header: StoreHeader) -> LabelFacts:
    """What the card of the model says that scored a store's windows, where it is a known one."""
    card = _card_behind(header)
    return NOTHING_KNOWN if card is None else card.label_facts


def is_stored_demonstration(header: StoreHeader) -> bool:
    """Whether a store's scores are of a model for trying out."""
    card = _card_behind(header)
    return card is not None and card.demonstration


def _card_of(encoder: Encoder) -> Card | None:
    card = getattr(encoder, "card", None)
    return card if isinstance(card, Card) else None


def _card_behind(header: StoreHeader) -> Card | None:
    card = known_cards().get(header.model)
    return card if card is not None and card.sha256 == header.weights_sha256 else None


def open_probe(probe: str | Path | FittedProbe) -> FittedProbe:
    """A probe from its folder, or as it is."""
    return FittedProbe.load(probe) if isinstance(probe, str | Path) else probe


def model_for(
    probe: FittedProbe | None, model: str | Path | Encoder | None
) -> str | Path | Encoder:
    """The user's choice, else the model that the probe was fitted on, else the shipped one."""
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
    known = {name.casefold(): name for name in probe.classes}
    wanted = set(known) if names is None else {name.casefold() for name in names}
    own = {n: value for n, value in probe.thresholds.items() if n.casefold() in wanted}
    high = {name.casefold(): (name, value) for name, value in {**own, **given}.items()}
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
