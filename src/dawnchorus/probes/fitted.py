"""A fitted probe: what it says of features.

A probe is only right on features of the encoder it was fitted on, so it names that encoder and the
SHA-256 of its weights, and refuses any other.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.probes.calibration import NEVER, Calibration, plain_probabilities
from dawnchorus.probes.description import ProbeDescription
from dawnchorus.probes.encoder_mark import EncoderMark
from dawnchorus.probes.features import read_features
from dawnchorus.probes.files import read_files, write_files
from dawnchorus.probes.net import Net, net_logits
from dawnchorus.probes.notes import ProbeNotes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.configs import HeadConfig, Readout
    from dawnchorus.models.encoder import Encoder, EncoderOutput
    from dawnchorus.probes.features import FeatureKind

__all__ = ["EncoderMark", "FittedProbe"]


@dataclass(slots=True, kw_only=True)
class FittedProbe:
    """A probe that was fitted.

    Attributes:
        config: kind and size of its head.
        classes: names, in the order of the columns of `logits`.
        multi_label: whether an item may have any number of classes.
        encoder: whose features it reads.
        readout: which layers of it, and how they are pooled.
        net: standardising and head, for the classes it was trained on.
        trained: indices of the classes that had training items; the others always score lowest.
        calibration: how logits become probabilities, None: as they are.
        thresholds: class to the probability from which it counts as present.
        notes: what was chosen and counted in fitting.
    """

    config: HeadConfig
    classes: tuple[str, ...]
    multi_label: bool
    encoder: EncoderMark
    readout: Readout
    net: Net
    trained: tuple[int, ...]
    calibration: Calibration | None = None
    thresholds: dict[str, float] = field(default_factory=dict)
    notes: ProbeNotes = field(default_factory=ProbeNotes)

    def logits(
        self, x: NDArray[np.floating], keep: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Score features.

        Args:
            x: ``(items, ...)``, of the shape that it was fitted on; tokens may be more or fewer.
            keep: ``(items, tokens)`` bool, False on padding; None: all tokens count.

        Returns:
            ``(items, classes)``.

        Raises:
            UsageError: The features have another shape, or are not finite.
        """
        self._check_shape(x)
        # classes without training items rank below all others, whatever the features
        out = np.full((len(x), len(self.classes)), NEVER)
        out[:, list(self.trained)] = net_logits(self.net, x, keep)
        _check_finite(out)
        return out

    def probabilities(
        self, x: NDArray[np.floating], keep: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Probability of each class, ``(items, classes)``; arguments as in `logits`.

        Calibrated, where there is a calibration.
        """
        logits = self.logits(x, keep)
        if self.calibration is None:
            return plain_probabilities(logits, multi_label=self.multi_label)
        return self.calibration.probabilities(logits)

    @property
    def kind(self) -> FeatureKind:
        """What shape of features it reads."""
        if self.net.reads_tokens:
            return "layer_tokens" if self.net.by_layer else "tokens"
        return "layers" if self.net.by_layer else "vectors"

    @property
    def layers(self) -> list[int | str]:
        """Layers to request from its encoder."""
        return self.readout.layers

    def read(self, out: EncoderOutput) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """Its features of a batch of windows: what `logits` takes.

        Args:
            out: of its encoder, with `layers`.
        """
        x, keep = read_features(out, self.readout, self.kind)
        return x.cpu().numpy(), None if keep is None else keep.cpu().numpy()

    @property
    def taught(self) -> tuple[int, ...]:
        """What `trained` was called until 0.2."""
        text = "FittedProbe.taught is now called trained"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        return self.trained

    @property
    def layer_weights(self) -> dict[str, float] | None:
        """Learned share of each layer, summing to 1; None for features of one layer."""
        if self.net.mix is None:
            return None
        shares = self.net.mix.weights.tolist()
        names = [str(part.layer) for part in self.readout.parts]
        if len(set(names)) < len(names):  # one layer, pooled in several ways
            names = [str(part) for part in self.readout.parts]
        if len(names) != len(shares):  # features that came without a readout
            names = [str(k) for k in range(len(shares))]
        return dict(zip(names, shares, strict=True))

    def _check_shape(self, x: NDArray[np.floating]) -> None:
        shape, need = x.shape[1:], self.net.shape
        fits = len(shape) == len(need) and all(
            n in (0, m)
            for n, m in zip(need, shape, strict=True)  # 0: any number of tokens
        )
        if not fits:
            needed = ", ".join("tokens" if n == 0 else str(n) for n in need)
            raise UsageError(
                f"features of shape {x.shape}, this probe needs (items, {needed}); pool them with "
                f"the readout {self.readout}"
            )

    def check(self, encoder: EncoderMark | Encoder) -> None:
        """Refuse features of another encoder.

        Raises:
            WeightsError: Another name, or other weights.
        """
        mark = encoder if isinstance(encoder, EncoderMark) else EncoderMark.of(encoder)
        if mark != self.encoder:
            raise WeightsError(
                f"this probe was fitted on {self.encoder}, found {mark}; its scores would mean "
                "nothing: use that encoder, or fit a probe on this one"
            )

    def save(self, folder: str | Path) -> None:
        """Write the probe as `dawnchorus.probes.files` says; an old one is replaced.

        Raises:
            WeightsError: The folder cannot be written.
        """
        write_files(Path(folder), self.net, self._description)

    def _description(self, weights_sha256: str) -> str:
        names = ("config", "classes", "trained", "multi_label", "encoder", "readout")
        described = ProbeDescription(
            weights_sha256=weights_sha256,
            shape=self.net.shape,
            calibration=self.calibration,
            thresholds=self.thresholds,
            notes=self.notes,
            **{name: getattr(self, name) for name in names},
        )
        return json.dumps(described.model_dump(mode="json"), indent=1, allow_nan=False)

    @classmethod
    def load(cls, folder: str | Path) -> FittedProbe:
        """Read a probe.

        Raises:
            UsageError: There is no probe in the folder.
            WeightsError: It is damaged, or its two files do not belong together.
        """
        description, net = read_files(Path(folder))
        names = [field.name for field in fields(cls) if field.name != "net"]
        return cls(net=net.eval(), **{name: getattr(description, name) for name in names})


def _check_finite(logits: NDArray[np.float64]) -> None:
    """Refuse scores that are not numbers: argmax would name the first class."""
    bad = np.flatnonzero(np.isnan(logits).any(axis=1))
    if len(bad):
        raise UsageError(
            f"features of {len(bad)} of {len(logits)} items are not finite, item {bad[0]} first; "
            "leave them out, or encode them again"
        )
