"""A side of `peers.py`: `embed` of a folder; `MODEL FOLDER RESULTS` as arguments."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path

from said import Found, say, work_clock


def main() -> None:
    """Embed, then say what the store has of each recording."""
    model_name, folder, results = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    began = time.perf_counter()
    import numpy as np

    from dawnchorus import Store, embed, load_model

    model = load_model(model_name, device="cpu")
    start_s = time.perf_counter() - began
    with work_clock() as clock:
        embed(folder, model=model, store=results / "archive.store")
    store = Store(results / "archive.store")
    vectors, windows = store.read(["path", "start_s", "stop_s"])
    spans = defaultdict(list)
    bad: dict[str, int] = defaultdict(int)
    finite = np.isfinite(vectors).all(axis=1)
    for row, is_finite in zip(windows.to_pylist(), finite, strict=True):
        spans[row["path"]].append((row["start_s"], row["stop_s"]))
        bad[row["path"]] += not is_finite
    found = {}
    for row in store.recordings().to_pylist():
        path = row["path"]
        told = row["message"] or (
            f"{row['n_nonfinite']} samples no numbers" * bool(row["n_nonfinite"])
        )
        found[path] = Found(spans[path], bad[path], told, ends_run=False)
    say(start_s, clock, found)


if __name__ == "__main__":
    main()
