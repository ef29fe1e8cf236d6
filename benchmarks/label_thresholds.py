"""From which score on the bundled model's labels are believed, found on validation recordings.

    python benchmarks/label_thresholds.py FOLDER_OF_THE_CORPUS [--test]

Writes the thresholds into the bundled card. With ``--test`` nothing is written: the share of rows
that are right is reported for the test recordings, which chose nothing.

A row is right if its label is the recording's, or the family or order of its species; in made-up
scenes, if the call lies in the window; ``speech`` is right wherever people speak. One threshold
serves all labels: the lowest score from which on at least eight in ten rows are right, without the
label that has most recordings, which would decide alone. A label has its own where its validation
rows say otherwise: a lower one if eight in ten are right from there on, in five recordings or
more; a higher one, just above its highest wrong score, if under half of three rows or more are
right from the shared one on.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from dawnchorus import predict
from dawnchorus.engine.encoding.model import DEFAULT_MODEL
from dawnchorus.labels import read_label_map
from dawnchorus.models.card import BUNDLED, CARD_FILE, LABELS_FILE, Card
from dawnchorus.models.label_facts import LabelFacts, levels_of

RIGHT_SHARE = 0.8
OWN_RECORDINGS = 5
LEAST = 0.3
LEVEL = "sound"
FOLDER = BUNDLED / DEFAULT_MODEL


class Row(NamedTuple):
    """A window and a label."""

    label: str
    score: float
    right: bool
    recording: str


class Corpus:
    """The corpus's manifest, and what is heard when."""

    def __init__(self, folder: Path, labels: list[str]) -> None:
        """Read it."""
        self.folder = folder
        rows = pq.read_table(folder / "manifest.parquet").to_pylist()
        self.rows = [row for row in rows if row["level"] == "file"]
        self.by_path = {row["path"]: row for row in self.rows}
        self._known = set(labels)
        self._above = {row["scientific_name"]: (row["family"], row["order"]) for row in rows}
        self._events: dict[str, list[dict[str, str]]] = defaultdict(list)
        with (folder / "events.csv").open(encoding="utf-8", newline="") as file:
            for event in csv.DictReader(file):
                self._events[event["path"]].append(event)

    def heard(self, path: str, start_s: float, stop_s: float) -> set[str]:
        """Labels that are right in a window."""
        row = self.by_path[path]
        if row["dataset"] == "scenes":
            names = {
                event["label"]
                for event in self._events[path]
                if float(event["start_s"]) < stop_s - 0.1 and float(event["stop_s"]) > start_s + 0.1
            }
        else:
            names = {*row["labels"], row["scientific_name"] or ""}
        if "Homo sapiens" in names:
            names.add("speech")
        above = {rank for name in names for rank in self._above.get(name, ())}
        return (names | above) & self._known

    def levels(self) -> dict[str, str]:
        """Levels of labels that their names do not show."""
        kinds = {label: row["kind"] for row in self.rows for label in row["labels"]}
        names = sorted(self._known & kinds.keys())
        shown = levels_of(names, LabelFacts(level=LEVEL))
        return {n: kinds[n] for n, level in zip(names, shown, strict=True) if level != kinds[n]}

    def scored(self, split: str) -> list[Row]:
        """Every window of a split with every label of a score that could matter."""
        chosen = [row["path"] for row in self.rows if row["split"] == split]
        report = predict([self.folder / path for path in chosen], threshold=0.005)
        found = []
        for row in report.table.to_pylist():
            path = f"audio/{row['path'].removeprefix('audio/')}"
            right = row["label"] in self.heard(path, row["start_s"], row["stop_s"])
            found.append(Row(row["label"], row["probability"], right, path))
        return found


def lowest(rows: list[Row], least_recordings: int) -> float | None:
    """The lowest score from which on enough rows are right, in enough recordings."""
    found, n_right, recordings = None, 0, set()
    for n, row in enumerate(sorted(rows, key=lambda row: -row.score), 1):
        n_right += row.right
        if row.right:
            recordings.add(row.recording)
        if n_right / n >= RIGHT_SHARE and len(recordings) >= least_recordings:
            found = row.score
    return None if found is None else max(found, LEAST)


def own(rows: list[Row], shared: float) -> float | None:
    """A label's own threshold, None where the shared one serves."""
    lower = lowest(rows, OWN_RECORDINGS)
    if lower is not None and lower < shared:
        return lower
    above = [row for row in rows if row.score >= shared]
    if len(above) >= 3 and sum(row.right for row in above) * 2 < len(above):
        return min(max(row.score for row in above if not row.right) + 0.001, 1.0)
    return None


def find(rows: list[Row], levels: dict[str, str]) -> LabelFacts:
    """Thresholds of the labels."""
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_label[row.label].append(row)
    recordings = Counter(label for label, _ in {(r.label, r.recording) for r in rows if r.right})
    [(largest, _)] = recordings.most_common(1)
    shared = lowest([row for row in rows if row.label != largest], 10)
    if shared is None:
        raise SystemExit(f"from no score on are {RIGHT_SHARE:.0%} of the rows right")
    owned = {label: own(of, shared) for label, of in sorted(by_label.items())}
    origin = (
        f"{len({row.recording for row in rows})} validation recordings, which were not trained on "
        f"and chose the step: from the shared threshold on {RIGHT_SHARE:.0%} of the rows are right "
        "(benchmarks/label_thresholds.py); not calibrated, and of no other recorder or place"
    )
    return LabelFacts(
        level=LEVEL,
        levels=levels,
        threshold=round(shared, 3),
        thresholds={label: round(value, 3) for label, value in owned.items() if value is not None},
        origin=origin,
    )


def shares(rows: list[Row], facts: LabelFacts) -> str:
    """How many rows are right, in all and by level."""
    labels = sorted({row.label for row in rows})
    high = dict(zip(labels, facts.lowest(labels), strict=True))
    level = dict(zip(labels, levels_of(labels, facts), strict=True))
    kept = [row for row in rows if row.score >= high[row.label]]
    lines = [_share("all", kept)]
    lines += [
        _share(name, [r for r in kept if level[r.label] == name])
        for name in sorted({*level.values()})
    ]
    return "\n".join(lines)


def _share(name: str, rows: list[Row]) -> str:
    by_recording = len({row.recording for row in rows})
    right = sum(row.right for row in rows)
    return f"{name}: {len(rows)} rows of {by_recording} recordings, {right} right"


def main() -> None:
    """Find and write, or report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--test", action="store_true")
    given = parser.parse_args()
    corpus = Corpus(given.corpus, read_label_map(FOLDER / LABELS_FILE))
    card = Card.read(FOLDER / CARD_FILE)
    if given.test:
        print(shares(corpus.scored("test"), card.label_facts))
        return
    rows = corpus.scored("val")
    facts = find(rows, corpus.levels())
    print(facts.threshold, facts.thresholds, shares(rows, facts), sep="\n")
    card.model_copy(update={"label_facts": facts}).write(FOLDER / CARD_FILE)


if __name__ == "__main__":
    main()
