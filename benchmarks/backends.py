"""Backends of an encoder in one run: how near, how fast (a batch a core), how long to start.

python benchmarks/backends.py --size tiny
python benchmarks/backends.py --size base --rounds 3 --batch 2

OpenVINO is not a backend of dawnchorus; where it is installed it reads the same graphs, to see
whether it should be. ``ONEDNN_MAX_CPU_ISA=AVX2`` (torch) imitates an older processor; OpenVINO
and onnxruntime have no such switch, so a laptop's figures come from a laptop.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from paired import paired

from dawnchorus.engine.encoding.workers import replicas
from dawnchorus.machine import n_cores
from dawnchorus.models.backends.calibrate import calibration_sounds, input_ranges
from dawnchorus.models.backends.encoder import OnnxEncoder
from dawnchorus.models.backends.graph import FEATURES, block_output, graph_bytes
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.load import open_model
from dawnchorus.models.parity import embedded, parity
from dawnchorus.models.precision import multiplies_bfloat16, to_precision
from dawnchorus.models.shipped_clips import shipped_windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from dawnchorus.models.encoder import Encoder


class OpenVino(OnnxEncoder):
    """The same graph by OpenVINO: a stream a core."""

    def __init__(self, model: EAT, graph: bytes, precision: str) -> None:
        """``precision``: f32 or bf16, of what is not int8."""
        super().__init__(model, graph, "onnx")
        import openvino  # noqa: PLC0415

        settings = {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": n_cores(),
                    "INFERENCE_NUM_THREADS": n_cores(), "PERFORMANCE_HINT": "THROUGHPUT",
                    "ENABLE_CPU_PINNING": False}  # fmt: skip
        compiled = openvino.Core().compile_model(openvino.Core().read_model(graph), "CPU", settings)
        ours = [block_output(index) for index in range(self.n_layers)]

        def run(names: list[str], feed: dict[str, Any]) -> list[Any]:
            request = compiled.create_infer_request()
            found = request.infer({FEATURES: feed[FEATURES]})
            return [found[ours.index(name)] for name in names]

        self._session = run


def ways(model: EAT) -> dict[str, Callable[[], Encoder]]:
    """What is compared; each makes its encoder anew, from bytes where there is a graph."""
    ranges = input_ranges(model, calibration_sounds(model)[-2:])
    whole, small = graph_bytes(model), graph_bytes(model, ranges)
    found: dict[str, Callable[[], Encoder]] = {"torch float32": lambda: deepcopy(model)}
    has_bfloat16 = multiplies_bfloat16(torch.device("cpu"))
    if has_bfloat16:
        found["torch bfloat16"] = lambda: to_precision(deepcopy(model), "bfloat16")
    found["onnx float32"] = lambda: OnnxEncoder(model, whole, "onnx")
    found["onnx int8"] = lambda: OnnxEncoder(model, small, "onnx-int8")
    try:
        import openvino  # noqa: F401, PLC0415
    except ImportError:
        return found
    found["openvino float32"] = lambda: OpenVino(model, whole, "f32")
    if has_bfloat16:
        found["openvino bfloat16"] = lambda: OpenVino(model, whole, "bf16")
    found["openvino int8"] = lambda: OpenVino(model, small, "f32")
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=["tiny", "base"], default="tiny")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--windows", type=int, default=53, help="shipped windows of the parity")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = (
        open_model("dawnchorus_eat_tiny").model
        if options.size == "tiny"
        else EAT(EATConfig.of_size("base"), name="random base").eval()
    )
    windows = shipped_windows()[: options.windows]
    clips = np.resize(windows, (options.batch, round(model.window_s * model.sample_rate)))
    features, n_frames = model.features(torch.from_numpy(clips))
    layers = model.config.readout.layers
    pool = ThreadPoolExecutor(n_cores())
    runs: dict[str, Callable[[], object]] = {}
    facts: dict[str, str] = {}
    reference = embedded(model.embed, windows)
    for name, make in ways(model).items():
        started = time.perf_counter()
        encoder = make()
        start_s = time.perf_counter() - started
        near = parity(reference, embedded(encoder.embed, windows))
        facts[name] = f"{start_s:5.2f}  {near.cosine:8.5f}  {near.overlap:6.3f}"
        copies = replicas(encoder, n_cores())

        def run(copies: list[Encoder] = copies) -> object:
            def one(copy: Any) -> object:
                with torch.inference_mode():
                    return copy.encode_features(features, n_frames, layers)

            return list(pool.map(one, copies))

        runs[name] = run
    took = paired(runs, options.rounds)
    print(f"{options.size}, batch {options.batch}, {n_cores()} cores, {model.window_s:g} s clips")
    print("way                 clips/s  ratio  start, s  cosine   overlap")
    for name, seconds in took.items():
        rate, ratio = options.batch * n_cores() / seconds, took["torch float32"] / seconds
        print(f"{name:18s} {rate:8.2f}  {ratio:5.2f}  {facts[name]}")


if __name__ == "__main__":
    main()
