"""What a live teacher costs: clips a second that it hears, and of whole steps with a tiny student.

``python benchmarks/distillation.py [MODEL ...]``: names or folders of teachers; without any, an
EAT-base with random weights, in float32 and bfloat16. Sound is noise; nothing is read from disk.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import torch

from dawnchorus.configs.distilling import DistilConfig
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.write import write_model
from dawnchorus.objectives.classify import ClassifyObjective, ClassifyWeights
from dawnchorus.objectives.distil import Distillation
from dawnchorus.recipes.live_teacher import LiveTeacher, open_teacher

if TYPE_CHECKING:
    from collections.abc import Callable

RATE: Final = 16_000


def seconds_of(run: Callable[[], object], least_s: float) -> float:
    """Fastest of the calls that fit into some seconds, two at least."""
    run()  # allocates, and makes filters
    took, until = [], time.perf_counter() + least_s
    while len(took) < 2 or time.perf_counter() < until:
        started = time.perf_counter()
        run()
        took.append(time.perf_counter() - started)
    return min(took)


def measure(teacher: LiveTeacher, crop_s: float, n_clips: int, patch_keep: float) -> str:
    """One line of the table."""
    torch.manual_seed(0)
    sound = 0.1 * torch.randn(n_clips, round(crop_s * RATE))
    lengths = torch.full((n_clips,), sound.shape[1])
    model = EAT(
        EATConfig.of_size(
            "tiny", n_classes=0, window_s=crop_s, padded_frames=None, stored_positions=False
        )
    )
    objective = ClassifyObjective(
        model,
        weights=ClassifyWeights(),
        distillation=Distillation(model.dim, [teacher.spec]),
    )
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-4)
    n_patches = 8 * (sound.shape[1] // 160 // 16)
    order = torch.rand(n_clips, n_patches).argsort(1)
    patches = order[:, : round(patch_keep * n_patches)].sort(1).values

    def hear() -> dict[str, object]:
        said = teacher.hear(sound, lengths, RATE)
        return {teacher.name: type(said)(*(None if x is None else x.clone() for x in said))}

    def step(said: dict[str, object]) -> None:
        optimizer.zero_grad()
        parts = objective(sound, lengths, torch.zeros(n_clips, 0), said=said, patches=patches)
        parts["loss"].backward()
        optimizer.step()

    heard_s = seconds_of(hear, 4.0)
    said = hear()
    step_s = seconds_of(lambda: step(said), 4.0)
    rates = [n_clips / heard_s, n_clips / step_s, n_clips / (heard_s + step_s)]
    return " | ".join(
        [teacher.name, teacher.config.precision, f"{crop_s:g}", *(f"{rate:.1f}" for rate in rates)]
    )


def random_base(folder: Path) -> Path:
    """A model of the released size, 10 s in 1024 frames, with random weights."""
    torch.manual_seed(0)
    config = EATConfig.of_size("base", n_classes=0, window_s=10.0)
    card = Card(name="random_base", config=config, has_classifier=False)
    write_model(folder, card, None, EAT(config).state_dict(), "float32")
    return folder


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--crop-s", type=float, default=10.0)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--patch-keep", type=float, default=0.5)
    given = parser.parse_args()
    print(
        "| teacher | precision | crop, s | it hears, clips/s | student, clips/s | both, clips/s |"
    )
    print("|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        names = given.models or [str(random_base(Path(folder) / "random_base"))]
        for name in names:
            for precision in ("float32", "bfloat16"):
                config = DistilConfig(model=name, precision=precision)
                line = measure(open_teacher(config), given.crop_s, given.clips, given.patch_keep)
                print(f"| {line} |", flush=True)


if __name__ == "__main__":
    main()
