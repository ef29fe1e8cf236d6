"""A teacher that hears what the student hears: any encoder, at its own rate, in its own windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from dawnchorus.audio.polyphase import resample_batch
from dawnchorus.audio.resample import resampled_length
from dawnchorus.errors import TrainingError, UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.encoder import readout_for
from dawnchorus.models.load import load_model
from dawnchorus.objectives.distil import TeacherOutputs, TeacherSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.configs.distilling import DistilConfig
    from dawnchorus.configs.readout import Readout
    from dawnchorus.models.encoder import Encoder

TABLE: Final = "table"  # name of a teacher that is a table, where the recipe gives it none
TRIED_S: Final = 1.0  # of the sound that tells how wide a teacher's outputs are
ROUNDING: Final = 1  # samples by which a resampled window may be longer than the model's


@dataclass
class LiveTeacher:
    """An encoder in evaluation mode, and what of its outputs is taught.

    Attributes:
        name: of its losses.
        config: what the recipe says of it.
        encoder: moved to the device of the sound when it hears the first.
        readout: of its embedding, every pooling named.
        dim: of that.
        n_logits: 0 without a classifier.
    """

    name: str
    config: DistilConfig
    encoder: Encoder
    readout: Readout
    dim: int = 0
    n_logits: int = 0
    device: torch.device = torch.device("cpu")  # noqa: RUF009  immutable

    @property
    def spec(self) -> TeacherSpec:
        """What the student must know of it."""
        logits = self.config.logits_weight
        given = float(self.n_logits > 0) if logits is None else logits
        return TeacherSpec(
            name=self.name,
            dim=self.dim,
            n_logits=self.n_logits,
            embedding_weight=self.config.weight * self.config.embedding_weight,
            logits_weight=self.config.weight * given,
        )

    @property
    def facts(self) -> dict[str, Any]:
        """For the log, and to know on resuming whether it is the same."""
        return {
            "model": self.config.model,
            "weights_sha256": getattr(self.encoder, "weights_sha256", None),
            "rate": self.encoder.sample_rate,
            "window_s": self.encoder.window_s,
            "readout": str(self.readout),
            "dim": self.dim,
            "logits": self.n_logits,
        }

    def windows_note(self, crops_s: Sequence[float]) -> str | None:
        """What becomes of crops that are not as long as its window; None: all are."""
        window_s = self.encoder.window_s
        longer = [f"{s:g}" for s in crops_s if s > window_s]
        shorter = [f"{s:g}" for s in crops_s if s < window_s]
        notes = []
        if longer:
            notes.append(
                f"crops of {', '.join(longer)} s are heard in windows of {window_s:g} s, whose "
                "outputs are averaged"
            )
        if shorter:
            notes.append(f"crops of {', '.join(shorter)} s are shorter than its window")
        return f"teacher {self.name}: {'; '.join(notes)}" if notes else None

    @torch.inference_mode()
    def hear(self, waveforms: Tensor, lengths: Tensor, rate: int) -> TeacherOutputs:
        """Its outputs for a batch of the student's sound, on that sound's device.

        Args:
            waveforms: ``(batch, samples)``.
            lengths: ``(batch,)`` samples that hold sound; padding is not heard.
            rate: of the waveforms, in Hz.

        Raises:
            TrainingError: An output is not finite.
        """
        self._move(waveforms.device)
        sound = resample_batch(waveforms, rate, self.encoder.sample_rate)
        counts = [resampled_length(n, rate, self.encoder.sample_rate) for n in lengths.tolist()]
        windows, n_valid, owner = cut_windows(sound, counts, self._window_samples)
        embedding, logits = self._encode(windows, n_valid)
        return TeacherOutputs(
            embedding=_average(embedding, owner, len(waveforms)),
            logits=None if logits is None else _average(logits, owner, len(waveforms)),
        )

    @property
    def _window_samples(self) -> int:
        return round(self.encoder.window_s * self.encoder.sample_rate)

    def _encode(self, windows: Tensor, n_valid: Tensor) -> tuple[Tensor, Tensor | None]:
        half = self.config.precision == "bfloat16"
        # our own model has its weights in that precision, and a log-mel in float32
        cast = half and not isinstance(self.encoder, EAT)
        try:
            with torch.autocast(windows.device.type, torch.bfloat16, enabled=cast):
                out = self.encoder.encode(windows, n_valid, self.readout.layers)
                embedding = self.readout.pool(out)
        except UsageError as error:
            raise UsageError(f"teacher {self.name} ({self.config.model}): {error}") from error
        return embedding.float(), None if out.logits is None else out.logits.float()

    def _move(self, device: torch.device) -> None:
        if device == self.device:
            return
        # an encoder of another package need not be a module: it is asked for on that device
        if isinstance(self.encoder, nn.Module):
            self.encoder.to(device)
        else:
            self.encoder = _load(self.config, str(device))
        self.device = device


def open_teacher(config: DistilConfig) -> LiveTeacher:
    """Load a teacher, and let it hear something, which tells what it says.

    Raises:
        UsageError: There is no such model, it lacks a layer or logits that are asked for, or gives
            nothing that is asked for.
        TrainingError: Its outputs are not finite.
    """
    encoder = _load(config, "cpu")
    name = config.name or _plain(str(getattr(encoder, "name", config.model)))
    teacher = LiveTeacher(name, config, encoder, readout_for(encoder, config.readout))
    rate = encoder.sample_rate
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(1, round(TRIED_S * rate), generator=generator)
    said = teacher.hear(noise, torch.tensor([noise.shape[1]]), rate)
    check_finite(said, teacher.name, ["a second of noise"])
    teacher.dim = said.embedding.shape[1]
    teacher.n_logits = 0 if said.logits is None else said.logits.shape[1]
    if config.logits_weight and not teacher.n_logits:
        raise UsageError(
            f"teacher {name}: logits_weight is {config.logits_weight:g}, and {config.model} gives "
            "no logits; leave it out"
        )
    if not config.embedding_weight and not teacher.n_logits:
        raise UsageError(
            f"teacher {name}: {config.model} gives no logits, and embedding_weight is 0: there is "
            "nothing to learn from it"
        )
    return teacher


def _load(config: DistilConfig, device: str) -> Encoder:
    if config.model is None:  # the config has made sure
        raise UsageError("a live teacher needs model: NAME")
    try:
        encoder: Encoder = load_model(config.model, device=device, precision=config.precision)
    except UsageError as error:
        raise UsageError(f"teacher: {error}") from error
    if isinstance(encoder, nn.Module):
        encoder.eval().requires_grad_(requires_grad=False)
    return encoder


def _plain(name: str) -> str:
    """A name that tensors of a checkpoint may have."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)


def cut_windows(
    sound: Tensor, counts: Sequence[int], window: int
) -> tuple[Tensor, Tensor, list[int]]:
    """Windows that cover what each clip holds, evenly; a clip that fits into one is one.

    The windows of a longer clip are all whole and as many as needed; they overlap where its length
    is no multiple of theirs. They follow from the clip alone, not from how the batch is padded.

    Args:
        sound: ``(batch, samples)``.
        counts: samples of each clip that hold sound.
        window: samples of a window.

    Returns:
        ``(windows, samples)``, ``(windows,)`` samples that hold sound, and the clip of each.
    """
    width = min(sound.shape[1], window)
    pieces, n_valid, owner = [], [], []
    for clip, count in enumerate(counts):
        n = max(1, -(-(count - ROUNDING) // window))
        for i in range(n):
            start = i * (count - window) // (n - 1) if n > 1 else 0
            pieces.append(sound[clip, start : start + width])
            n_valid.append(min(count - start, width))
            owner.append(clip)
    return torch.stack(pieces), torch.tensor(n_valid, device=sound.device), owner


def _average(values: Tensor, owner: Sequence[int], n_clips: int) -> Tensor:
    """Mean over the windows of each clip; a window is a window, however they overlap."""
    if len(owner) == n_clips:
        return values
    index = torch.tensor(owner, device=values.device)
    sums = values.new_zeros(n_clips, values.shape[1]).index_add_(0, index, values)
    return sums / torch.bincount(index, minlength=n_clips)[:, None]


def check_finite(said: TeacherOutputs, name: str, clips: Sequence[str]) -> None:
    """Refuse what cannot be learned from.

    Raises:
        TrainingError: An output is NaN or infinite; the message names the teacher and the clips.
    """
    fine = said.embedding.isfinite().all(1)
    if said.logits is not None:
        fine = fine & said.logits.isfinite().all(1)
    if bool(fine.all()):
        return
    broken = [clip for clip, ok in zip(clips, fine.tolist(), strict=True) if not ok]
    raise TrainingError(
        f"teacher {name}: its outputs are NaN or infinite for {len(broken)} of {len(clips)} clips, "
        f"the first is {broken[0]}; try its precision: float32, or `dawnchorus verify`"
    )


def teacher_facts(teachers: Sequence[LiveTeacher], crops_s: Sequence[float]) -> dict[str, Any]:
    """For the log of a run: what each is, and what it hears of such crops; empty without any."""
    if not teachers:
        return {}
    notes = [note for teacher in teachers if (note := teacher.windows_note(crops_s))]
    return {"teachers": {t.name: t.facts for t in teachers}, "teacher_notes": notes}
