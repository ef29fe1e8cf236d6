"""Everything that has to hold on a GPU, and how fast it is there, within eight minutes.

    python benchmarks/gpu.py --output gpu.json
    python benchmarks/gpu.py --device cpu --quick        # to see that it runs

It runs from the source tree on a machine that has torch and a few packages (numpy, safetensors,
pyarrow, pydantic, soundfile, soxr, PyYAML, psutil, filelock, huggingface-hub, typer, rich,
lightning-fabric); dawnchorus need not be installed. Each part prints its table and then writes the
JSON, so that a run that is cut short keeps what it had; a part that fails is noted and the next one
begins; a part whose time has come and gone is left out. Parts: promises (`tests/gpu_promises.py`),
machine, encoder, embed, training, largest, compiled.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.metadata as packages
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests"), str(ROOT / "benchmarks")]
_version = packages.version


def version_or_source(name: str) -> str:
    """As `importlib.metadata.version`, for a package that is not installed but runs from here."""
    try:
        return _version(name)
    except packages.PackageNotFoundError:
        return "0+source"


packages.version = version_or_source  # before dawnchorus is imported, which asks for its own

import numpy as np  # noqa: E402
import torch  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dawnchorus.models.eat import EAT

Figures = dict[str, Any]
LIMIT_S: Final = 450.0  # of eight minutes; the rest is for torch to be loaded
WINDOW: Final = 160_000  # samples of 10 s
DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Job:
    """What all parts need: the device, the time that is left, and the file of what was found."""

    def __init__(self, options: argparse.Namespace) -> None:
        """The clock runs from here."""
        self.device = torch.device(options.device)
        self.quick = options.quick
        # where nothing multiplies bfloat16 it takes minutes, and only the script is tried
        self.dtype = "bfloat16" if self.is_cuda else "float32"
        self.output = options.output
        self.ends = time.monotonic() + options.limit
        self.found: Figures = {"machine": machine(self.device)}

    @property
    def is_cuda(self) -> bool:
        """Whether there is anything to wait for."""
        return self.device.type == "cuda"

    @property
    def left_s(self) -> float:
        """Seconds until the run ends."""
        return self.ends - time.monotonic()

    def keep(self, part: str, figures: Figures) -> None:
        """Write what is known so far; the file is there whole at any moment."""
        self.found[part] = figures
        if self.output is not None:
            unfinished = self.output.with_suffix(".part")
            unfinished.write_text(json.dumps(self.found, indent=1))
            unfinished.replace(self.output)

    def wait(self) -> None:
        """Until the device has done all it was given."""
        if self.is_cuda:
            torch.cuda.synchronize()

    def seconds(self, way: Callable[[], object], least_s: float = 0.5) -> float:
        """Of one call: called until ``least_s`` have passed, after two that do not count."""
        least_s = 0.05 if self.quick else least_s
        for _ in range(1 if self.quick else 2):
            way()
        self.wait()
        started, n = time.perf_counter(), 0
        while True:
            for _ in range(1 if not self.is_cuda else 5):  # waiting each time would be timed too
                way()
                n += 1
            self.wait()
            if time.perf_counter() - started >= least_s:
                return (time.perf_counter() - started) / n


def machine(device: torch.device) -> Figures:
    """What it runs on."""
    name = platform.processor() or platform.machine()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    return {
        "device": name,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cores": len(os.sched_getaffinity(0)),
        "at": time.strftime("%Y-%m-%d %H:%M"),
    }


def show(title: str, rows: list[Mapping[str, Any]]) -> None:
    """A table of rows that have the same keys."""
    print(f"\n{title}")
    if not rows:
        print("(nothing)")
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
    sys.stdout.flush()


def promises(job: Job) -> Figures:
    """Every promise of `tests/gpu_promises.py`: kept, or why not."""
    import gpu_promises  # noqa: PLC0415  of the tests, found by the path above

    rows: list[Mapping[str, Any]] = []
    for promise in gpu_promises.PROMISES:
        started = time.monotonic()
        row: Figures = {"promise": promise.__name__, "kept": True}
        with tempfile.TemporaryDirectory() as folder:
            try:
                figures = promise(job.device, Path(folder))
                row["figures"] = {name: float(f"{value:.6g}") for name, value in figures.items()}
            except Exception as error:  # noqa: BLE001  the next promise is another matter
                row |= {"kept": False, "figures": f"{type(error).__name__}: {error}"[:600]}
                traceback.print_exc()
        row["seconds"] = round(time.monotonic() - started, 1)
        rows.append(row)
        job.keep("promises", {"rows": rows})
    show("promises", rows)
    return {"rows": rows, "kept": sum(row["kept"] for row in rows), "of": len(rows)}


def rates(job: Job) -> Figures:
    """Matrix products of each type, and copies to the device from pinned and plain memory."""
    side = 1024 if job.quick else 8192
    found: Figures = {}
    for name, dtype in DTYPES.items() if job.is_cuda else [("float32", torch.float32)]:
        square = torch.randn(side, side, device=job.device, dtype=dtype)
        found[f"{name} TFLOP/s"] = tflops(side, job.seconds(lambda s=square: s @ s))
    if job.is_cuda:
        with_tf32(enabled=True)
        square = torch.randn(side, side, device=job.device)
        found["TF32 TFLOP/s"] = tflops(side, job.seconds(lambda: square @ square))
        with_tf32(enabled=False)
        plain = torch.randn(64, WINDOW)
        for name, memory in {"plain": plain, "pinned": plain.pin_memory()}.items():
            took = job.seconds(lambda m=memory: m.to(job.device, non_blocking=True))
            found[f"to the device, {name}, GB/s"] = round(plain.nbytes / took / 1e9, 2)
    show("the machine", [found])
    return found


def tflops(side: int, seconds: float) -> float:
    """Of a product of two square matrices."""
    return float(f"{2 * side**3 / seconds / 1e12:.4g}")


def with_tf32(*, enabled: bool) -> None:
    """Float32 means float32, unless it is said."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = enabled


def random_model(size: str, dtype: torch.dtype, device: torch.device) -> EAT:
    """With the input of the released models; speed does not depend on the numbers."""
    from dawnchorus.models.eat import EAT  # noqa: PLC0415  after the versions are in place
    from dawnchorus.models.eat_config import EATConfig  # noqa: PLC0415

    torch.manual_seed(0)
    shape = EATConfig.of_size(size, padded_frames=None, stored_positions=False)
    return EAT(shape, name=f"random {size}").to(device, dtype).eval()


def encoders(job: Job) -> Figures:
    """Clips of 10 s a second through frontend and encoder, and the share of the matrix rate."""
    from dawnchorus.models.eat_config import SIZES  # noqa: PLC0415
    from training import block_flops  # noqa: PLC0415  of this folder

    rows: list[Mapping[str, Any]] = []
    sizes = ["tiny"] if job.quick else ["tiny", "base", "large"]
    batches = [2] if job.quick else [64, 256]
    for size in sizes:
        dim, n_layers, _ = SIZES[size]
        clip = block_flops(dim, n_layers, 497) + 2 * 496 * 256 * dim
        for dtype in [job.dtype, "float32"] if size == "base" else [job.dtype]:
            model = random_model(size, DTYPES[dtype], job.device)
            for batch in batches:
                waveforms = 0.1 * torch.randn(batch, WINDOW, device=job.device)
                with torch.inference_mode():
                    features, _ = model.features(waveforms)
                    whole = job.seconds(lambda m=model, w=waveforms: m.embed(w))
                    blocks = job.seconds(lambda m=model, f=features: m.tokens(f))
                peak = job.found["rates"][f"{dtype} TFLOP/s"] * 1e12
                rows.append({
                    "size": size, "type": dtype, "batch": batch,
                    "clips/s": round(batch / whole, 1),
                    "x real time": round(10 * batch / whole),
                    "encoder alone, clips/s": round(batch / blocks, 1),
                    "of matrix rate": round(batch * clip / blocks / peak, 3),
                })  # fmt: skip
                job.keep("encoder", {"rows": rows})
            del model
    show("encoder", rows)
    return {"rows": rows}


def embedding(job: Job) -> Figures:
    """`embed` of recordings on disk, beside what reading alone and the encoder alone would do."""
    rows: list[Mapping[str, Any]] = []
    minutes = 0.5 if job.quick else 120.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, suffix, rate in (
            ("WAV 16 kHz", ".wav", 16_000),
            ("FLAC 48 kHz", ".flac", 48_000),
        ):
            write_recordings(folder / kind, minutes, suffix, rate)
            for size in ["tiny"] if job.quick else ["tiny", "base"]:
                rows.append(
                    {"recordings": kind, "model": size} | one_embed(job, folder / kind, size)
                )
                job.keep("embed", {"rows": rows})
    show(f"embed, {job.dtype}, x real time", rows)
    return {"rows": rows}


def write_recordings(folder: Path, minutes: float, suffix: str, rate: int) -> None:
    """As many recordings as cores, which differ by a shift."""
    import soundfile  # noqa: PLC0415, TID251  makes recordings, reads none

    folder.mkdir()
    n_files = 2 * len(os.sched_getaffinity(0))
    rng = np.random.default_rng(0)
    noise = (0.05 * rng.standard_normal(round(minutes * 60 * rate / n_files))).astype(np.float32)
    for number in range(n_files):
        soundfile.write(folder / f"{number}{suffix}", np.roll(noise, 1000 * number), rate)


def one_embed(job: Job, folder: Path, size: str) -> Figures:
    """Times real time of a run, of its encoder from memory, and of its reading."""
    from dawnchorus import embed  # noqa: PLC0415
    from dawnchorus.engine.encoding.batches import BatchEncoder  # noqa: PLC0415
    from dawnchorus.engine.encoding.workers import batch_size, n_workers  # noqa: PLC0415

    model = random_model(size, DTYPES[job.dtype], job.device)
    batch = batch_size(model, None, WINDOW)
    batches = BatchEncoder(model, n_workers=n_workers(model, None))
    report = embed(folder, model=model, store=folder / f"{size}.store")
    bare = bare_rate(batches, batch, 1 if job.quick else 8)
    read_s = sum(report.seconds.get(stage, 0.0) for stage in ("read", "resample"))
    shutil.rmtree(folder / f"{size}.store")
    limit = min(10 * bare, report.duration_s / read_s if read_s else float("inf"))
    return {
        "batch": batch,
        "embed": round(report.duration_s / report.elapsed_s),
        "encoder from memory": round(10 * bare),
        "one reading thread": round(report.duration_s / max(read_s, 1e-9)),
        "share of the encoder": round(report.duration_s / report.elapsed_s / (10 * bare), 3),
        "share of the lower": round(report.duration_s / report.elapsed_s / limit, 3),
        "seconds": {name: round(value, 2) for name, value in report.seconds.items()},
    }


def bare_rate(batches: Any, size: int, n_each: int) -> float:
    """Windows a second from memory, by all lanes at once."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    waveforms = 0.1 * torch.randn(size, WINDOW)
    lengths = torch.full((size,), WINDOW)
    with ThreadPoolExecutor(batches.n_workers) as pool:
        run = partial(batches.vectors, waveforms, lengths)
        list(pool.map(lambda _: run(), range(batches.n_workers)))
        started = time.perf_counter()
        list(pool.map(lambda _: run(), range(n_each * batches.n_workers)))
        return n_each * batches.n_workers * size / (time.perf_counter() - started)


def training_rows(job: Job, part: str, *, compiled: bool) -> Figures:
    """Clips a second and share of the matrix rate of whole training steps."""
    import training  # noqa: PLC0415  of this folder

    rows: list[Mapping[str, Any]] = []
    cases = [("pretrain", "tiny", 2), ("posttrain", "tiny", 2)]
    if not job.quick:
        cases = [("pretrain", "base", 12), ("posttrain", "base", 64), ("pretrain", "tiny", 48)]
    for kind, size, clips in cases:
        if job.left_s < 20 and not job.quick:
            break
        setting = training.Setting(
            kind=kind, size=size, dtype=job.dtype, compile=compiled, checkpointing=False,
            device=str(job.device), clips=clips, seconds=1.0 if job.quick else 10.0,
            n_clones=2 if job.quick else 16,
        )  # fmt: skip
        rows.append({"kind": kind, "size": size, "clips": clips} | training.measure(setting, 5))
        job.keep(part, {"rows": rows})
    show(f"training, {job.dtype}{', compiled' * compiled}", rows)
    return {"rows": rows}


def largest(job: Job) -> Figures:
    """The most clips that one step of the base size has room for, by doubling."""
    if not job.is_cuda:
        return {"rows": [], "why": "a CPU's memory is not tried out"}
    import training  # noqa: PLC0415

    rows: list[Mapping[str, Any]] = []
    for kind in ("pretrain", "posttrain"):
        setting = training.Setting(
            kind=kind, size="base", dtype="bfloat16", compile=False, checkpointing=False,
            device=str(job.device), clips=16, seconds=10.0, n_clones=16,
        )  # fmt: skip
        rows.append({"kind": kind, "size": "base", "clips": training.largest_batch(setting)})
        torch.cuda.empty_cache()
        job.keep("largest", {"rows": rows})
    show("largest batch", rows)
    return {"rows": rows}


PARTS: Final[Mapping[str, tuple[Callable[[Job], Figures], float]]] = {  # and seconds it needs
    "rates": (rates, 10),
    "promises": (promises, 60),
    "encoder": (encoders, 25),
    "embed": (embedding, 60),
    "training": (partial(training_rows, part="training", compiled=False), 30),
    "largest": (largest, 20),
    "compiled": (partial(training_rows, part="compiled", compiled=True), 90),
}


def main() -> int:
    """Run every part for which there is time; 1: something failed or was left out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="small cases, to see that it runs")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds of the whole run")
    parser.add_argument("--output", type=Path, help="JSON, written after each part")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("torch sees no CUDA device; --device cpu --quick tries the script", file=sys.stderr)
        return 1
    # nothing hangs for ever: what was found is in the file by then
    if not options.quick:
        faulthandler.dump_traceback_later(options.limit + 25, exit=True)
    with_tf32(enabled=False)
    job = Job(options)
    print(*(f"{name}: {value}" for name, value in job.found["machine"].items()), sep=", ")
    failed = [name for name in options.parts if not done(job, name)]
    faulthandler.cancel_dump_traceback_later()
    print(f"\n{'all parts done' if not failed else f'not done: {failed}'}, {job.left_s:.0f} s left")
    return 1 if failed else 0


def done(job: Job, name: str) -> bool:
    """Whether a part was carried out, and kept its promises."""
    part, needs_s = PARTS[name]
    started = time.monotonic()
    if job.left_s < needs_s and not job.quick:
        job.keep(name, {"left out": f"{job.left_s:.0f} s left, needs {needs_s:.0f}"})
        return False
    try:
        figures = part(job)
    except Exception as error:  # noqa: BLE001  the next part may well work
        traceback.print_exc()
        known = job.found.get(name, {})
        job.keep(name, known | {"error": f"{type(error).__name__}: {error}"[:1000]})
        return False
    job.keep(name, figures | {"took_s": round(time.monotonic() - started, 1)})
    if job.is_cuda:
        torch.cuda.empty_cache()
    return bool(figures.get("kept") == figures.get("of"))


if __name__ == "__main__":
    sys.exit(main())
