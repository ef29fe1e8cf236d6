"""What scores the sound of a window: a model's own classifier, or a probe on its embeddings."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from dawnchorus.engine.detections.label_names import NOTHING_KNOWN
from dawnchorus.engine.detections.probe_rules import model_for, windows_for
from dawnchorus.engine.detections.raw_scores import RawScores
from dawnchorus.engine.detections.writer import ScoredLabels
from dawnchorus.engine.encoding.batches import BatchEncoder
from dawnchorus.engine.encoding.lanes import several_devices
from dawnchorus.engine.encoding.model import labels_of, ready_model
from dawnchorus.engine.encoding.workers import batch_size, n_workers
from dawnchorus.engine.options import read_settings
from dawnchorus.models.card import Card, known_card
from dawnchorus.probes.calibration import logit, sigmoid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.engine.detections.raw_scores import Probabilities
    from dawnchorus.engine.pipeline.read import ReadSettings
    from dawnchorus.models.encoder import Encoder, EncoderOutput
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.store.read import StoredRecording
    from dawnchorus.store.schema import StoreHeader

TOKEN_PROBES = frozenset({"tokens", "layer_tokens"})  # kinds that need more than pooled vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowClassifier:
    """Windows to what is reported of them: probabilities, and which of them sound unfamiliar.

    Attributes:
        encoder: that hears them.
        scored: the labels.
        batches: the encoder with what is read from it.
        settings: how recordings are cut into windows.
        batch_size: windows at once.
        probe: None: the encoder's own classifier scores.
        raw: what becomes of its raw scores; nothing of a probe's.
    """

    encoder: Encoder
    scored: ScoredLabels
    batches: BatchEncoder
    settings: ReadSettings
    batch_size: int
    probe: FittedProbe | None = None
    raw: RawScores = RawScores()  # noqa: RUF009  it is frozen

    @property
    def probabilities(self) -> Probabilities:
        """What its probabilities are."""
        return self.raw.kind if self.probe is None else "probe"

    @property
    def is_demonstration(self) -> bool:
        """Whether the classifier is one for trying out, not for field work."""
        card = _card_of(self.encoder)
        return self.probe is None and card is not None and card.demonstration

    def encode(self, waveforms: Tensor, lengths: Tensor) -> NDArray[np.float32]:
        """What `read` reads: logits ``(batch, labels)``, of a probe's probabilities too.

        Where it is known how unfamiliar a window is, that stands behind them.
        """
        if self.probe is None:
            return self._own(waveforms, lengths)
        if self.probe.kind in TOKEN_PROBES:
            pool = partial(_mean_and_logits, self.probe)
            # one pass gives the mean token, which the canary watches, and the logits behind it
            both = self.batches.pooled_by(waveforms, lengths, pool)
            return both[:, -len(self.scored.labels) :]
        vectors = self.batches.vectors(waveforms, lengths)
        return logit(scores_of(self.probe, vectors)).astype(np.float32)

    def _own(self, waveforms: Tensor, lengths: Tensor) -> NDArray[np.float32]:
        if self.raw.unfamiliar is None:
            return self.batches.logits(waveforms, lengths)
        both = self.batches.vectors_and_logits(waveforms, lengths)
        vectors, logits = np.split(both, [-len(self.scored.labels)], axis=1)
        return np.column_stack([logits, self.raw.unlike_training(vectors)])

    def read(
        self, values: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """Probabilities ``(batch, labels)`` of `encode`'s values, and which windows are unfamiliar.

        None instead of those: it is not known, or was not asked for.
        """
        if self.probe is not None:
            return sigmoid(values), None
        logits, behind = np.split(values, [len(self.scored.labels)], axis=1)
        return self.raw.of_logits(logits), behind[:, 0] > 0 if behind.shape[1] else None


@contextmanager
def ready_classifier(
    model: str | Path | Encoder | None,
    probe: FittedProbe | None,
    config: EmbedConfig,
    *,
    name_unfamiliar: bool = False,
) -> Iterator[WindowClassifier]:
    """Load the model, or lend a loaded one, and check what it gives before any recording is read.

    Args:
        model: the user's choice; None: the probe's own, or the shipped one.
        probe: names what is heard instead of the model's classifier.
        config: windows, batches and device.
        name_unfamiliar: windows unlike all of the model's training are not looked for.

    Raises:
        UsageError: The encoder has no classifier and there is no probe.
        WeightsError: The probe is of another encoder, or the outputs cannot be right.
    """
    # before the model is loaded: a probe that is missing must not cost the minute that takes
    config = windows_for(probe, config)
    with ready_model(model_for(probe, model), config) as encoder:
        count, devices = n_workers(encoder, config.workers), several_devices(config.device)
        raw = RawScores()
        if probe is None:
            card = _card_of(encoder)
            scored = ScoredLabels(labels_of(encoder), card.label_facts if card else NOTHING_KNOWN)
            raw = RawScores.of_card(card, name_unfamiliar=name_unfamiliar)
            batches = BatchEncoder(encoder, readout=raw.readout, n_workers=count, devices=devices)
        else:
            probe.check(encoder)
            scored = ScoredLabels(probe.classes, NOTHING_KNOWN)
            batches = BatchEncoder(encoder, readout=probe.readout, n_workers=count, devices=devices)
        settings = read_settings(encoder, config)
        batches.check(settings.window, of_logits=probe is None)
        yield WindowClassifier(
            encoder=encoder,
            scored=scored,
            batches=batches,
            settings=settings,
            batch_size=batch_size(encoder, config.batch_size, settings.window),
            probe=probe,
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class StoredClassifier:
    """Probabilities of a store's windows: of the scores it holds, or a probe's on its vectors."""

    header: StoreHeader
    probe: FittedProbe | None = None
    raw: RawScores = RawScores()  # noqa: RUF009  it is frozen

    @classmethod
    def of(
        cls, header: StoreHeader, probe: FittedProbe | None, *, name_unfamiliar: bool
    ) -> StoredClassifier:
        """With what the card of the model says that made the store."""
        card = _card_behind(header) if probe is None else None
        return cls(header, probe, RawScores.of_card(card, name_unfamiliar=name_unfamiliar))

    @property
    def probabilities(self) -> Probabilities:
        """What its probabilities are."""
        return self.raw.kind if self.probe is None else "probe"

    @property
    def scored(self) -> ScoredLabels:
        """The labels, with what the card of the model says that scored them."""
        if self.probe is not None:
            return ScoredLabels(self.probe.classes, NOTHING_KNOWN)
        card = _card_behind(self.header)
        facts = card.label_facts if card else NOTHING_KNOWN
        return ScoredLabels(self.header.labels or (), facts)

    @property
    def is_demonstration(self) -> bool:
        """Whether the scores are of a model for trying out, not for field work."""
        card = _card_behind(self.header)
        return self.probe is None and card is not None and card.demonstration

    def scores(self, recording: StoredRecording) -> NDArray[np.float32]:
        """Probabilities ``(windows, labels)``."""
        if self.probe is None:
            return self.raw.of_stored(recording.scores)
        return scores_of(self.probe, recording.vectors).astype(np.float32)

    def unfamiliar(self, recording: StoredRecording) -> NDArray[np.bool_] | None:
        """Which windows ``(windows,)`` are unlike all training; None: the vectors do not tell."""
        return self.raw.unfamiliar_in(recording.vectors, self.header.readout)


def _mean_and_logits(probe: FittedProbe, out: EncoderOutput) -> Tensor:
    """Logits behind the mean token, ``(batch, dim + labels)``.

    By the mean token, windows that all give one result are detected. The logits may well be alike:
    those of many windows without any of the classes.
    """
    scores = torch.from_numpy(logit(probe.probabilities(*probe.read(out))))
    return torch.cat([out.pool("mean").float().cpu(), scores.float()], dim=1)


def scores_of(probe: FittedProbe, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities ``(n, classes)`` of joined layers ``(n, dim)``, split if the probe needs that.

    Raises:
        UsageError: The probe reads tokens, or vectors of another length.
    """
    # a store and the encoder give all parts side by side, (n, parts x dim)
    n_parts = len(probe.readout.parts)
    if probe.kind == "layers" and vectors.shape[1] % n_parts == 0:
        vectors = vectors.reshape(len(vectors), n_parts, -1)
    return probe.probabilities(vectors)


def _card_of(encoder: Encoder) -> Card | None:
    # encoders of other packages have no card
    card = getattr(encoder, "card", None)
    return card if isinstance(card, Card) else None


def _card_behind(header: StoreHeader) -> Card | None:
    """The card of the model that made a store, where it is a known one and has these weights."""
    card = known_card(header.model)
    # a model of one name may have been retrained since: its facts are then of other weights
    return card if card is not None and card.sha256 == header.weights_sha256 else None
