"""How fast the page's server answers: the first grid, and the next page that was fetched ahead.

A store of recordings is made (WAV, 48 kHz), the real program is started on it, and a browser's
requests are sent: the list, then 24 pictures as the page asks for them, four at once. Cold: a new
server, and no picture on disk. Prints a table for benchmarks/README.md.

    python benchmarks/serve.py [--windows 20000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from dawnchorus.serve.sounds import wav
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.schema import RecordingRow, StoreHeader, recording_id
from dawnchorus.store.write import StoreWriter

if TYPE_CHECKING:
    from collections.abc import Callable

RATE, WINDOW_S, DIM = 48_000, 5.0, 768
N_FILES = 4
FIRST = [f"r{number:03d}.wav" for number in range(N_FILES)]
AT_ONCE = 4  # pictures that the page asks for at once
WIDTH, HEIGHT = 480, 192  # of a tile's picture, as the page asks for it
CONTEXT_S = 1.0
GOALS = {"first grid": 300, "next page": 100}


def make_store(folder: Path, n_windows: int, n_recordings: int = 40) -> Path:
    """Recordings of ten minutes, of which a window may lie anywhere, and a store of them."""
    draws = np.random.default_rng(0)
    header = StoreHeader(
        model="bench", weights_sha256="aa", labels_sha256=None, licence="CC0-1.0",
        sample_rate=16_000, window_s=WINDOW_S, hop_s=WINDOW_S, window_samples=80_000,
        hop_samples=80_000, channel="mean", resampler="soxr-HQ", precision="float32",
        normalization=(-5.0, 4.0), readout="output:valid", dim=DIM, dtype="float16",
        audio_root=str(folder / "recordings"), created="2026-01-01T00:00:00+00:00", versions={},
    )  # fmt: skip
    noise = draws.normal(0, 0.05, 600 * RATE).astype("f4")
    n_each = n_windows // n_recordings
    with StoreWriter(folder / "bench.store", header) as writer:
        for number in range(n_recordings):
            name = f"site{number % 4}/r{number:03d}.wav"
            path = folder / "recordings" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if number < N_FILES:
                path.write_bytes(wav(np.roll(noise, number * 997), RATE))
            else:  # the same sound under another name, or the disk would be full
                path.hardlink_to(
                    folder / "recordings" / f"site{number % N_FILES}" / FIRST[number % N_FILES]
                )
            index = np.arange(n_each)
            rows = WindowRows(
                window=index,
                start_sample=index * 80_000,
                valid_samples=np.full(n_each, 80_000),
                flags=index * 0,
                vectors=draws.normal(size=(n_each, DIM)).astype("f4"),
                scores=None,
            )
            facts = {
                "recording_id": recording_id(name), "path": name, "rate": RATE, "channels": 1,
                "recorded_at": "2026-05-01T04:00:00", "carried": (("site", name[:5]),),
            }  # fmt: skip
            writer.add(RecordingRow(n_windows=0, status="partial", **facts), rows)
            done = RecordingRow(n_windows=n_each, status="done", duration_s=600.0, **facts)
            writer.finish(done)
    return folder / "bench.store"


class Server:
    """The real program, and connections that are open as a browser's are."""

    def __init__(self, store: Path, cache: Path) -> None:
        """Start it and come in by the printed address."""
        words = [sys.executable, "-m", "dawnchorus", "serve", str(store), "--port", "0",
                 "--no-browser"]  # fmt: skip
        env = {**os.environ, "DAWNCHORUS_CACHE": str(cache)}
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env)
        address = (self.process.stdout.readline() if self.process.stdout else "").strip()
        self.host = address.removeprefix("http://").partition("/")[0]
        first = http.client.HTTPConnection(self.host, timeout=60)
        first.request("GET", address.partition(self.host)[2])
        answer = first.getresponse()
        self.cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        self.connections = [
            http.client.HTTPConnection(self.host, timeout=60) for _ in range(AT_ONCE)
        ]
        self.pool = ThreadPoolExecutor(AT_ONCE)

    def get(self, connection: http.client.HTTPConnection, path: str) -> bytes:
        """What a path answers."""
        connection.request("GET", path, headers={"Cookie": self.cookie})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {content[:200]!r}")
        return content

    def post(self, path: str, body: object) -> dict:
        """What a question is answered with."""
        connection = self.connections[0]
        headers = {"Cookie": self.cookie, "Origin": f"http://{self.host}",
                   "Content-Type": "application/json"}  # fmt: skip
        connection.request("POST", path, json.dumps(body), headers)
        return json.loads(connection.getresponse().read())

    def pictures(self, items: list[dict]) -> int:
        """All pictures of a page, as many at once as a browser asks for."""

        def share(number: int) -> int:
            return sum(
                len(self.get(self.connections[number], picture_of(item)))
                for item in items[number::AT_ONCE]
            )

        return sum(self.pool.map(share, range(AT_ONCE)))

    def busy_s(self) -> float:
        """Seconds that cores have spent on it; a busy machine does not change them much."""
        spent = psutil.Process(self.process.pid).cpu_times()
        return float(spent.user + spent.system)

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()
        self.pool.shutdown()


def picture_of(item: dict) -> str:
    """The address of a tile's picture: the window with a second on both sides."""
    start = max(0.0, item["start_s"] - CONTEXT_S)
    return (
        f"/api/picture?recording={item['recording_id']}&start={start}"
        f"&stop={item['stop_s'] + CONTEXT_S}&width={WIDTH}&height={HEIGHT}"
    )


def measured(store: Path, n_windows: int) -> dict[str, float]:
    """Milliseconds of each step, of a server that has just begun."""
    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        server = Server(store, Path(cache))
        times = {"program to first answer": time.perf_counter() - began}
        try:
            times["about"] = timed(lambda: server.get(server.connections[0], "/api/about"))
            # one window of each recording that is there
            each = n_windows // 40
            rows = [number * each + (7 * number) % (each // 4) for number in range(40)]
            query = {"place": "windows", "k": 48, "rows": rows[:24] + [r + 1 for r in rows[:24]]}
            began = time.perf_counter()
            listed = server.post("/api/lists", query)
            times["list of 24"] = time.perf_counter() - began
            busy, began = server.busy_s(), time.perf_counter()
            size = server.pictures(listed["items"])
            times["24 pictures, cold"] = time.perf_counter() - began
            times["24 pictures, time of the cores"] = server.busy_s() - busy
            times["first grid"] = times["list of 24"] + times["24 pictures, cold"]
            ahead = f"/api/lists/{listed['id']}?offset=24&limit=24"
            page = json.loads(server.get(server.connections[0], ahead))
            server.pictures(page["items"])  # while the first page is looked at
            began = time.perf_counter()
            page = json.loads(server.get(server.connections[0], ahead))
            server.pictures(page["items"])
            times["next page"] = time.perf_counter() - began
            like = {
                name: listed["items"][0][name] for name in ("recording_id", "start_s", "stop_s")
            }
            search = {"place": "search", "like": [{"span": like}]}
            times["more like this, first"] = timed(lambda: server.post("/api/lists", search))
            times["more like this, again"] = timed(lambda: server.post("/api/lists", search))
            body = {"author": "bench", "judgements": [
                {"key": f"bench-{time.time_ns()}", "span": like, "label": "x", "state": "present",
                 "at": "2026-05-01T00:00:00Z"}]}  # fmt: skip
            times["judgement, on disk"] = timed(lambda: server.post("/api/judgements", body))
            print(f"  24 pictures have {size / 1000:.0f} kB")
        finally:
            server.close()
        return {name: 1000 * value for name, value in times.items()}


def timed(call: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        store = make_store(Path(name), given.windows)
        rounds = [measured(store, given.windows) for _ in range(given.rounds)]
    print(f"| step, {given.windows:,} windows | ms (median of {given.rounds}) | least | goal |")
    print("|---|---|---|---|")
    for step in rounds[0]:
        values = [one[step] for one in rounds]
        goal = GOALS.get(step, "")
        print(f"| {step} | {statistics.median(values):,.0f} | {min(values):,.0f} | {goal} |")


if __name__ == "__main__":
    main()
