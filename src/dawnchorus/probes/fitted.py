"""A fitted probe: what it says of features, and how it lies on disk.

A folder holds ``probe.safetensors`` (numbers) and ``probe.json`` (everything else). A probe is
only right on features of the encoder it was fitted on, so it names that encoder and the SHA-256 of
its weights, and refuses any other.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from dawnchorus.errors import UsageError, WeightsError, shown
from dawnchorus.models.checkpoints import weights_sha256_of
from dawnchorus.models.readout import Readout
from dawnchorus.paths import sha256_of_file
from dawnchorus.probes.calibration import NEVER, Calibration, plain_probabilities
from dawnchorus.probes.description import DESCRIPTION, FORMAT, VERSION, read_description
from dawnchorus.probes.heads import Neighbours
from dawnchorus.probes.net import Net
from dawnchorus.probes.reading import read_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.configs import HeadConfig, Pooling
    from dawnchorus.models.encoder import Encoder, EncoderOutput
    from dawnchorus.probes.description import ProbeDescription
    from dawnchorus.probes.reading import FeatureKind

WEIGHTS: Final = "probe.safetensors"
MOST_PARTS: Final = 1024  # layers of a head, or of the encoder
BLOCK_ITEMS: Final = 1024  # scored at once
BLOCK_VALUES: Final = 1 << 22  # of their features; tokens are many


@dataclass(frozen=True, slots=True)
class EncoderMark:
    """Which encoder made some features.

    Attributes:
        name: as the encoder calls itself.
        weights_sha256: as stores name it, see `weights_sha256_of`.
    """

    name: str
    weights_sha256: str | None

    @classmethod
    def of(cls, encoder: Encoder) -> EncoderMark:
        """Of an encoder."""
        return cls(encoder.name, weights_sha256_of(encoder))


def net_logits(
    net: Net, x: NDArray[np.floating], keep: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Logits of a network ``(items, classes it was taught)``, in blocks, in evaluation mode."""
    device = net.mean.device
    was_training = net.training
    net.eval()
    found = []
    step = min(BLOCK_ITEMS, max(1, BLOCK_VALUES // max(1, math.prod(x.shape[1:]))))
    with torch.inference_mode():
        for start in range(0, len(x), step):
            block = slice(start, start + step)
            features = torch.from_numpy(np.ascontiguousarray(x[block])).to(device)
            kept = None if keep is None else torch.from_numpy(keep[block]).to(device)
            found.append(net(features, kept).double().cpu().numpy())
    net.train(was_training)
    return np.concatenate(found) if found else np.zeros((0, net.n_classes))


@dataclass(slots=True, kw_only=True)
class FittedProbe:
    """A probe that was fitted.

    Attributes:
        config: kind and size of its head.
        classes: names, in the order of the columns of `logits`.
        multi_label: whether an item may have any number of classes.
        encoder: whose features it reads.
        readout: which layers were read, as in `dawnchorus.models.readout`.
        pooling: of layers that name none.
        net: standardising and head, for the classes it was taught.
        taught: indices of those classes; the rest always score lowest.
        calibration: how logits become probabilities, None: as they are.
        thresholds: class to the probability from which it counts as present.
        notes: what was chosen and counted in fitting.
    """

    config: HeadConfig
    classes: tuple[str, ...]
    multi_label: bool
    encoder: EncoderMark
    readout: tuple[str, ...]
    pooling: str
    net: Net
    taught: tuple[int, ...]
    calibration: dict[str, Any] | None = None  # Any: plain JSON
    thresholds: dict[str, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)  # Any: plain JSON

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
        out = np.full((len(x), len(self.classes)), NEVER)
        out[:, list(self.taught)] = net_logits(self.net, x, keep)
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
        return Calibration.from_json(self.calibration).probabilities(logits)

    @property
    def kind(self) -> FeatureKind:
        """What shape of features it reads."""
        if self.net.reads_tokens:
            return "layer_tokens" if self.net.by_layer else "tokens"
        return "layers" if self.net.by_layer else "vectors"

    @property
    def layers(self) -> list[int | str]:
        """What its encoder is to be asked for."""
        return Readout.of(self.readout or None, cast("Pooling", self.pooling)).layers

    def read(self, out: EncoderOutput) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """Its features of a batch of windows: what `logits` takes.

        Args:
            out: of its encoder, asked for `layers`.
        """
        x, keep = read_features(out, self.readout, cast("Pooling", self.pooling), self.kind)
        return x.cpu().numpy(), None if keep is None else keep.cpu().numpy()

    @property
    def layer_weights(self) -> dict[str, float] | None:
        """Learned share of each layer, summing to 1; None for features of one layer."""
        if self.net.mix is None:
            return None
        shares = self.net.mix.weights.tolist()
        named = len(self.readout) == len(shares)
        names = self.readout if named else [str(k) for k in range(len(shares))]
        return dict(zip(names, shares, strict=True))

    def _check_shape(self, x: NDArray[np.floating]) -> None:
        found, need = x.shape[1:], self.net.shape
        fits = len(found) == len(need) and all(
            n in (0, m) for n, m in zip(need, found, strict=True)
        )
        if not fits:
            wanted = ", ".join("tokens" if n == 0 else str(n) for n in need)
            raise UsageError(
                f"features of shape {x.shape}, this probe needs (items, {wanted}); read them with "
                f"layers {', '.join(self.readout) or 'output'} and pooling {self.pooling or '-'}"
            )

    def check(self, encoder: EncoderMark | Encoder) -> None:
        """Refuse features of another encoder.

        Raises:
            WeightsError: Another name, or other weights.
        """
        found = encoder if isinstance(encoder, EncoderMark) else EncoderMark.of(encoder)
        if found != self.encoder:
            raise WeightsError(
                f"this probe was fitted on {_told(self.encoder)}, found {_told(found)}; its "
                f"scores would mean nothing: use that encoder, or fit a probe on this one"
            )

    def save(self, folder: str | Path) -> None:
        """Write the probe; each file is written beside its place and renamed.

        Raises:
            WeightsError: The folder cannot be written.
        """
        target = Path(folder)
        tensors = {n: value.contiguous() for n, value in self.net.state_dict().items()}
        try:
            target.mkdir(parents=True, exist_ok=True)
            unfinished = target / f".{WEIGHTS}"
            unfinished.write_bytes(save(tensors))
            text = json.dumps(
                self._description(sha256_of_file(unfinished)), indent=1, allow_nan=False
            )
            described = target / f".{DESCRIPTION}"
            described.write_text(text, encoding="utf-8")
            unfinished.replace(target / WEIGHTS)
            described.replace(target / DESCRIPTION)
        except (OSError, SafetensorError) as error:
            for name in (WEIGHTS, DESCRIPTION):
                with suppress(OSError):
                    (target / f".{name}").unlink(missing_ok=True)
            raise WeightsError(f"{target}: the probe cannot be written: {error}") from error

    def _description(self, sha256: str) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "weights_sha256": sha256,
            "config": self.config.model_dump(mode="json"),
            "shape": list(self.net.shape),
            "classes": list(self.classes),
            "taught": list(self.taught),
            "multi_label": self.multi_label,
            "encoder": asdict(self.encoder),
            "readout": list(self.readout),
            "pooling": self.pooling,
            "calibration": self.calibration,
            "thresholds": self.thresholds,
            "notes": self.notes,
        }

    @classmethod
    def load(cls, folder: str | Path) -> FittedProbe:
        """Read a probe.

        Raises:
            UsageError: There is no probe in the folder.
            WeightsError: It is damaged, or its two files do not belong together.
        """
        source = Path(folder)
        told = read_description(source)
        weights = source / WEIGHTS
        try:
            if sha256_of_file(weights) != told.weights_sha256:
                raise WeightsError(
                    f"{source}: {WEIGHTS} is not the file that {DESCRIPTION} was written with; "
                    f"copy the folder whole, or fit the probe again"
                )
            tensors = load_file(weights)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{weights}: not a whole file: {error}") from error
        return cls(
            config=told.config,
            classes=told.classes,
            multi_label=told.multi_label,
            encoder=EncoderMark(told.encoder.name, told.encoder.weights_sha256),
            readout=told.readout,
            pooling=told.pooling,
            net=_filled(told, tensors, weights).eval(),
            taught=told.taught,
            calibration=told.calibration,
            thresholds=told.thresholds,
            notes=told.notes,
        )


def _check_finite(logits: NDArray[np.float64]) -> None:
    """Refuse scores that are no numbers: the first class would pass for the highest."""
    bad = np.flatnonzero(np.isnan(logits).any(axis=1))
    if len(bad):
        raise UsageError(
            f"features of {len(bad)} of {len(logits)} items are not finite, item {bad[0]} first; "
            "leave them out, or encode them again"
        )


def _told(mark: EncoderMark) -> str:
    sha256 = mark.weights_sha256
    return f"{mark.name} with {'unknown weights' if sha256 is None else 'weights ' + sha256[:12]}"


def _filled(told: ProbeDescription, tensors: dict[str, torch.Tensor], where: Path) -> Net:
    """The net that a description says, with the tensors of its file."""
    config = told.config
    parts = (
        config.num_layers,
        len(config.hidden_dims),
        told.shape[0] if len(told.shape) > 1 else 0,
    )
    if max(parts) > MOST_PARTS:
        raise WeightsError(f"{where}: layers {parts}, a probe has at most {MOST_PARTS}")
    try:
        with torch.device("meta"):  # no memory is taken for what the file may not hold
            net = Net(config, told.shape, len(told.taught))
    except UsageError as error:
        raise WeightsError(f"{where}: {error}") from error
    if isinstance(net.head, Neighbours) and "head.bank" in tensors:
        n_items = len(tensors["head.bank"]) if tensors["head.bank"].ndim else 0
        net.head.bank = torch.zeros(n_items, told.shape[-1], device="meta")
        net.head.labels = torch.zeros(n_items, net.n_classes, device="meta")
    _fill(net, tensors, where)
    return net


def _fill(net: Net, tensors: dict[str, torch.Tensor], where: Path) -> None:
    have = {name: tuple(value.shape) for name, value in tensors.items()}
    want = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    wrong = sorted(n for n in have.keys() | want.keys() if have.get(n) != want.get(n))
    if wrong:
        raise WeightsError(
            f"{where}: {len(wrong)} tensors missing, unknown or reshaped: {shown(wrong)}"
        )
    _check_numbers(net, tensors, where)
    # a probe solved in float64 is kept in float64
    net.load_state_dict(tensors, assign=True)


def _check_numbers(net: Net, tensors: dict[str, torch.Tensor], where: Path) -> None:
    for name, wanted in net.state_dict().items():
        value = tensors[name]
        if value.is_floating_point() != wanted.is_floating_point() or value.is_complex():
            raise WeightsError(f"{where}: {name} holds {value.dtype}, need {wanted.dtype}")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{where}: {name} holds values that are not numbers")
    if not bool((tensors["scale"] > 0).all()):
        raise WeightsError(f"{where}: scale: features are divided by numbers above 0")
    if isinstance(net.head, Neighbours):
        k, n_items = int(tensors["head.k"]), len(tensors["head.bank"])
        if not 1 <= k <= n_items:
            raise WeightsError(f"{where}: looks for {k} neighbours among {n_items} items")
