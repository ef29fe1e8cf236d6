"""What a GPU has to give: the golden tensors, the CPU's frontend, masks, losses, store and resume.

One function a promise. Each takes the device and an empty folder, checks by assertions, and returns
the figures that it looked at. `tests/gpu` runs them where CUDA is, `benchmarks/gpu.py` on a machine
that has nothing but torch and a few wheels, so nothing here needs pytest.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

import originals
from dawnchorus import Store, embed, load_model
from dawnchorus.audio import frontend
from dawnchorus.configs import DataConfig, PretrainConfig, TrainConfig
from dawnchorus.engine.encoding.batches import BatchEncoder
from dawnchorus.errors import RunInterruptedError
from dawnchorus.models.build import fill
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.layouts import map_names
from dawnchorus.nn import draws
from dawnchorus.nn.decoder import Decoder
from dawnchorus.nn.masking import MaskShape, inverse_block_masks
from dawnchorus.objectives.classify import ClassifyObjective, ClassifyWeights
from dawnchorus.objectives.eat import EATObjective, EATOptions
from dawnchorus.recipes.pretrain import build_objective
from dawnchorus.training import loop
from dawnchorus.training.optimizer import gradient_norm, make_optimizer
from toy_training import Toy, ToyBatch, run_in, steps_of

_ENCODERS: dict[str, EAT] = {}
Promise = Callable[[torch.device, Path], dict[str, float]]
SIZES = {"base": (768, 12), "small": (384, 4)}
TONES = {"chirp_10s", "tone440_1s", "dc_4s", "am_tone_10s", "impulse_2s"}
DECODER = "modality_encoders.IMAGE.decoder."
PARITY = {"float32": 0.99999, "bfloat16": 0.999}  # cosine of embeddings, DESIGN section 11
N_TOY_STEPS, STOP_AT = 12, 5


@contextmanager
def exact() -> Iterator[None]:
    """Float32 is float32: matrix products and convolutions without TF32."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def cosine(ours: Tensor, theirs: Tensor) -> float:
    """The smallest of all rows."""
    one, other = (x.detach().double().cpu().flatten(1) for x in (ours, theirs))
    return float(torch.nn.functional.cosine_similarity(one, other).min())


def apart(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference."""
    return float((ours.detach().double().cpu() - theirs.detach().double().cpu()).abs().max())


def original_encoder(size: str, folder: Path) -> EAT:
    """The original's weights in our encoder, through the real loader, on the CPU; a copy each."""
    if size not in _ENCODERS:
        dim, n_blocks = SIZES[size]
        shapes = originals.smaller(originals.layout("i_avex_supervised_safetensors"), dim, n_blocks)
        weights = originals.weights(shapes)
        written = originals.write_model(weights, folder / size, dim=dim, n_blocks=n_blocks)
        model = load_model(written, device="cpu")
        assert isinstance(model, EAT)
        _ENCODERS[size] = model  # making their numbers takes longer than all else here
    return deepcopy(_ENCODERS[size])


def golden_frontend(device: torch.device, folder: Path) -> dict[str, float]:
    """Log-mels are the original's, and nearly the CPU's."""
    del folder
    golden, worst, from_cpu = originals.arrays("frontend"), 0.0, 0.0
    for case in originals.LENGTHS:
        waveform = originals.wave(case)
        found = frontend.log_mel(waveform.to(device))[0].cpu()
        tonal = case in TONES
        off = apart(
            found[golden[f"{case}/frames"].tolist()], torch.from_numpy(golden[f"{case}/logmel"])
        )
        assert off <= (6e-2 if tonal else 5e-3), (case, off)
        worst = max(worst, off if not tonal else 0.0)
        from_cpu = max(from_cpu, float((found - frontend.log_mel(waveform)[0]).abs().mean()))
    assert from_cpu < 1e-3, from_cpu
    return {"largest difference": worst, "largest mean difference from the CPU": from_cpu}


def golden_float32(device: torch.device, folder: Path) -> dict[str, float]:
    """Tokens, embeddings and logits are the original's in float32."""
    worst = 0.0
    for size in SIZES:
        model, want = original_encoder(size, folder).to(device), originals.arrays(f"encoder_{size}")
        for case in ("noise_10s", "noise_3s", "short_0.1s"):
            prefix = f"{size}/{case}"
            if f"{prefix}/final_tokens" not in want:
                continue
            with torch.no_grad(), exact():
                out = model.encode(originals.wave(case))
            tokens = out.tokens[:, list(originals.TOK)]
            originals.near(tokens, want[f"{prefix}/final_tokens"], atol=1e-4)
            originals.near(out.pool("mean"), want[f"{prefix}/mean_all513"], atol=5e-5)
            originals.near(out.logits, want[f"{prefix}/logits"], atol=5e-5)
            worst = max(worst, apart(tokens, torch.from_numpy(want[f"{prefix}/final_tokens"])))
    return {"largest difference of a token": worst}


def golden_bfloat16(device: torch.device, folder: Path) -> dict[str, float]:
    """With bfloat16 weights, embeddings point where the original's do."""
    found: dict[str, float] = {}
    for size in SIZES:
        model = original_encoder(size, folder).to(device, torch.bfloat16)
        want = originals.arrays(f"encoder_{size}")
        with torch.no_grad():
            pooled = model.encode(originals.wave("noise_10s")).pool("mean")
        found[f"cosine, {size}"] = cosine(
            pooled, torch.from_numpy(want[f"{size}/noise_10s/mean_all513"])
        )
        assert found[f"cosine, {size}"] >= PARITY["bfloat16"], found
    return found


def masks_and_noise(device: torch.device, folder: Path) -> dict[str, float]:
    """Masks are the CPU's to the last patch, noise to the last digits."""
    del folder
    rows = torch.arange(64)
    keys = {where: draws.row_keys(3, 17, 1, rows.to(where)) for where in ("cpu", str(device))}
    kept = [inverse_block_masks(k, 64, 8, MaskShape()).cpu() for k in keys.values()]
    assert torch.equal(kept[0], kept[-1])
    noise = [draws.normal(k, 5000).cpu() for k in keys.values()]
    off = apart(noise[0], noise[-1])
    assert off < 1e-5, off
    return {"largest difference of the noise": off}


def original_objective(size: str = "small") -> EATObjective:
    """The original's student, teacher and decoder."""
    dim, n_layers = SIZES[size]
    model = EAT(EATConfig(dim=dim, n_layers=n_layers, n_heads=dim // 64))
    decoder = Decoder(dim, n_layers=6, kernel=3, width=dim, n_groups=16)
    options = EATOptions(n_clones=4, utterance_reduction="sum")
    objective = EATObjective(model, decoder, options, seed=0)
    shapes = originals.smaller(originals.layout("ii_ssl_only_safetensors"), dim, n_layers)
    for module, prefix in ((model, ""), (objective.teacher, "_ema.")):
        weights = {
            key: originals.tensor(prefix + key, shape)
            for key, shape in shapes.items()
            if ".decoder." not in key
        }
        names, _ = map_names(weights, size)
        fill(module, {ours: weights[theirs] for ours, theirs in names.items()}, size)
    objective.teacher.requires_grad_(requires_grad=False)
    decoder.load_state_dict(
        {
            key: originals.tensor(DECODER + key.replace(".conv.", ".0."), tuple(value.shape))
            for key, value in decoder.state_dict().items()
        }
    )
    return objective


def golden_losses(device: torch.device, folder: Path) -> dict[str, float]:
    """Losses of pretraining and their gradient's norm are the original's."""
    del folder
    case = "small_nonoise"
    want, facts = originals.arrays("pretrain_small"), originals.facts("pretrain_small")[case]
    objective = original_objective().to(device)
    waves = torch.cat([originals.wave("noise_10s"), originals.wave("chirp_10s")]).to(device)
    energies = frontend.fit_frames(frontend.log_mel(waves), 1024)
    features = frontend.normalise(energies, *originals.NORMALIZATION)
    kept = torch.from_numpy(want[f"{case}/ids_keep"].astype(np.int64)).to(device)
    with exact():
        targets = objective.targets(features)
        clones = objective.clones(features, kept, torch.zeros(8, 512, 384, device=device))
        losses = objective.losses(clones, targets, kept)
        losses["loss"].backward()
        norm = gradient_norm(objective, None)
    wanted = facts["total_over_sample_size"]
    off = abs(losses["loss"].item() / wanted - 1)
    step = originals.facts("pretrain_step")
    norm_off = abs(float(norm) / step["grad_norm_before_clip"] - 1)
    assert off < 1e-4, off
    assert norm_off < 1e-3, norm_off
    return {"loss, relative": off, "gradient norm, relative": norm_off}


def losses_are_the_cpus(device: torch.device, folder: Path) -> dict[str, float]:
    """Three steps of both kinds of training from the same seed lose what the CPU loses."""
    del folder
    found = {}
    for kind, make in (("pretraining", _pretraining), ("post-training", _posttraining)):
        with exact():
            cpu, ours = (_three_losses(*make(), where) for where in (torch.device("cpu"), device))
        found[kind] = max(abs(a / b - 1) for a, b in zip(ours, cpu, strict=True))
        assert found[kind] < 1e-3, (kind, ours, cpu)
    return found


Losses = Callable[[Any, torch.device, int], Tensor]


def _three_losses(module: Any, losses: Losses, device: torch.device) -> list[float]:
    module.to(device).train()
    config = TrainConfig(name="x", steps=3, learning_rate=1e-3, data=DataConfig(root="."))
    optimizer = make_optimizer(module, config)
    found = []
    for step in range(3):
        optimizer.zero_grad()
        loss = losses(module, device, step)
        loss.backward()
        gradient_norm(module, 1.0)
        optimizer.step()
        found.append(loss.item())
    return found


def _sound() -> Tensor:
    return 0.1 * torch.randn(4, 32_000, generator=torch.Generator().manual_seed(5))


def _pretraining() -> tuple[EATObjective, Losses]:
    config = PretrainConfig(
        name="x", steps=3, learning_rate=1e-3, n_clones=4, window_s=2.0, data={"root": "."}
    )

    def losses(module: Any, device: torch.device, step: int) -> Tensor:
        parts = module(_sound().to(device), torch.full((4,), 32_000), step=step)
        loss: Tensor = parts["loss"]
        return loss

    return build_objective(config), losses


def _posttraining() -> tuple[ClassifyObjective, Losses]:
    torch.manual_seed(0)
    shape = EATConfig.of_size(
        "tiny", n_classes=7, window_s=2.0, padded_frames=None, stored_positions=False
    )
    model = EAT(shape, labels=[str(n) for n in range(7)])
    targets = (torch.arange(28).reshape(4, 7) % 3 == 0).float()

    def losses(module: Any, device: torch.device, step: int) -> Tensor:
        del step
        lengths = torch.tensor([32_000, 32_000, 20_000, 9_000])
        parts = module(_sound().to(device), lengths, targets.to(device))
        loss: Tensor = parts["loss"]
        return loss

    return ClassifyObjective(model, weights=ClassifyWeights()), losses


class Greedy(EAT):
    """A model that asks for more memory than there is when it gets many windows."""

    holds = 3

    def features(self, waveforms: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As ever, after having asked."""
        if len(waveforms) > self.holds:
            if waveforms.device.type == "cpu":
                raise torch.OutOfMemoryError("a CPU is ended instead")
            total = torch.cuda.get_device_properties(waveforms.device).total_memory
            torch.empty(2 * total, dtype=torch.uint8, device=waveforms.device)
        return super().features(waveforms, lengths)


def out_of_memory_halves(device: torch.device, folder: Path) -> dict[str, float]:
    """A batch that does not fit is halved until it does, and gives what smaller ones give."""
    del folder
    torch.manual_seed(0)
    shape = EATConfig.of_size("tiny", window_s=2.0, padded_frames=None, stored_positions=False)
    model = Greedy(shape, name="greedy").eval().to(device)
    waveforms = 0.1 * torch.randn(13, 32_000, generator=torch.Generator().manual_seed(1))
    lengths = torch.full((13,), 32_000)
    greedy = BatchEncoder(model, n_workers=2)
    found = greedy.vectors(waveforms, lengths)
    assert greedy.notes == [
        "out of memory with 13 windows at once: continued with 6",
        "out of memory with 6 windows at once: continued with 3",
    ], greedy.notes
    model.holds = 99
    whole = BatchEncoder(model).vectors(waveforms, lengths)
    off = float(np.abs(found - whole).max())
    assert off < 1e-3, off
    return {"largest difference": off}


def make_recordings(folder: Path, n_files: int = 9) -> Path:
    """Some recordings of different lengths, of which no window sounds like another."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n_files):
        rng = np.random.default_rng(number)
        seconds = (0.3, 4.0, 11.5, 23.0)[number % 4]
        time_s = np.arange(round(16_000 * seconds)) / 16_000
        tone = 0.3 * np.sin(2 * np.pi * (300 + 150 * number + 100 * time_s) * time_s)
        noise = 0.02 * rng.standard_normal(len(time_s))
        soundfile.write(folder / f"{number}.wav", (tone + noise).astype(np.float32), 16_000)
    return folder


def the_store_is_the_cpus(device: torch.device, folder: Path) -> dict[str, float]:
    """`embed` writes the CPU's windows, and its vectors within the gate, in order."""
    sounds = make_recordings(folder / "sounds")
    stores = {}
    with exact():
        for where in ("cpu", str(device)):
            for precision in ("float32", "bfloat16"):
                name = f"{where.replace(':', '-')}-{precision}"
                path = folder / ("here" if where == "cpu" else "there") / f"{name}.store"
                embed(
                    sounds, store=path, device=where, precision=precision, dtype="float32",
                    batch_size=5,
                )  # fmt: skip
                stores[where, precision] = Store(path).read()
    vectors, windows = stores["cpu", "float32"]
    same = [c for c in ("path", "window", "start_s", "stop_s") if c in windows.column_names]
    found = {}
    for precision, least in PARITY.items():
        ours, table = stores[str(device), precision]
        assert table.select(same).equals(windows.select(same))
        found[f"cosine, {precision}"] = cosine(torch.from_numpy(ours), torch.from_numpy(vectors))
        assert found[f"cosine, {precision}"] >= least, found
    return found


class ToyOn(Toy):
    """The toy, whose rows go to a device."""

    def __init__(self, device: torch.device, **options: Any) -> None:
        super().__init__(**options)
        self.device = device

    def losses(self, module: Any, batch: ToyBatch) -> dict[str, Tensor]:
        """Of rows on the device."""
        step, numbers, x = batch
        return super().losses(module, (step, numbers, x.to(self.device, non_blocking=True)))


def a_run_resumes_elsewhere(device: torch.device, folder: Path) -> dict[str, float]:
    """A run that was begun on one device ends on the other as if it had never moved."""
    loop.draw_curves = lambda *_: None  # takes a second
    cpu, found = torch.device("cpu"), {}
    whole, _ = run_in(folder / "whole", ToyOn(cpu))
    wanted = np.array([loss for _, loss in steps_of(whole, "loss")])
    for name, (first, then) in {"to the CPU": (device, cpu), "from it": (cpu, device)}.items():
        place = folder / name.replace(" ", "-")
        handler = signal.getsignal(signal.SIGINT)
        try:
            run_in(place, ToyOn(first, stop_at=STOP_AT), device=str(first))
            raise AssertionError("was not stopped")
        except RunInterruptedError:
            pass
        assert signal.getsignal(signal.SIGINT) is handler
        run, state = run_in(place, ToyOn(then), device=str(then))
        assert state["step"] == N_TOY_STEPS
        losses = np.array([loss for _, loss in steps_of(run, "loss")])
        assert losses.shape == wanted.shape
        found[name] = float(np.abs(losses / wanted - 1).max())
        assert found[name] < 1e-4, (name, losses, wanted)
    return found


def a_broken_step_changes_nothing(device: torch.device, folder: Path) -> dict[str, float]:
    """Steps whose loss is no number are skipped on the device, and counted when they are read."""
    loop.draw_curves = lambda *_: None
    cpu, toys, states = torch.device("cpu"), [], []
    for where in (cpu, device):
        toy = ToyOn(where, broken=range(3, 6), broken_row=2)
        _, state = run_in(folder / f"broken-{len(toys)}", toy, device=str(where), log_every=100)
        toys.append(toy)
        states.append(state)
    assert states[0] == states[1] | {"best": states[0]["best"]}, states
    assert states[1]["skipped"] == 3
    pairs = zip(*(toy.module.parameters() for toy in toys), strict=True)
    off = max(apart(ours, theirs) for theirs, ours in pairs)
    assert off < 1e-5, off
    return {"largest difference of a weight": off}


PROMISES: tuple[Promise, ...] = (
    golden_frontend,
    golden_float32,
    golden_bfloat16,
    masks_and_noise,
    golden_losses,
    losses_are_the_cpus,
    out_of_memory_halves,
    the_store_is_the_cpus,
    a_run_resumes_elsewhere,
    a_broken_step_changes_nothing,
)
