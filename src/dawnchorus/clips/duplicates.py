"""Near-duplicates among the files of a manifest: re-encoded, shifted, trimmed, louder or softer.

Every pair of files is compared by its landmarks (see `dawnchorus.clips.fingerprints`), through an
index, so that pairs that share nothing cost nothing. Pairs that share several at one distance in
time are aligned and compared sample by sample.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.compute as pc

from dawnchorus.clips.fingerprints import HOP_SAMPLES, RATE_HZ, landmarks
from dawnchorus.clips.manifest import SPLITS, texts
from dawnchorus.clips.parallel import in_threads, one_core_each
from dawnchorus.clips.sounds import FileSounds
from dawnchorus.errors import AudioError
from dawnchorus.failures import Failure
from dawnchorus.progress import NO_PROGRESS, Progress
from dawnchorus.store.files import write_whole
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Manifest

    Fingerprint = tuple[NDArray[np.int64], NDArray[np.int64]]  # landmarks, and their frames

# Landmarks at one distance for a pair to be looked at closely: at least so many, and such a share
# of those that the two have where they overlap, but never more than the last.
MIN_VOTES, VOTE_SHARE, ENOUGH_VOTES = 4, 0.05, 60
COMMON_LANDMARK: Final = 200  # files with one: a landmark of so many says nothing
SAME_OFFSET_FRAMES: Final = 3  # votes that lie so near are for one distance
BLOCK_FILES: Final = 256
LONGEST_S: Final = 30.0  # of a pair that is compared sample by sample
SLACK_S: Final = 0.1  # by which votes may miss the true distance
MIN_OVERLAP_S: Final = 0.25
LOWEST_HZ: Final = 150.0  # hum is alike everywhere
# Samples must agree closely, and also in many landmarks, in most of them, or in every band:
# two calls of one pitch correlate for a moment, and so do two beeps. Chosen on copies of 80 sounds
# of 17 data sets in 14 ways (MP3, Vorbis and Opus also at their lowest rates, cuts, noise).
MIN_CORRELATION: Final = 0.5
MANY_VOTES, MOST_VOTES, MIN_WHITENED = 25, 0.4, 0.5
SMOOTH_HZ: Final = 60.0  # over which the spectrum is averaged to whiten it


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Two files that share sound.

    Attributes:
        path, other: the files, with the split and dataset of each.
        correlation: of the aligned samples, in [0, 1].
        offset_s: where in ``path`` what ``other`` begins with is, may be negative.
        overlap_s: how much of them lies beside each other.
    """

    path: str
    other: str
    split: str
    other_split: str
    dataset: str
    other_dataset: str
    correlation: float
    offset_s: float
    overlap_s: float

    @property
    def crosses_splits(self) -> bool:
        """Whether one is in another split than the other."""
        return self.split != self.other_split


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateReport:
    """What was compared, and which files share sound, those in different splits first.

    Attributes:
        n_files: fingerprinted.
        n_pairs: pairs of files compared by landmarks.
        n_verified: of them, compared sample by sample.
        found: pairs of files that share sound.
        failures: files that could not be read.
        without: files that have no landmark: silence, or too short to compare.
    """

    n_files: int
    n_pairs: int
    n_verified: int
    found: tuple[Duplicate, ...]
    failures: tuple[Failure, ...]
    without: tuple[str, ...]

    @property
    def n_between_splits(self) -> int:
        """How many duplicates lie in two splits."""
        return sum(pair.crosses_splits for pair in self.found)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Two files whose landmarks agree: ``time`` in the first, ``offset`` to the second, frames.

    ``votes`` landmarks do, a ``share`` of those that the two have beside each other.
    """

    first: int
    second: int
    offset: int
    time: int
    votes: int
    share: float


def find_duplicates(
    manifest: Manifest,
    *,
    between_splits: bool = False,
    threads: int = 0,
    progress: Progress = NO_PROGRESS,
) -> DuplicateReport:
    """Compare all files of a manifest with each other.

    Args:
        manifest: the clips; each of their files is taken whole.
        between_splits: leave out pairs that lie in one split.
        threads: files decoded at once; 0: one a core.
        progress: counts each file that was fingerprinted.
    """
    paths: list[str] = pc.unique(manifest.table["path"]).to_pylist()
    sounds = FileSounds(manifest.folder, RATE_HZ)
    prints: list[Fingerprint] = []
    failures: list[Failure] = []
    nothing = np.zeros(0, np.int64)
    advance = progress.start("fingerprints", len(paths), "files")
    # each thread decodes and transforms one file; torch must not start more threads for it
    with one_core_each():
        for result in in_threads(partial(_fingerprint, sounds), paths, threads):
            advance(1)
            if isinstance(result, Failure):
                failures.append(result)
            prints.append((nothing, nothing) if isinstance(result, Failure) else result)
    unread = {failure.path for failure in failures}
    without = [
        path
        for path, (keys, _) in zip(paths, prints, strict=True)
        if not len(keys) and path not in unread
    ]
    named = _names(manifest)
    splits = [named[path][0] for path in paths]
    candidates = [
        pair
        for pair in _candidates(prints)
        if not between_splits or splits[pair.first] != splits[pair.second]
    ]
    verify = partial(_verified, sounds, paths, named)
    found_pairs = [pair for pair in in_threads(verify, candidates, threads) if pair is not None]
    found_pairs.sort(key=lambda pair: (not pair.crosses_splits, -pair.correlation, pair.path))
    # pairs that could be compared: of files that could be read
    read = Counter(split for path, split in zip(paths, splits, strict=True) if path not in unread)
    n_read = sum(read.values())
    within = sum(n * (n - 1) // 2 for n in read.values()) if between_splits else 0
    return DuplicateReport(
        n_files=n_read,
        n_pairs=n_read * (n_read - 1) // 2 - within,
        n_verified=len(candidates),
        found=tuple(found_pairs),
        failures=tuple(failures),
        without=tuple(without),
    )


def write_duplicates(report: DuplicateReport, path: Path) -> None:
    """Write a CSV with a line for each pair."""
    names = [field.name for field in fields(Duplicate)]
    rows = ([getattr(pair, name) for name in names] for pair in report.found)
    write_whole(path, csv_text(names, rows).encode())


def without_duplicates(manifest: Manifest, report: DuplicateReport) -> Manifest:
    """Leave one file of each pair out: of train before val before test, or the later one."""
    # a test must not shrink: the side that is trained on loses its copy
    rank = {"": -1, **{name: place for place, name in enumerate(SPLITS)}}
    dropped: set[str] = set()
    for pair in report.found:
        if dropped & {pair.path, pair.other}:
            continue
        first_goes = rank[pair.split] < rank[pair.other_split]
        dropped.add(pair.path if first_goes else pair.other)
    keep = np.array([path not in dropped for path in manifest.table["path"].to_pylist()], bool)
    return manifest.filter(keep)


def _fingerprint(sounds: FileSounds, path: str) -> Fingerprint | Failure:
    try:
        return landmarks(sounds.read_whole(path))
    except AudioError as error:
        return Failure(path, error.reason, str(error))


def _names(manifest: Manifest) -> dict[str, tuple[str, str]]:
    """Split and dataset of each file: of its first row."""
    first = manifest.table.select(["path", "split", "dataset"])
    rows = zip(
        first["path"].to_pylist(),
        texts(first["split"]).to_pylist(),
        texts(first["dataset"]).to_pylist(),
        strict=True,
    )
    found: dict[str, tuple[str, str]] = {}
    for path, split, dataset in rows:
        found.setdefault(path, (split or "", dataset or ""))
    return found


def _candidates(prints: list[Fingerprint]) -> Iterator[_Candidate]:
    """Pairs that share enough landmarks at one distance, a block of first files at a time."""
    # all landmarks of all files in three long arrays; ``bounds`` says whose they are
    counts = [len(keys) for keys, _ in prints]
    file = np.repeat(np.arange(len(prints)), counts)
    key = np.concatenate([np.zeros(0, np.int64), *(keys for keys, _ in prints)])
    time = np.concatenate([np.zeros(0, np.int64), *(times for _, times in prints)])
    bounds = np.concatenate([[0], np.cumsum(counts)])
    # sorted by landmark, so that equal ones of other files lie beside each other
    order = np.argsort(key, kind="stable")
    index = (key[order], file[order], time[order], key, file)
    for start in range(0, len(prints), BLOCK_FILES):
        rows = slice(bounds[start], bounds[min(start + BLOCK_FILES, len(prints))])
        yield from _of_block(index, time, bounds, rows)


def _of_block(
    index: tuple[NDArray[np.int64], ...],
    all_times: NDArray[np.int64],
    bounds: NDArray[np.int64],
    rows: slice,
) -> Iterator[_Candidate]:
    """Pairs whose first file has its landmarks in some rows."""
    keys, files, times, all_keys, all_files = index
    key, file, time = all_keys[rows], all_files[rows], all_times[rows]
    # where each landmark of this block stands among those of all files
    low, high = np.searchsorted(keys, key, "left"), np.searchsorted(keys, key, "right")
    # hum and beeps give landmarks that hundreds of files share
    n_same = np.where(high - low <= COMMON_LANDMARK, high - low, 0)
    own = np.repeat(np.arange(len(key)), n_same)
    # counts up within each landmark: 0, 1, ... for each of its equals
    ramp = np.arange(len(own)) - np.repeat(np.cumsum(n_same) - n_same, n_same)
    other = low[own] + ramp
    later = files[other] > file[own]  # each pair once, and no file with itself
    own, other = own[later], other[later]
    # one number for two files, so that votes can be sorted by pair
    pair = file[own] * (len(bounds) - 1) + files[other]
    offset = time[own] - times[other]
    best: dict[int, tuple[int, int, int]] = {}
    # a vote counts for its own cell of distances and for the next, so that none is cut in two
    for shift in (0, 1):
        cell = offset // SAME_OFFSET_FRAMES + shift
        for name, found in _agreed(pair, cell, offset, time[own]):
            best[name] = max(best.get(name, (0, 0, 0)), found)
    for name, (votes, distance, when) in best.items():
        first, second = divmod(name, len(bounds) - 1)
        shared = _landmarks_beside(all_times, bounds, (first, second), distance)
        if votes >= min(max(MIN_VOTES, VOTE_SHARE * shared), ENOUGH_VOTES):
            yield _Candidate(first, second, distance, when, votes, votes / max(shared, 1))


def _agreed(
    pair: NDArray[np.int64],
    cell: NDArray[np.int64],
    offset: NDArray[np.int64],
    time: NDArray[np.int64],
) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Pairs with enough votes in one cell: how many, their distance, and where in the first."""
    order = np.lexsort([cell, pair])
    pair, cell, offset, time = pair[order], cell[order], offset[order], time[order]
    starts = np.flatnonzero(np.diff(pair, prepend=-1) | np.diff(cell, prepend=cell[:1]))
    votes = np.diff(starts, append=len(pair))
    for number in np.flatnonzero(votes >= MIN_VOTES).tolist():
        group = slice(starts[number], starts[number] + votes[number])
        # the middle vote: outliers of the cell do not move it
        middle = (int(np.median(offset[group])), int(np.median(time[group])))
        yield int(pair[starts[number]]), (int(votes[number]), *middle)


def _landmarks_beside(
    times: NDArray[np.int64], bounds: NDArray[np.int64], pair: tuple[int, int], offset: int
) -> int:
    """Landmarks of the two files where they lie beside each other; of the one that has fewer."""
    first, second = (times[bounds[number] : bounds[number + 1]] for number in pair)
    low, high = max(first[0], second[0] + offset), min(first[-1], second[-1] + offset)
    counts = [
        int(np.searchsorted(own, high - moved, "right") - np.searchsorted(own, low - moved, "left"))
        for own, moved in ((first, 0), (second, offset))
    ]
    return min(counts)


def _verified(
    sounds: FileSounds, paths: list[str], named: dict[str, tuple[str, str]], pair: _Candidate
) -> Duplicate | None:
    """The pair, if its samples agree as well."""
    first, second = (sounds.read_whole(paths[number]) for number in (pair.first, pair.second))
    offset = pair.offset * HOP_SAMPLES
    start, stop = max(0, offset), min(len(first), offset + len(second))
    overlap_s = (stop - start) / RATE_HZ
    if overlap_s < MIN_OVERLAP_S:
        return None
    middle = pair.time * HOP_SAMPLES
    reach = round(LONGEST_S * RATE_HZ / 2)
    low, high = max(start, middle - reach), min(stop, middle + reach)
    # the votes know the distance to a frame; the samples settle the rest
    slack = round(SLACK_S * RATE_HZ)
    piece = second[max(0, low - offset - slack) : high - offset + slack]
    correlation, lag = best_correlation(first[low:high], piece, MIN_OVERLAP_S)
    if correlation < MIN_CORRELATION:
        return None
    if pair.votes < MANY_VOTES and pair.share < MOST_VOTES:
        whitened, _ = best_correlation(*_whitened(first[low:high], piece), MIN_OVERLAP_S)
        if whitened < MIN_WHITENED:
            return None
    exact = low + lag - max(0, low - offset - slack)
    (split, dataset), (other_split, other_dataset) = (
        named[paths[number]] for number in (pair.first, pair.second)
    )
    return Duplicate(
        path=paths[pair.first],
        other=paths[pair.second],
        split=split,
        other_split=other_split,
        dataset=dataset,
        other_dataset=other_dataset,
        correlation=round(correlation, 3),
        offset_s=round(exact / RATE_HZ, 4),
        overlap_s=round(overlap_s, 3),
    )


def best_correlation(
    first: NDArray[np.float32], second: NDArray[np.float32], min_overlap_s: float
) -> tuple[float, int]:
    """Largest correlation of two sounds over all ways to lay one beside the other.

    Of their analytic signals, so that neither a turned phase nor part of a sample matters. Only
    distances at which at least half of the shorter one, and ``min_overlap_s``, overlap.

    Returns:
        The correlation in [0, 1], and the place of ``second``'s beginning in ``first``.
    """
    # long enough that the ends do not wrap around onto each other
    size = 1 << int(len(first) + len(second) - 1).bit_length()
    lowest = round(LOWEST_HZ / RATE_HZ * size)
    spectra = [np.fft.rfft(part, size) for part in (first, second)]
    for spectrum in spectra:
        # wind and hum correlate between any two recordings
        spectrum[:lowest] = 0
    filtered = [
        np.fft.irfft(spectrum, size)[: len(part)]
        for spectrum, part in zip(spectra, (first, second), strict=True)
    ]
    cross = np.zeros(size, complex)
    # the other half stays 0: what comes back is the analytic signal of the correlation
    cross[: len(spectra[0])] = spectra[0] * np.conj(spectra[1])
    product = np.abs(np.fft.ifft(cross))  # of positive frequencies: half of an analytic signal
    lags = np.arange(1 - len(second), len(first))
    start, stop = np.maximum(lags, 0), np.minimum(lags + len(second), len(first))
    # running sums of squares, so that the energy of any overlap is a difference
    energy = [np.concatenate([[0.0], np.cumsum(part.astype(np.float64) ** 2)]) for part in filtered]
    held = (energy[0][stop] - energy[0][start]) * (energy[1][stop - lags] - energy[1][start - lags])
    needed = max(min_overlap_s * RATE_HZ, min(len(first), len(second)) / 2)
    fits = (stop - start >= needed) & (held > 0)
    if not fits.any():
        return 0.0, 0
    score = np.where(fits, 2 * product[lags % size] / np.sqrt(np.where(fits, held, 1.0)), 0.0)
    best = int(np.argmax(score))
    return float(min(score[best], 1.0)), int(lags[best])


def _whitened(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both through one filter that makes their common spectrum half as uneven, in decibels."""
    size = 1 << int(max(len(first), len(second)) - 1).bit_length()
    width = max(1, round(SMOOTH_HZ / RATE_HZ * size))
    spectra = [np.fft.rfft(part, size) for part in (first, second)]
    places = np.arange(len(spectra[0]))
    low, high = np.maximum(places - width, 0), np.minimum(places + width + 1, len(places))
    level = np.ones(len(places))
    for spectrum in spectra:
        sums = np.concatenate([[0.0], np.cumsum(np.abs(spectrum) ** 2)])
        smooth = (sums[high] - sums[low]) / (high - low)
        level *= smooth / max(float(smooth.max()), 1e-30) + 1e-12
    # the level is a product of two powers: its eighth root is the root of their mean amplitude
    flat = [np.fft.irfft(spectrum * level ** (-1 / 8), size) for spectrum in spectra]
    return flat[0][: len(first)].astype(np.float32), flat[1][: len(second)].astype(np.float32)
