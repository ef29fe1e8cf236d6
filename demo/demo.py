"""The main job on a handful of real recordings: embed, name, draw, and say where things lie.

Run by ``make demo``; needs no network. The recordings were never used in training the bundled
model.
"""

from __future__ import annotations

import csv
import os
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from dawnchorus import Store, embed, predict, suggest_windows
from dawnchorus.audio.decode.read import read_audio
from dawnchorus.audio.frontend import FRAME_HOP_SAMPLES, SAMPLE_RATE, log_mel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
RECORDINGS = HERE / "recordings"
OUT = HERE.parent / "demo_output"
MODEL = "dawnchorus_eat_tiny"
NOTHING = "nothing that it knows"
TO_JUDGE = "Tettigonia viridissima"  # a bush-cricket that is there, among others that are not
N_TO_JUDGE = 12


def main() -> int:
    """Run the demo and return the exit code."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    embedded = embed(RECORDINGS, model=MODEL, store=OUT / "demo.store")
    named = predict(RECORDINGS, model=MODEL, output=OUT / "predictions.csv")
    asked = suggest_windows(OUT / "demo.store", TO_JUDGE, N_TO_JUDGE, strategy="random")
    truth = read_table(HERE / "recordings" / "ATTRIBUTION.csv", "file", "what")
    # a recording in which no label reaches its threshold has no rows
    named_in = {file: [] for file in truth} | best_names(OUT / "predictions.csv")
    draw(truth, named_in, OUT / "picture.png")
    print(
        f"{embedded.n_done} of {embedded.n_found} recordings embedded "
        f"({embedded.duration_s:.0f} s of sound, {embedded.n_windows} windows)"
    )
    print(f"\n{'recording':32s}{'recordist says':30s}the model says")
    for file, what in truth.items():
        said = ", ".join(f"{label} {p:.2f}" for label, p in named_in[file])
        print(f"{file:32s}{what:30s}{said or NOTHING}")
    print(f"\nembeddings   {shown(OUT / 'demo.store')}")
    print(f"predictions  {shown(OUT / 'predictions.csv')}")
    print(f"picture      {shown(OUT / 'picture.png')}")
    print(f"to judge     {len(asked)} windows: do they hold {TO_JUDGE}?")
    print("\nmake serve opens them in the browser, to see, hear and judge")
    return 3 if embedded.n_failed or named.n_failed else 0


def shown(path: Path) -> str:
    """A path as the reader would type it."""
    return os.path.relpath(path)


def read_table(path: Path, key: str, value: str) -> dict[str, str]:
    """Two columns of a CSV file as a dict."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row[key]: row[value] for row in csv.DictReader(file)}


def best_names(path: Path) -> dict[str, list[tuple[str, float]]]:
    """For each file, the labels named in it with their highest probability, likeliest first."""
    highest: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            labels, probability = highest[Path(row["path"]).name], float(row["probability"])
            labels[row["label"]] = max(labels[row["label"]], probability)
    return {
        name: sorted(labels.items(), key=lambda pair: -pair[1]) for name, labels in highest.items()
    }


def draw(truth: dict[str, str], named_in: dict[str, list[tuple[str, float]]], path: Path) -> None:
    """One row per recording: its spectrogram, and the names with their probabilities."""
    figure, rows = plt.subplots(
        len(truth) + 1,
        2,
        figsize=(11, 1.75 * len(truth) + 3.2),
        width_ratios=[2.4, 1],
        height_ratios=[1] * len(truth) + [1.9],
        layout="constrained",
    )
    for (left, right), (file, what) in zip(rows, truth.items(), strict=False):
        spectrogram(left, RECORDINGS / file, f"{file}: {what}")
        bars(right, named_in[file], what)
    rows[len(truth) - 1][0].set_xlabel("time (s)")
    rows[len(truth) - 1][1].set_xlabel("highest probability of a window")
    similarity(rows[-1][0])
    legend(rows[-1][1])
    figure.suptitle(f"What {MODEL} hears, in recordings it was not trained on")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def spectrogram(axes: Axes, path: Path, title: str) -> None:
    """Log-mel of a recording, as the model sees it."""
    samples = read_audio(path, sample_rate=SAMPLE_RATE)
    energies = log_mel(torch.from_numpy(samples)[None])[0].numpy()
    low, high = np.percentile(energies, [20, 99.8])
    stop_s = len(energies) * FRAME_HOP_SAMPLES / SAMPLE_RATE
    extent = (0.0, stop_s, 0.0, float(energies.shape[1]))
    axes.imshow(
        energies.T, origin="lower", aspect="auto", extent=extent, vmin=low, vmax=high, cmap="magma"
    )
    axes.set_yticks([0, 64, 128], ["20 Hz", "1.8 kHz", "8 kHz"], fontsize=7)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_title(title, fontsize=9, loc="left")


def bars(axes: Axes, names: list[tuple[str, float]], what: str) -> None:
    """What is named; the recordist's name is drawn in another colour."""
    labels = [label for label, _ in names][::-1]
    values = [value for _, value in names][::-1]
    colours = ["tab:green" if label == what else "tab:gray" for label in labels]
    axes.barh(labels, values, color=colours, height=min(0.3 * len(labels), 0.8))
    axes.set(xlim=(0, 1), ylim=(-0.6, max(len(labels) - 0.4, 0.6)))
    if not names:
        axes.set_yticks([])
        axes.text(0.03, 0, NOTHING, va="center", fontsize=9, color="dimgray")
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def similarity(axes: Axes) -> None:
    """Cosine between the embeddings of all windows, recording after recording."""
    vectors, windows = Store(OUT / "demo.store").read()
    names = np.array([Path(name).stem for name in windows["path"].to_pylist()])
    order = np.argsort(names, kind="stable")
    vectors, names = vectors[order], names[order]
    centred: NDArray[Any] = vectors - vectors.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    picture = axes.imshow(centred @ centred.T, cmap="RdBu_r", vmin=-1, vmax=1)
    plt.colorbar(picture, ax=axes, label="cosine, mean removed", shrink=0.8)
    starts = [int(np.argmax(names == name)) for name in dict.fromkeys(names)]
    for start in starts[1:]:
        axes.axhline(start - 0.5, color="black", linewidth=0.5)
        axes.axvline(start - 0.5, color="black", linewidth=0.5)
    axes.set_yticks(starts, list(dict.fromkeys(names)), fontsize=7)
    axes.set_xticks([])
    axes.set_title("similarity of window embeddings", fontsize=9, loc="left")


def legend(axes: Axes) -> None:
    """Say what the colours of the bars mean."""
    axes.axis("off")
    axes.barh([0], [0], color="tab:green", label="the recordist's name")
    axes.barh([0], [0], color="tab:gray", label="another name")
    axes.legend(loc="upper left", frameon=False)


if __name__ == "__main__":
    sys.exit(main())
