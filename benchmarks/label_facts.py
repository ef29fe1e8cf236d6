"""What the bundled card says of its scores: calibration, thresholds, and which sounds are familiar.

    python benchmarks/label_facts.py FOLDER_OF_THE_CORPUS [--cache FOLDER] [--test]

Fits all of it for whatever weights the bundled folder holds, prints what it does, and writes the
card. With ``--test`` nothing is fitted or written: it is reported what the card gives on
the test recordings, which chose nothing. Give every set of weights a cache of its own.

Calibration: the method that fits scores best of validation recordings that it was not fitted on, as
for probes. Labels share one threshold, from which on eight in ten rows are right over all of them.
A label has its own where `OWN_RECORDINGS` recordings have it, eight in ten rows are right from
there on, and at least seven in ten on recordings that did not set it: a lower one, or a higher one
where under half of its rows are right from the shared one on, or `MANY_GROUPS` groups of recordings
have it. No label takes part with more than `MOST_RECORDINGS` recordings, or its share of the corpus
would pass for its share of the field.

Unfamiliar sounds: a plane in the embedding that tells sounds made by formula from training windows,
moved so far that 99 in 100 validation windows with known sounds pass. Distance to clusters of the
training windows, to the nearest of them, and the energy of the logits tell them worse; see
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from label_corpus import Corpus
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from unlike_training import FAMILIES, encoded

from dawnchorus.configs.readout import BY_BAND, Readout
from dawnchorus.engine.detections.raw_scores import RawScores
from dawnchorus.engine.encoding.model import DEFAULT_MODEL
from dawnchorus.labels import read_label_map
from dawnchorus.models.card import BUNDLED, CARD_FILE, LABELS_FILE, Card
from dawnchorus.models.label_facts import (
    Evidence,
    LabelFacts,
    ScoreCalibration,
    UnfamiliarSounds,
    levels_of,
)
from dawnchorus.probes.choose_calibration import choose_calibration
from dawnchorus.probes.folds import grouped_folds
from dawnchorus.probes.ranked import Goal, chosen_steps, rank_items
from dawnchorus.probes.reliability import brier, expected_calibration_error
from dawnchorus.probes.shares import clustered_share

if TYPE_CHECKING:
    from label_corpus import Heard
    from numpy.typing import NDArray
    from unlike_training import Made

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Rows = NDArray[np.int64]

FOLDER = BUNDLED / DEFAULT_MODEL
LEVEL = "sound"
MOST_RECORDINGS = 20
OWN_RECORDINGS = 5
MANY_GROUPS = 15  # from which on a higher threshold is no accident of a few recordings
GOAL = Goal(target=0.8, by_precision=True, confidence=0.0, seed=0)
SHORT = 0.1  # below the target, on recordings that did not set a threshold: it is not kept
LEAST = 0.3  # nothing that is likelier wrong than right by far is named
MATTERS = 0.05  # lower scores name nothing; they would only fill memory
FOLDS = 10
PASS = 0.99
STRENGTH = 1e-3  # of the ridge that the plane is fitted under, as its inverse
NOTE = "Probabilities that predict reports are calibrated; the scores in stores are not."
OLD_NOTES = ("Its scores are not calibrated", "Probabilities that predict reports")


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Scores of one label or several: arrays ``(n,)``, groups and recordings as numbers."""

    score: Floats
    right: Flags
    group: Rows
    recording: Rows


def balanced(truth: Flags, recording: Rows) -> Flags:
    """Windows of recordings, drawn so that none of their labels has too many of them."""
    n_recordings = int(recording.max()) + 1
    has = np.zeros((n_recordings, truth.shape[1]), np.int64)
    np.maximum.at(has, recording, truth.astype(np.int64))
    kept, count = np.zeros(n_recordings, bool), np.zeros(truth.shape[1], np.int64)
    for number in np.random.default_rng(0).permutation(n_recordings):
        if (count[has[number] > 0] < MOST_RECORDINGS).all():
            kept[number] = True
            count += has[number]
    return kept[recording]


def threshold_of(items: Items) -> float | None:
    """The lowest score from which on enough rows are right; None: from none on."""
    ranked = rank_items(items.score, items.right, items.group, GOAL)
    step = chosen_steps(ranked, GOAL)[0]
    return None if step < 0 else max(float(ranked.between[step]), LEAST)


def evidence_of(items: Items, fixed: float | None = None) -> Evidence | None:
    """What such a threshold gives on groups that did not set it; None: nothing reaches it.

    ``fixed``: a threshold that other labels set too; then what it gives on all of them.
    """
    fold_of = grouped_folds(items.right[:, None], items.group, n_folds=FOLDS)
    reached = np.zeros(len(fold_of), bool)
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        others = Items(
            score=items.score[~inside],
            right=items.right[~inside],
            group=items.group[~inside],
            recording=items.recording[~inside],
        )
        value = threshold_of(others) if fixed is None else fixed
        reached[inside] = False if value is None else items.score[inside] >= value
    if not reached.any():
        return None
    share, low, high = clustered_share(items.right[reached], items.group[reached], 0.9)
    return Evidence(
        precision=round(share, 2),
        low=round(low, 2),
        high=round(high, 2),
        n_recordings=len(np.unique(items.recording[items.right])),
    )


def find_thresholds(p: Floats, truth: Flags, group: Rows, recording: Rows) -> dict[str, Any]:
    """Thresholds and their evidence, by column; those of all other labels under None."""
    everything = np.arange(p.shape[1])
    shared = threshold_of(pooled(everything, p, truth, group, recording))
    if shared is None:
        raise SystemExit(f"from no score on are {GOAL.target:.0%} of the rows right")
    own: dict[int, tuple[float, Evidence]] = {}
    for k in everything:
        items = Items(score=p[:, k], right=truth[:, k], group=group, recording=recording)
        n_groups = len(np.unique(group[items.right]))
        if min(n_groups, len(np.unique(recording[items.right]))) < OWN_RECORDINGS:
            continue
        value, evidence = threshold_of(items), evidence_of(items)
        if value and evidence and evidence.precision >= GOAL.target - SHORT:
            named = items.right[items.score >= shared]
            is_wrong = len(named) > 0 and named.mean() < 1 / 2
            if value < shared or is_wrong or n_groups >= MANY_GROUPS:
                own[int(k)] = value, evidence
    rest = np.setdiff1d(everything, list(own))
    evidence = evidence_of(pooled(rest, p, truth, group, recording), shared)
    return {"own": own, "shared": (shared, evidence)}


def pooled(columns: Rows, p: Floats, truth: Flags, group: Rows, recording: Rows) -> Items:
    """Scores of several labels that could matter, as those of one."""
    at, column = np.nonzero(p[:, columns] >= MATTERS)
    column = columns[column]
    return Items(
        score=p[at, column], right=truth[at, column], group=group[at], recording=recording[at]
    )


def reliability(p: Floats, truth: Flags) -> str:
    """Brier score and calibration error of scores ``(n,)``."""
    error = expected_calibration_error(p, truth)
    return f"Brier score {brier(p, truth):.4f}, calibration error {error:.4f}"


def bins(name: str, p: Floats, truth: Flags) -> None:
    """Print how often scores of a tenth are right."""
    print(f"  {name}: score, how many, share right")
    edges = [MATTERS, *np.arange(0.1, 1.01, 0.1)]
    for low, high in zip(edges, [*edges[1:-1], 1.01], strict=False):
        inside = (p >= low) & (p < high)
        if inside.any():
            print(f"    {p[inside].mean():.3f} {inside.sum():5d} {truth[inside].mean():.3f}")


def calibrated(logits: Any, truth: Flags, group: Rows) -> tuple[ScoreCalibration, Floats, str]:
    """One line for all labels, fitted on the scores that could matter.

    Lines or isotonic maps of single labels have a lower log loss over all scores, those of 0.001
    too, but the scores that name something are then farther off.

    Returns:
        The line; probabilities ``(windows, labels)``, each by a line of other recordings; and what
        was measured.
    """
    before = RawScores().of_logits(logits).astype(np.float64)
    at, column = np.nonzero(before >= MATTERS)
    arrays = (logits[at, column][:, None], truth[at, column][:, None], group[at])
    choice = choose_calibration(*arrays, multi_label=True)
    print("log loss of scores, held out:", {k: round(v, 4) for k, v in choice.losses.items()})
    if choice.calibration.isotonic or choice.calibration.method == "platt":
        choice = choose_calibration(*arrays, multi_label=True, method="platt_shared")
    c = choice.calibration
    print(f"{c.method} is kept: {c.reason}")
    slope = c.slope[0] if c.slope else 1 / c.temperature
    line = ScoreCalibration(slope=round(slope, 4), offset=round(sum(c.offset), 4))
    after = RawScores(line).of_logits(logits).astype(np.float64)
    after[at, column] = choice.after[:, 0]
    measured = [reliability(p[:, 0], arrays[1][:, 0]) for p in (choice.before, choice.after)]
    text = f"on recordings that did not fit it, before: {measured[0]}; after: {measured[1]}"
    bins("before", choice.before, arrays[1])
    bins("after", choice.after, arrays[1])
    return line, after, text


def fit_scores(corpus: Corpus, heard: Heard, truth: Flags) -> LabelFacts:
    """Calibration and thresholds."""
    recording = np.unique(heard.path, return_inverse=True)[1].astype(np.int64)
    kept = balanced(truth, recording)
    truth, group, recording = truth[kept], corpus.groups(heard)[kept], recording[kept]
    line, p, measured = calibrated(heard.logits[kept], truth, group)
    found = find_thresholds(p, truth, group, recording)
    shared, shared_evidence = found["shared"]
    own = {corpus.labels[k]: pair for k, pair in found["own"].items()}
    windows = (
        f"{len(truth)} windows of {len(np.unique(recording))} validation recordings, at most "
        f"{MOST_RECORDINGS} of a label"
    )
    origin = (
        f"{windows}, which were not trained on and chose the step: from a threshold on "
        f"{GOAL.target:.0%} of the rows are right; precision and 90 % interval are of recordings "
        "that did not set it (benchmarks/label_facts.py); of no other recorder or place"
    )
    return LabelFacts(
        level=LEVEL,
        levels=corpus.levels(LEVEL),
        threshold=round(shared, 3),
        thresholds={label: round(value, 3) for label, (value, _) in own.items()},
        evidence={label: evidence for label, (_, evidence) in own.items()},
        shared_evidence=shared_evidence,
        origin=origin,
        calibration=line.model_copy(update={"origin": f"{windows}; {measured}"}),
    )


def plane(train: Any, made: Any, val: Any) -> tuple[Floats, float]:
    """Weights and offset that tell made sounds from training windows, 99 in 100 of ``val`` below.

    All three are embeddings ``(n, dim)``.
    """
    mean, std = train.mean(axis=0), train.std(axis=0) + 1e-6
    x = (np.concatenate([train, made]) - mean) / std
    y = np.repeat([0, 1], [len(train), len(made)])
    model = LogisticRegression(C=STRENGTH, max_iter=1000, class_weight="balanced").fit(x, y)
    weights = model.coef_[0] / std
    return weights, -float(np.quantile(val @ weights, PASS))


def fit_unfamiliar(
    train: Any, known: Any, group: Rows, made: Made, parts: tuple[Any, ...]
) -> UnfamiliarSounds:
    """What tells made sounds best by one part of the model's own readout.

    Args:
        train: vectors of training windows.
        known: vectors of validation windows with known sounds.
        group: of those.
        made: sounds unlike both.
        parts: of the readout.

    The part is chosen by kinds of sounds that it was not fitted on, a family of them at a time.
    """
    if any(part.pooling in BY_BAND for part in parts):
        raise SystemExit(f"parts of {parts} differ in width: name those that are to be tried here")
    width = train.shape[1] // len(parts)
    shares: dict[int, dict[str, float]] = {}
    for number, part in enumerate(parts):
        columns = slice(number * width, (number + 1) * width)
        t, v, m = (x[:, columns] for x in (train, known, made.vectors))
        shares[number] = {}
        areas = []
        for family in FAMILIES:
            unseen = np.isin(made.kinds, family)
            weights, offset = plane(t, m[~unseen], v)
            beyond = m @ weights + offset
            truth = np.repeat([0, 1], [len(v), unseen.sum()])
            scores = np.concatenate([v @ weights + offset, beyond[unseen]])
            areas.append(roc_auc_score(truth, scores))
            for kind in family:
                shares[number][kind] = float((beyond[made.kinds == kind] > 0).mean())
        caught = np.mean([*shares[number].values()])
        print(f"  {part!s:12s} of unseen kinds {caught:.2f} beyond, area {np.mean(areas):.3f}")
    best = max(shares, key=lambda number: np.mean([*shares[number].values()]))
    columns = slice(best * width, (best + 1) * width)
    t, v = train[:, columns], known[:, columns]
    weights, offset = plane(t, made.vectors[made.for_fitting][:, columns], v)
    fold_of = grouped_folds(np.ones((len(v), 1)), group, n_folds=FOLDS)
    scores = v @ weights
    lost = np.mean(
        [
            np.mean(scores[fold_of == fold] > np.quantile(scores[fold_of != fold], PASS))
            for fold in np.unique(fold_of)
        ]
    )
    telling = ", ".join(f"{kind} {share:.0%}" for kind, share in shares[best].items())
    origin = (
        f"fitted to tell sounds made by formula from {len(t)} training windows; beyond it lie "
        f"{lost:.1%} of {len(v)} validation windows with known sounds, in recordings that did not "
        f"set it, and, of kinds of sounds that it was not fitted on: {telling} "
        "(benchmarks/label_facts.py)"
    )
    return UnfamiliarSounds(
        readout=str(Readout((parts[best],))),
        weights=tuple(float(f"{w:.4g}") for w in weights),
        offset=round(offset, 4),
        origin=origin,
    )


def named(card: Card, logits: Any, unfamiliar: Flags) -> Flags:
    """Which labels of windows ``predict`` names."""
    labels = read_label_map(FOLDER / LABELS_FILE)
    p = RawScores.of_card(card).of_logits(logits)
    reached = p >= np.array(card.label_facts.lowest(labels), np.float32)
    return np.asarray(reached & ~unfamiliar[:, None])


def beyond_limit(card: Card, vectors: Any) -> Flags:
    """Which windows are unfamiliar."""
    flags = RawScores.of_card(card).unfamiliar_in(vectors, card.config.readout)
    return np.zeros(len(vectors), bool) if flags is None else flags


def report_made(card: Card, made: Made, labels: list[str]) -> None:
    """Print what is named in made sounds that fitted nothing, with and without the limit."""
    levels = np.array(levels_of(labels, card.label_facts))
    animal = (levels != LEVEL) & (levels != "")
    fresh, flags = ~made.for_fitting, beyond_limit(card, made.vectors)
    print("made sounds: share beyond, named without and with the limit, the same as an animal")
    for kind in [*dict.fromkeys(made.kinds.tolist()), "all"]:
        rows = fresh & ((made.kinds == kind) | (kind == "all"))
        without = named(card, made.logits[rows], np.zeros(rows.sum(), bool))
        with_it = named(card, made.logits[rows], flags[rows])
        often = Counter(labels[k] for k in np.nonzero(without)[1]).most_common(3)
        print(
            f"  {kind:20s}{flags[rows].mean():.2f}, {without.any(1).mean():.2f} "
            f"{with_it.any(1).mean():.2f}, {without[:, animal].any(1).mean():.2f} "
            f"{with_it[:, animal].any(1).mean():.2f} {often}"
        )


def report_rows(corpus: Corpus, card: Card, heard: Heard, truth: Flags) -> None:
    """Print how many rows are right, in all and by level, and what calibration changed."""
    flags, known = beyond_limit(card, heard.vectors), truth.any(axis=1)
    lost = Counter(
        name for row in truth[known & flags] for name in np.array(corpus.labels)[row].tolist()
    )
    print(
        f"unfamiliar: {flags[known].mean():.2%} of {known.sum()} windows with known sounds, most "
        f"of {lost.most_common(8)}; {flags[~known].sum()} of {(~known).sum()} without any"
    )
    group, levels = corpus.groups(heard), np.array(levels_of(corpus.labels, card.label_facts))
    for title, unfamiliar in (("without the limit", np.zeros_like(flags)), ("with it", flags)):
        rows, column = np.nonzero(named(card, heard.logits, unfamiliar))
        right = truth[rows, column]
        for level in ["all", *sorted(set(levels[column]))]:
            of = np.ones(len(rows), bool) if level == "all" else levels[column] == level
            share, low, high = clustered_share(right[of], group[rows[of]], 0.9)
            print(
                f"{title}, {level}: {right[of].sum()} of {of.sum()} rows right, {share:.2f} "
                f"({low:.2f} to {high:.2f}), {len(np.unique(heard.path[rows[of]]))} recordings"
            )
    matters = RawScores().of_logits(heard.logits) >= MATTERS
    for title, raw in (("sigmoid", RawScores()), ("calibrated", RawScores.of_card(card))):
        p = raw.of_logits(heard.logits).astype(np.float64)
        print(f"{title}: {reliability(p[matters], truth[matters])}")
        bins(title, p, truth)


def main() -> None:
    """Fit and write, or report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--cache", type=Path, help="keep what was encoded here; one per weights")
    parser.add_argument("--test", action="store_true")
    given = parser.parse_args()
    corpus = Corpus(given.corpus, read_label_map(FOLDER / LABELS_FILE))
    card = Card.read(FOLDER / CARD_FILE)
    if given.test:
        heard = corpus.heard("test", given.cache)
        report_rows(corpus, card, heard, corpus.truth(heard))
        return
    val, made = corpus.heard("val", given.cache), encoded()
    truth = corpus.truth(val)
    facts, known = fit_scores(corpus, val, truth), truth.any(axis=1)
    unfamiliar = fit_unfamiliar(
        corpus.heard("train", given.cache).vectors,
        val.vectors[known],
        corpus.groups(val)[known],
        made,
        card.config.readout.parts,
    )
    facts = facts.model_copy(update={"unfamiliar": unfamiliar})
    notes = (*(n for n in card.notes if not n.startswith(OLD_NOTES)), NOTE)
    card = card.model_copy(update={"label_facts": facts, "notes": notes})
    card.write(FOLDER / CARD_FILE)
    print(facts.threshold, facts.shared_evidence)
    for label, value in facts.thresholds.items():
        print(f"  {label:28s}{value:.3f} {facts.evidence[label].text}")
    report_made(card, made, corpus.labels)
    report_rows(corpus, card, val, truth)


if __name__ == "__main__":
    main()
