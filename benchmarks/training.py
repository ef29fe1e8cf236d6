"""Speed and memory of whole training steps, against the machine's own matrix-product rate.

    python benchmarks/training.py
    python benchmarks/training.py --device cuda --sizes tiny small base --dtypes bfloat16 \
        --compile off on --clips 48 --largest

A step is features, forward, backward, optimiser and (in pretraining) the teacher, on waveforms that
are there already; benchmarks/loader.py measures what delivers them. Utilisation counts the model's
multiplications and additions once forward and twice backward (the teacher's only forward), nothing
for features, norms or what gradient checkpointing computes again, and divides by the rate of a
square matrix product of the same type, timed in the same rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import torch

from dawnchorus.configs import PosttrainConfig, PretrainConfig
from dawnchorus.configs.pretraining import DecoderConfig
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import SIZES, EATConfig
from dawnchorus.nn.masking import MaskShape
from dawnchorus.objectives.classify import ClassifyObjective, ClassifyWeights
from dawnchorus.recipes.pretrain import build_objective
from dawnchorus.training.optimizer import gradient_norm, make_optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dawnchorus.objectives.eat import EATObjective

RATE, N_BANDS, N_CLASSES = 16_000, 8, 1000
DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}
MIB: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One line of the table."""

    kind: str
    size: str
    dtype: str
    compile: bool
    checkpointing: bool
    device: str
    clips: int
    seconds: float
    n_clones: int


def block_flops(dim: int, n_layers: int, n_tokens: int) -> float:
    """Multiplications and additions of the blocks on one sequence, forward."""
    return n_layers * (24 * n_tokens * dim**2 + 4 * n_tokens**2 * dim)


def step_flops(setting: Setting, n_patches: int) -> float:
    """Multiplications and additions of one clip's step."""
    dim, n_layers, _ = SIZES[setting.size]
    patches = 2 * n_patches * 256 * dim
    whole = block_flops(dim, n_layers, n_patches + 1)
    if setting.kind == "posttrain":
        return 3 * (patches + whole + 2 * dim * N_CLASSES)
    visible = block_flops(dim, n_layers, MaskShape().n_kept(n_patches) + 1)
    decoder = DecoderConfig()
    convolution = 2 * dim * dim // decoder.n_groups * decoder.kernel**2
    filled = n_patches * (decoder.n_layers * convolution + 2 * dim**2)
    return patches + whole + 3 * (patches + setting.n_clones * (visible + filled))


def make_pretraining(setting: Setting) -> tuple[Any, Callable[[], Any], Callable[[], None], Any]:
    """Module, losses of a step, what follows it, and its config."""
    config = PretrainConfig(
        name="speed",
        size=setting.size,
        steps=1,
        learning_rate=1e-4,
        n_clones=setting.n_clones,
        window_s=setting.seconds,
        compile=setting.compile,
        gradient_checkpointing=setting.checkpointing,
        data={"root": "."},
    )
    objective: EATObjective = build_objective(config).to(setting.device)
    waveforms, lengths = sound(setting)
    return (
        objective,
        lambda: objective(waveforms, lengths, step=0)["loss"],
        lambda: objective.follow(0.999),
        config,
    )


def make_posttraining(setting: Setting) -> tuple[Any, Callable[[], Any], Callable[[], None], Any]:
    """The same, with labels."""
    config = PosttrainConfig(name="speed", steps=1, learning_rate=1e-4, data={"root": "."})
    labels = [str(number) for number in range(N_CLASSES)]
    architecture = EATConfig.of_size(
        setting.size,
        n_classes=N_CLASSES,
        window_s=setting.seconds,
        padded_frames=None,
        stored_positions=False,
    )
    model = EAT(architecture, labels=labels).to(setting.device)
    objective = ClassifyObjective(model, weights=ClassifyWeights()).to(setting.device)
    waveforms, lengths = sound(setting)
    targets = (torch.rand(setting.clips, N_CLASSES, device=setting.device) < 0.002).float()
    # what is compiled is what takes the time; the features stay as they are
    if setting.compile:
        for block in model.blocks:
            block.compile()
    return (
        objective,
        lambda: objective(waveforms, lengths, targets)["loss"],
        lambda: None,
        config,
    )


def sound(setting: Setting) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms and their lengths, on the device."""
    n_samples = round(setting.seconds * RATE)
    waveforms = 0.1 * torch.randn(setting.clips, n_samples, device=setting.device)
    return waveforms, torch.full((setting.clips,), n_samples, device=setting.device)


def make_step(setting: Setting) -> Callable[[], None]:
    """A whole step of training, to be called again and again."""
    torch.manual_seed(0)
    make = make_pretraining if setting.kind == "pretrain" else make_posttraining
    module, losses, after, config = make(setting)
    module.train()
    optimizer = make_optimizer(module, config)
    mixed = partial(
        torch.autocast,
        torch.device(setting.device).type,
        dtype=torch.bfloat16,
        enabled=setting.dtype == "bfloat16",
    )

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with mixed():
            loss = losses()
        loss.backward()
        gradient_norm(module, config.clip_norm)
        optimizer.step()
        after()

    return step


def wait(device: str) -> None:
    """Until the device has done all it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def timed(ways: dict[str, Callable[[], object]], device: str, rounds: int) -> dict[str, float]:
    """Median seconds of each way, turn about, after two turns that do not count."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 2):
        for name, way in ways.items():
            wait(device)
            started = time.perf_counter()
            way()
            wait(device)
            if number >= 2:
                taken[name].append(time.perf_counter() - started)
    return {name: median(values) for name, values in taken.items()}


def measure(setting: Setting, rounds: int) -> dict[str, Any]:
    """Rate, utilisation and memory of a setting."""
    side = 4096 if setting.device.startswith("cuda") else 2048
    square = torch.randn(side, side, device=setting.device, dtype=DTYPES[setting.dtype])
    if setting.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    step = make_step(setting)
    took = timed({"step": step, "product": lambda: square @ square}, setting.device, rounds)
    n_frames = 1 + (round(setting.seconds * RATE) - 400) // 160
    rate = setting.clips * step_flops(setting, -(-n_frames // 16) * N_BANDS) / took["step"]
    peak = 2 * side**3 / took["product"]
    return {
        "clips_per_s": round(setting.clips / took["step"], 2),
        "step_s": round(took["step"], 4),
        "tflop_per_s": round(rate / 1e12, 3),
        "product_tflop_per_s": round(peak / 1e12, 3),
        "utilisation": round(rate / peak, 3),
        "memory_mib": memory_mib(setting.device),
    }


def memory_mib(device: str) -> int | None:
    """Most memory that tensors held on a GPU; a CPU's is not counted apart from the process's."""
    return round(torch.cuda.max_memory_allocated() / MIB) if device.startswith("cuda") else None


def largest_batch(setting: Setting) -> int:
    """The most clips, by doubling, that one step has room for on the GPU."""
    clips = setting.clips
    while True:
        try:
            make_step(Setting(**{**vars(setting), "clips": 2 * clips}))()
            wait(setting.device)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return clips
        clips *= 2


def stages(setting: Setting, rounds: int) -> dict[str, float]:
    """Milliseconds of each part of a pretraining step, one by one."""
    objective, losses, after, config = make_pretraining(setting)
    objective.train()
    waveforms, _ = sound(setting)
    features, _ = objective.model.features(waveforms)
    kept, noise = objective.draw(len(features), features.shape[1], step=0, first_row=0)
    targets = objective.targets(features)
    optimizer = make_optimizer(objective, config)

    def mixed(way: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            device, wanted = torch.device(setting.device).type, setting.dtype == "bfloat16"
            with torch.autocast(device, dtype=torch.bfloat16, enabled=wanted):
                return way()

        return run

    visible = objective.visible(features, kept)
    filled = torch.randn(len(kept), features.shape[1] // 2, visible.shape[-1])
    filled = filled.to(setting.device).requires_grad_()
    grid = features.shape[1] // 16, N_BANDS
    ways = {
        "features": lambda: objective.model.features(waveforms),
        "masks and noise": lambda: objective.draw(
            len(features), features.shape[1], step=0, first_row=0
        ),
        "teacher": lambda: objective.targets(features),
        "student forward": lambda: objective.student(visible),
        "student both ways": lambda: objective.student(visible.detach()).sum().backward(),
        "decoder both ways": lambda: objective.decoder(filled, *grid).sum().backward(),
        "losses": lambda: objective.losses(clones, targets, kept),
        "optimiser": optimizer.step,
        "teacher follows": after,
    }
    with torch.no_grad():
        clones = mixed(lambda: objective.clones(features, kept, noise))()
    losses().backward()
    took = timed({name: mixed(way) for name, way in ways.items()}, setting.device, rounds)
    return {name: round(1000 * seconds, 2) for name, seconds in took.items()}


def settings(options: argparse.Namespace) -> Iterator[Setting]:
    """Every combination that was asked for."""
    for kind in options.kinds:
        for size in options.sizes:
            for dtype in options.dtypes:
                for compiled in options.compile:
                    yield Setting(
                        kind=kind,
                        size=size,
                        dtype=dtype,
                        compile=compiled == "on",
                        checkpointing=options.checkpointing,
                        device=options.device,
                        clips=options.clips,
                        seconds=options.seconds,
                        n_clones=options.clones,
                    )


def read_options() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--kinds", nargs="*", default=["pretrain", "posttrain"])
    parser.add_argument("--sizes", nargs="*", default=["tiny"])
    parser.add_argument("--dtypes", nargs="*", default=["float32"], choices=list(DTYPES))
    parser.add_argument("--compile", nargs="*", default=["off"], choices=["off", "on"])
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing")
    parser.add_argument("--clips", type=int, default=4, help="in a step")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each clip")
    parser.add_argument("--clones", type=int, default=4, help="of a clip in pretraining")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--largest", action="store_true", help="find the largest batch (GPU)")
    parser.add_argument("--stages", action="store_true", help="where pretraining's time goes")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Print a line for each setting."""
    options = read_options()
    for setting in settings(options):
        found: dict[str, Any] = measure(setting, options.rounds)
        if options.largest and options.device.startswith("cuda"):
            found["largest_clips"] = largest_batch(setting)
        if options.stages and setting.kind == "pretrain":
            found["stages_ms"] = stages(setting, options.rounds)
        if options.json:
            print(json.dumps({**vars(setting), **found}))
        else:
            shown = f"{setting.kind} {setting.size} {setting.dtype}"
            shown += " compiled" * setting.compile
            print(shown, *(f"{name}={value}" for name, value in found.items()), sep="  ")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
