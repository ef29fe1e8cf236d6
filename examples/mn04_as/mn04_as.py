"""EfficientAT's mn04_as, a small AudioSet model, as an encoder that dawnchorus can load.

A plugin of one file: a package that offers a function of the device under the entry point group
``dawnchorus.encoders`` can be named wherever a model's name is expected. This one teaches well on a
CPU: a million parameters, embeddings of 384 numbers, 527 classes.

The weights are not here. ``MN04_AS_WEIGHTS`` names the file ``mn04_as_mAP_432.pt`` of
https://github.com/fschmid56/EfficientAT (MIT licence).

Source: Schmid, Koutini and Widmer, Efficient large-scale audio tagging via transformer-to-CNN
knowledge distillation, ICASSP 2023; the network is MobileNetV3 (Howard et al., ICCV 2019).
"""

from __future__ import annotations

import csv
import functools
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.models.encoder import EncoderFacts, EncoderOutput
from dawnchorus.models.torch_files import read_torch
from dawnchorus.paths import sha256_of_file

if TYPE_CHECKING:
    from collections.abc import Sequence

WEIGHTS: Final = "MN04_AS_WEIGHTS"  # environment: the file of weights
CLASSES: Final = "audioset_classes.csv"  # beside it, if its classes are to have names
RATE: Final = 32_000  # Hz
WINDOW_S: Final = 10.0  # of AudioSet's clips; it pools over time, so any length goes
LEAST_S: Final = 1.0  # shorter clips are padded with silence to this
N_FFT, FRAME, HOP = 1024, 800, 320  # samples
N_BANDS, LOWEST_HZ, HIGHEST_HZ = 128, 0.0, 15_000.0
PREEMPHASIS: Final = 0.97
FLOOR: Final = 1e-5
SHIFT, SCALE = 4.5, 5.0  # of the log-mel
STRIDE: Final = 32  # frames and bands of one token
AT_ONCE: Final = 8  # clips whose maps stay in a processor's cache: half the time of 40
NORM: Final = {"eps": 0.001, "momentum": 0.01}

# kernel, expanded width, width, squeeze width (0: none), activation, stride; at width 0.4
BLOCKS: Final = (
    (3, 8, 8, 0, nn.ReLU, 1),
    (3, 24, 16, 0, nn.ReLU, 2),
    (3, 32, 16, 0, nn.ReLU, 1),
    (5, 32, 16, 8, nn.ReLU, 2),
    (5, 48, 16, 16, nn.ReLU, 1),
    (5, 48, 16, 16, nn.ReLU, 1),
    (3, 96, 32, 0, nn.Hardswish, 2),
    (3, 80, 32, 0, nn.Hardswish, 1),
    (3, 72, 32, 0, nn.Hardswish, 1),
    (3, 72, 32, 0, nn.Hardswish, 1),
    (3, 192, 48, 48, nn.Hardswish, 1),
    (3, 272, 48, 72, nn.Hardswish, 1),
    (5, 272, 64, 72, nn.Hardswish, 2),
    (5, 384, 64, 96, nn.Hardswish, 1),
    (5, 384, 64, 96, nn.Hardswish, 1),
)
STEM, DIM, HIDDEN, N_CLASSES = 8, 384, 512, 527


class Squeeze(nn.Module):
    """What each channel counts, from its mean over the whole map."""

    def __init__(self, width: int, squeezed: int) -> None:
        """``squeezed``: width of the layer between."""
        super().__init__()
        self.fc1 = nn.Linear(width, squeezed)
        self.fc2 = nn.Linear(squeezed, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, width, bands, steps)``, the shape stays."""
        share = self.fc2(functional.relu(self.fc1(x.mean(dim=(2, 3))))).sigmoid()
        return x * share[:, :, None, None]


class Squeezes(nn.Module):
    """One `Squeeze`, under the name that the published weights have for it."""

    def __init__(self, width: int, squeezed: int) -> None:
        """As `Squeeze`."""
        super().__init__()
        self.conc_se_layers = nn.ModuleList([Squeeze(width, squeezed)])

    def forward(self, x: Tensor) -> Tensor:
        """As `Squeeze`."""
        out: Tensor = self.conc_se_layers[0](x)
        return out


class Bottleneck(nn.Module):
    """Widen, convolve each channel by itself, weigh the channels, narrow again."""

    def __init__(
        self, width_in: int, block: tuple[int, int, int, int, type[nn.Module], int]
    ) -> None:
        """``block``: a row of `BLOCKS`."""
        super().__init__()
        kernel, wide, width, squeezed, activation, stride = block
        layers: list[nn.Module] = []
        if wide != width_in:
            layers.append(convolved(width_in, wide, activation=activation))
        layers.append(
            convolved(wide, wide, kernel=kernel, stride=stride, groups=wide, activation=activation)
        )
        if squeezed:
            layers.append(Squeezes(wide, squeezed))
        layers.append(convolved(wide, width))
        self.block = nn.Sequential(*layers)
        self.is_residual = stride == 1 and width == width_in

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, width_in, bands, steps)`` to the block's width."""
        out: Tensor = self.block(x)
        return x + out if self.is_residual else out


def convolved(
    width_in: int,
    width: int,
    *,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = None,
) -> nn.Sequential:
    """Convolution, batch norm and, if there is one, an activation."""
    convolution = nn.Conv2d(
        width_in, width, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False
    )
    layers: list[nn.Module] = [convolution, nn.BatchNorm2d(width, **NORM)]
    return nn.Sequential(*layers, *([] if activation is None else [activation()]))


class MobileNet(nn.Module):
    """The network as published: a map of features, and logits of its mean."""

    def __init__(self) -> None:
        """Fresh weights."""
        super().__init__()
        widths = [STEM, *(block[2] for block in BLOCKS)]
        self.features = nn.Sequential(
            convolved(1, STEM, kernel=3, stride=2, activation=nn.Hardswish),
            *(Bottleneck(width, block) for width, block in zip(widths, BLOCKS, strict=False)),
            convolved(widths[-1], DIM, activation=nn.Hardswish),
        )
        # numbers of the published layers: pooling and flattening stood before the first
        self.classifier = nn.ModuleDict(
            {"2": nn.Linear(DIM, HIDDEN), "5": nn.Linear(HIDDEN, N_CLASSES)}
        )

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel ``(batch, bands, frames)`` to a map ``(batch, DIM, rows, steps)`` and logits."""
        features = self.features(log_mel[:, None])
        hidden = functional.hardswish(self.classifier["2"](features.mean(dim=(2, 3))))
        return features, self.classifier["5"](hidden)


class MN04AS(nn.Module):
    """The network with its front end, as dawnchorus asks for it (`dawnchorus.Encoder`)."""

    name = "mn04_as"
    sample_rate = RATE
    window_s = WINDOW_S
    dim = DIM
    n_layers = 1  # maps of the blocks before have other sizes than the output

    def __init__(self, labels: Sequence[str] | None = None, sha256: str | None = None) -> None:
        """Fresh weights; ``labels`` name the classes, ``sha256`` is that of the weights' file."""
        super().__init__()
        self.network = MobileNet()
        self.labels = list(labels) if labels else [f"audioset_{i}" for i in range(N_CLASSES)]
        self.weights_sha256 = sha256
        self.licence = "MIT"

    @property
    def facts(self) -> EncoderFacts:
        """It computes a clip at its own length, so that padding changes nothing."""
        return EncoderFacts(
            settings={"least_s": LEAST_S}, logits_ignore_padding=True, copies_share_weights=True
        )

    def encode(
        self,
        waveforms: Tensor,
        lengths: Tensor | None = None,
        layers: Sequence[int | str] | None = None,
    ) -> EncoderOutput:
        """Tokens of 32 frames by 32 bands, their mean the published embedding, and logits.

        Args:
            waveforms: ``(batch, samples)`` at 32 kHz.
            lengths: ``(batch,)`` samples that hold sound.
            layers: 0 or -1, which are the output.

        Raises:
            UsageError: A layer that it does not have is asked for.
        """
        unknown = [layer for layer in layers or () if layer not in {0, -1}]
        if unknown:
            raise UsageError(f"{self.name}: no layer {unknown[0]!r}; it gives its output only")
        n_samples = waveforms.shape[1]
        counts = [n_samples] * len(waveforms) if lengths is None else lengths.tolist()
        # padding would change every channel's weight: clips of one length are computed together
        least = round(LEAST_S * RATE)
        n_steps = -(-n_frames(max(n_samples, least)) // STRIDE)
        tokens = waveforms.new_zeros(len(counts), n_steps, N_BANDS // STRIDE, DIM)
        has_signal = torch.zeros(tokens.shape[:3], dtype=torch.bool, device=waveforms.device)
        logits = waveforms.new_zeros(len(counts), N_CLASSES)
        for count in sorted({max(count, least) for count in counts}):
            rows = [row for row, n in enumerate(counts) if max(n, least) == count]
            for first in range(0, len(rows), AT_ONCE):
                some = rows[first : first + AT_ONCE]
                features, scores = self.network(log_mel(_padded(waveforms, some, counts, count)))
                steps = features.shape[3]
                tokens[some, :steps] = features.permute(0, 3, 2, 1).to(tokens.dtype)
                has_signal[some, :steps] = True
                logits[some] = scores.to(logits.dtype)
        flat = tokens.flatten(1, 2)
        time_span_s, band_span = spans(n_steps)
        return EncoderOutput(
            tokens=flat,
            layers=dict.fromkeys(layers or (), flat),
            time_span_s=time_span_s,
            band_span=band_span,
            has_signal=has_signal.flatten(1),
            logits=logits,
            n_cls=0,
            padding_counts=False,
        )


def _padded(waveforms: Tensor, rows: list[int], counts: list[int], length: int) -> Tensor:
    """Clips of one length, those that are shorter than any with silence behind them."""
    width = min(length, waveforms.shape[1])
    clips = functional.pad(waveforms[rows, :width], (0, length - width))
    held = torch.tensor([counts[row] for row in rows], device=waveforms.device)
    silent = torch.arange(length, device=waveforms.device) >= held[:, None]
    return clips.masked_fill(silent, 0.0)


def n_frames(n_samples: int) -> int:
    """Frames of a clip, centred: pre-emphasis takes one sample."""
    return 1 + (n_samples - 1) // HOP


def spans(n_steps: int) -> tuple[Tensor, Tensor]:
    """Seconds and bands that each token covers, ``(tokens, 2)`` each."""
    rows = N_BANDS // STRIDE
    step = torch.arange(n_steps).repeat_interleave(rows)
    band = torch.arange(rows).repeat(n_steps)
    seconds = STRIDE * HOP / RATE
    return torch.stack([step, step + 1], 1) * seconds, torch.stack([band, band + 1], 1) * STRIDE


def log_mel(waveforms: Tensor) -> Tensor:
    """Log-mel of its training, ``(batch, samples)`` to ``(batch, bands, frames)``."""
    window, bank = _window_and_bank(waveforms.device)
    # in bfloat16 the log-mel would be off by more than the model forgives
    with torch.autocast(waveforms.device.type, enabled=False):
        emphasised = waveforms[:, 1:].float() - PREEMPHASIS * waveforms[:, :-1].float()
        spectrum = torch.stft(
            emphasised, N_FFT, HOP, FRAME, window, center=True, return_complex=True
        )
        # not the sum over an axis of two, which takes as long as the transform
        power = spectrum.real.square().add_(spectrum.imag.square())
        return ((bank @ power + FLOOR).log() + SHIFT) / SCALE


@functools.cache
@torch.inference_mode(mode=False)
def _window_and_bank(device: torch.device) -> tuple[Tensor, Tensor]:
    """Symmetric Hann window ``(800,)`` and Kaldi's mel bank ``(128, 513)``."""
    window = torch.hann_window(FRAME, periodic=False, dtype=torch.float64)
    low, high = (1127.0 * math.log1p(hz / 700.0) for hz in (LOWEST_HZ, HIGHEST_HZ))
    width = (high - low) / (N_BANDS + 1)
    left = low + width * torch.arange(N_BANDS, dtype=torch.float64)[:, None]
    bins = 1127.0 * torch.log1p(torch.arange(N_FFT // 2, dtype=torch.float64) * RATE / N_FFT / 700)
    bank = torch.minimum((bins - left) / width, (left + 2 * width - bins) / width).clamp_min(0)
    bank = functional.pad(bank, (0, 1))  # the bin of the Nyquist rate belongs to no band
    return window.to(device, torch.float32), bank.to(device, torch.float32)


def load(device: str = "cpu") -> MN04AS:
    """The entry point: the encoder with the weights that ``MN04_AS_WEIGHTS`` names.

    Raises:
        UsageError: The variable is not set, or names no file.
        WeightsError: The weights are not those of this network.
    """
    given = os.environ.get(WEIGHTS)
    if not given or not Path(given).is_file():
        raise UsageError(
            f"mn04_as: {WEIGHTS} is {given!r}; need the path of mn04_as_mAP_432.pt, which "
            "https://github.com/fschmid56/EfficientAT publishes under its releases"
        )
    path = Path(given)
    encoder = MN04AS(read_classes(path.with_name(CLASSES)), sha256_of_file(path))
    fill(encoder.network, read_torch(path), str(path))
    fold_norms(encoder.network.eval())
    return encoder.to(device, memory_format=torch.channels_last).eval()


def fill(network: nn.Module, tensors: object, named: str) -> None:
    """Take weights, all of them and no others.

    Raises:
        WeightsError: A tensor is missing, unknown, or of another shape.
    """
    have = tensors if isinstance(tensors, dict) else {}
    wanted = network.state_dict()
    wrong = sorted(
        key
        for key in have.keys() | wanted.keys()
        if getattr(have.get(key), "shape", None) != getattr(wanted.get(key), "shape", ())
    )
    if wrong:
        raise WeightsError(
            f"{named}: {len(wrong)} tensors are missing, unknown or of another shape than "
            f"mn04_as has, such as {wrong[:3]}"
        )
    network.load_state_dict(have)


def fold_norms(network: nn.Module) -> None:
    """Each batch norm into the convolution before it: in evaluation it is a factor and a shift."""
    for layers in [part for part in network.modules() if isinstance(part, nn.Sequential)]:
        for place, layer in enumerate(layers):
            if isinstance(layer, nn.BatchNorm2d):
                layers[place - 1] = fuse_conv_bn_eval(layers[place - 1], layer)
                layers[place] = nn.Identity()


def read_classes(path: Path) -> list[str] | None:
    """Names of the classes, in order; None without their table."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    if len(names) != N_CLASSES:
        raise UsageError(f"{path}: {len(names)} classes, need {N_CLASSES}")
    return names
