"""Hold mn04_as to a table of its outputs that another program computed: ``MANIFEST TABLE [N]``.

Windows of a second and longer must agree within 0.01 in the logits. Sound goes through the
resampler that a live teacher's goes through.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mn04_as
import numpy as np
import pyarrow.parquet as pq
import torch

from dawnchorus.audio.polyphase import resample_batch
from dawnchorus.clips.manifest import FILE, read_manifest
from dawnchorus.clips.sounds import FileSounds

WITHIN = 0.01
RATE = 16_000  # of the sound that the table was made of


def main() -> int:
    """Compare ``N`` random windows (all without it); 1 if one is further off."""
    manifest = read_manifest(sys.argv[1])
    table = pq.read_table(sys.argv[2])
    seconds = table["stop_s"].to_numpy() - table["start_s"].to_numpy()
    rows = np.random.default_rng(0).permutation(np.flatnonzero(seconds >= mn04_as.LEAST_S))
    rows = rows[: int(sys.argv[3])] if len(sys.argv) > 3 else rows
    paths = {clip.id: clip.path for clip in manifest.where(level=FILE)}
    sounds, encoder = FileSounds(Path(sys.argv[1]).parent, RATE), mn04_as.load()
    apart = []
    for row in table.take(rows).to_pylist():
        first, last = round(row["start_s"] * RATE), round(row["stop_s"] * RATE)
        samples = sounds.read(paths[row["id"]], first, last - first)
        with torch.inference_mode():
            sound = resample_batch(torch.from_numpy(samples)[None], RATE, mn04_as.RATE)
            logits = encoder.encode(sound).logits
        apart.append(np.abs(logits[0].numpy() - np.array(row["audioset_logits"], np.float32)).max())
    worst = max(apart)
    median = np.median(apart)
    sys.stdout.write(f"{len(apart)} windows: median {median:.4f} apart, at most {worst:.4f}\n")
    return int(worst > WITHIN)


if __name__ == "__main__":
    raise SystemExit(main())
