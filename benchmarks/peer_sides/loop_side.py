"""A side of `peers.py`: the loop of the model card; `MODEL FOLDER RESULTS` as arguments.

A file at a time: read whole, mean of the channels, resampled whole (what `librosa.load` does, with
the same two libraries), cut into 10 s, zeros after the last, one clip a call, mean of the tokens.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from said import Found, say, work_clock

RATE = 16_000
WINDOW_S = 10


def main() -> None:
    """Run it over a folder."""
    model_name, folder, results = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    began = time.perf_counter()
    import numpy as np
    import soundfile  # noqa: TID251  the loop that people write
    import soxr
    import torch

    from dawnchorus import load_model

    backbone = load_model(model_name, return_features_only=True, device="cpu")
    start_s = time.perf_counter() - began
    found = {}

    def embeddings(path: Path) -> np.ndarray:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        mono = soxr.resample(samples.mean(axis=1), rate, RATE)
        n = WINDOW_S * RATE
        vectors = []
        for first in range(0, len(mono), n):
            clip = np.zeros(n, np.float32)
            piece = mono[first : first + n]
            clip[: len(piece)] = piece
            with torch.no_grad():
                tokens = backbone(torch.from_numpy(clip)[None])
            vectors.append(tokens.mean(dim=1)[0].numpy())
        return np.stack(vectors)

    with work_clock() as clock:
        for path in sorted(folder.iterdir()):
            try:
                vectors = embeddings(path)
            except Exception as error:  # noqa: BLE001  in the loop as people write it, the end
                found[path.name] = Found([], 0, f"{type(error).__name__}: {error}", ends_run=True)
                continue
            np.save(results / f"{path.name}.npy", vectors)
            spans = [(i * WINDOW_S, (i + 1) * WINDOW_S) for i in range(len(vectors))]
            found[path.name] = Found(spans, int((~np.isfinite(vectors).all(axis=1)).sum()), "")
    say(start_s, clock, found)


if __name__ == "__main__":
    main()
