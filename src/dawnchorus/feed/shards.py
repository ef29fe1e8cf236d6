"""Manifests packed into WebDataset tar shards, with an index that finds each sound by its bytes.

A sample is a FLAC of 16 bits at the model's rate, mono, and a JSON of what is known of it; all rows
of one file share one sample, cut to what they cover. The index is a manifest of its own: its paths
name shard, first byte and size, so whatever reads manifests reads it, and reads only those bytes.

The same manifest gives the same bytes. A shard that is complete is not made again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.audio.decode.flac import encode_flac
from dawnchorus.audio.frontend import FRAME_SAMPLES, SAMPLE_RATE
from dawnchorus.clips.manifest import Manifest, decoded, with_column, write_manifest
from dawnchorus.clips.parallel import in_threads
from dawnchorus.clips.sounds import FileSounds, member_path
from dawnchorus.configs.json_file import read_json
from dawnchorus.errors import AudioError, TaskError, UsageError
from dawnchorus.failures import Failure
from dawnchorus.feed.draws import shuffled_place
from dawnchorus.progress import NO_PROGRESS, Progress
from dawnchorus.store.files import remove_leftovers, sync_folder, whole_file, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.progress import Advance

INDEX: Final = "index.parquet"
PLAN: Final = "packing.json"
PREFIX: Final = "shard"  # of the shards' names
BYTES_PER_S: Final = 18_000  # of such FLAC, a guess from which the number of shards follows
_OLD: Final = ("path", "sha256")  # of the file that was packed, kept as packed_path, packed_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class PackReport:
    """What was packed.

    Attributes:
        index: the index's file.
        n_shards: in all, n_made: of them, those that were not there before.
        n_files: packed; n_clips: rows of the index.
        n_bytes: of all shards.
        hours: of sound in them.
        n_clipped: files whose peak went beyond full scale, most often by resampling.
        failures: files that could not be read; their rows are not in the index.
    """

    index: Path
    n_shards: int
    n_made: int
    n_files: int
    n_clips: int
    n_bytes: int
    hours: float
    n_clipped: int
    failures: tuple[Failure, ...]


def pack_manifest(
    manifest: Manifest,
    folder: Path,
    *,
    shard_mb: float = 500.0,
    shuffle_seed: int | None = 0,
    threads: int = 0,
    progress: Progress = NO_PROGRESS,
) -> PackReport:
    """Write shards and their index into a folder; what an earlier, stopped run made is kept.

    Args:
        manifest: the clips; their lengths must be known.
        folder: where to write; empty, or of the same packing.
        shard_mb: about how large a shard becomes.
        shuffle_seed: of the order of files, so that each shard is a fair sample; None: as they are.
        threads: files decoded at once; 0: one a core.
        progress: counts each file that is in a shard.

    Raises:
        UsageError: ``shard_mb`` is not above 0.
        TaskError: A length is not known, the folder holds another packing, or nothing can be read.
    """
    if not shard_mb > 0:  # a NaN is not, either
        raise UsageError(f"shard_mb {shard_mb:g}: need a size above 0, in megabytes")
    plan = _Packing(manifest, shard_mb, shuffle_seed)
    _claim(folder, plan)
    # notes of the shards, also of those that an earlier run wrote
    done: list[dict[str, Any]] = []
    n_made = 0
    advance = progress.start("packing", len(plan.paths), "files")
    for number in range(plan.n_shards):
        # the note is written after its shard, so both are there or the shard is made again
        facts_file = folder / f"{plan.name(number)}.json"
        if not (facts_file.is_file() and (folder / f"{plan.name(number)}.tar").is_file()):
            facts = _write_shard(plan, number, folder, threads, advance)
            write_whole(facts_file, json.dumps(facts).encode())
            n_made += 1
        else:
            advance(len(plan.files(number)))
        done.append(_facts(facts_file, plan))
    index, beyond = _index(plan, done, folder)
    write_manifest(index, folder / INDEX)
    return PackReport(
        index=folder / INDEX,
        n_shards=plan.n_shards,
        n_made=n_made,
        n_files=sum(len(facts["files"]) for facts in done),
        n_clips=len(index),
        n_bytes=sum(facts["n_bytes"] for facts in done),
        hours=sum(f["n_samples"] for facts in done for f in facts["files"]) / SAMPLE_RATE / 3600,
        n_clipped=sum(f["clipped"] for facts in done for f in facts["files"]),
        failures=(*(_failure(row) for facts in done for row in facts["bad"]), *beyond),
    )


class _Packing:
    """Which files go into which shard, a function of the manifest and the options alone."""

    def __init__(self, manifest: Manifest, shard_mb: float, shuffle_seed: int | None) -> None:
        stop_s = manifest.seconds("stop_s")
        if np.isnan(stop_s).any():
            row = int(np.flatnonzero(np.isnan(stop_s))[0])
            raise TaskError(
                f"{manifest.named}: the length of {manifest[row].id!r} is not known; `dawnchorus "
                "data check MANIFEST -o MEASURED` measures it"
            )
        self.manifest = manifest
        self.options = {"shard_mb": shard_mb, "shuffle_seed": shuffle_seed, "prefix": PREFIX}
        unique = pc.unique(manifest.table["path"])
        self.paths: list[str] = unique.to_pylist()
        file = pc.index_in(manifest.table["path"], unique).to_numpy().astype(np.int64)
        n_files = len(self.paths)
        self.start_s = np.full(n_files, np.inf)
        self.stop_s = np.zeros(n_files)
        np.minimum.at(self.start_s, file, manifest.seconds("start_s"))
        np.maximum.at(self.stop_s, file, stop_s)
        self._rows = np.argsort(file, kind="stable")
        self._bounds = np.concatenate([[0], np.cumsum(np.bincount(file, minlength=n_files))])
        n_bytes = (self.stop_s - self.start_s).sum() * BYTES_PER_S
        self.n_shards = min(max(1, round(n_bytes / (shard_mb * 1e6))), max(n_files, 1))
        key = shuffle_seed
        self._order = np.array(
            [n if key is None else shuffled_place(n, n_files, key) for n in range(n_files)],
            np.int64,
        )

    def name(self, number: int) -> str:
        return f"{PREFIX}-{number:06d}"

    def files(self, number: int) -> NDArray[np.int64]:
        """Files of a shard, in order."""
        # cut evenly: no shard is smaller than another by more than a file
        edges = np.linspace(0, len(self.paths), self.n_shards + 1).round().astype(int)
        return self._order[edges[number] : edges[number + 1]]

    def rows(self, file: int) -> NDArray[np.int64]:
        """Rows of the manifest that a file has."""
        return self._rows[self._bounds[file] : self._bounds[file + 1]]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What must be the same for a packing to resume."""
        sink = _Digest()
        table = decoded(self.manifest.table)
        # hashed as it streams: a table of millions is never held twice
        with pa.PythonFile(sink, mode="w") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
        return {**self.options, "n_shards": self.n_shards, "clips": sink.sha256.hexdigest()}


class _Digest(io.RawIOBase):
    """A file that keeps nothing of what is written but its hash."""

    def __init__(self) -> None:
        super().__init__()
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.sha256.update(content)
        return len(content)


def _read(note: Path) -> dict[str, Any]:
    try:
        values = read_json(note)
    except (OSError, ValueError) as error:
        raise TaskError(f"{note}: damaged ({error}); choose an empty folder") from error
    if not isinstance(values, dict):
        raise TaskError(f"{note}: damaged (no object); choose an empty folder")
    return values


def _facts(note: Path, plan: _Packing) -> dict[str, Any]:
    """What is in a shard, as `_write_shard` gave it.

    Raises:
        TaskError: The note is damaged, or of other files.
    """
    facts = _read(note)
    try:
        n_files = len(plan.paths)
        numbers = [
            file[key]
            for file in facts["files"]
            for key in ("file", "offset", "size", "n_samples", "clipped")
        ]
        whole = all(isinstance(n, int) and n >= 0 for n in [*numbers, facts["n_bytes"]])
        whole &= all(file["file"] < n_files for file in facts["files"])
        whole &= all(isinstance(text, str) for row in facts["bad"] for text in row)
        whole &= all(len(row) in {2, 3} for row in facts["bad"])
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise TaskError(f"{note}: damaged; remove it, and its shard is made again")
    return facts


def _claim(folder: Path, plan: _Packing) -> None:
    """Mark the folder as that of this packing.

    Raises:
        TaskError: It holds another one, or other files.
    """
    note = folder / PLAN
    if note.is_file():
        held = _read(note)
        differs = [name for name, value in plan.identity.items() if held.get(name) != value]
        if differs:
            raise TaskError(
                f"{folder}: holds another packing, made with another {', '.join(differs)}; "
                "choose an empty folder"
            )
        remove_leftovers(folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("*.tar")):
        raise TaskError(f"{folder}: holds shards that are not of this packing; choose an empty one")
    write_whole(note, json.dumps(plan.identity, indent=1).encode())


def _failure(row: list[str]) -> Failure:
    """A failure as a shard's note has it; notes of before 0.2 have no reason."""
    return Failure(row[0], "unreadable" if len(row) == 2 else row[1], row[-1])


@dataclass(frozen=True, slots=True)
class _Sample:
    file: int
    flac: bytes
    n_samples: int
    clipped: bool


def _write_shard(
    plan: _Packing, number: int, folder: Path, threads: int, advance: Advance
) -> dict[str, Any]:
    """Write one tar, whole or not at all; returns where each file's sound lies in it."""
    path = folder / f"{plan.name(number)}.tar"
    encode = partial(_encoded, plan, FileSounds(plan.manifest.folder, SAMPLE_RATE))
    files: list[dict[str, Any]] = []
    bad: list[tuple[str, str, str]] = []
    try:
        with whole_file(path) as unfinished, unfinished.open("wb") as raw:
            at = 0
            for sample in in_threads(encode, plan.files(number).tolist(), threads):
                advance(1)
                if isinstance(sample, Failure):
                    bad.append((sample.path, sample.reason, sample.message))
                    continue
                key = f"{sample.file:09d}"
                described = _description(plan, sample)
                for suffix, content in (("flac", sample.flac), ("json", described)):
                    block = _tar_member(f"{key}.{suffix}", content)
                    raw.write(block)
                    if suffix == "flac":
                        files.append(
                            {
                                "file": sample.file,
                                "offset": at + tarfile.BLOCKSIZE,
                                "size": len(sample.flac),
                                "n_samples": sample.n_samples,
                                "clipped": sample.clipped,
                            }
                        )
                    at += len(block)
            end = bytes(2 * tarfile.BLOCKSIZE)
            raw.write(end)
            raw.flush()
            os.fsync(raw.fileno())
        sync_folder(folder)
    except OSError as error:
        raise TaskError(f"{path}: cannot write the shard: {error}") from error
    return {"files": files, "bad": bad, "n_bytes": at + len(end)}


def _encoded(plan: _Packing, sounds: FileSounds, file: int) -> _Sample | Failure:
    """The FLAC of a file, or why there is none."""
    start = round(plan.start_s[file] * SAMPLE_RATE)
    n_samples = round(plan.stop_s[file] * SAMPLE_RATE) - start
    try:
        samples = sounds.read(plan.paths[file], start, max(n_samples, 1))
    except AudioError as error:
        return Failure(plan.paths[file], error.reason, str(error))
    if len(samples) < FRAME_SAMPLES:
        message = f"{plan.paths[file]}: {len(samples)} samples, need {FRAME_SAMPLES}"
        return Failure(plan.paths[file], "too-short", message)
    clipped = bool(np.abs(samples).max() > 1.0)
    return _Sample(file, encode_flac(samples, SAMPLE_RATE), len(samples), clipped)


def _description(plan: _Packing, sample: _Sample) -> bytes:
    """The JSON of a sample: its labels, and every clip with all its columns."""
    rows = plan.manifest.table.take(pa.array(plan.rows(sample.file))).to_pylist()
    from_s = float(plan.start_s[sample.file])
    clips = [
        {
            **{name: value for name, value in row.items() if value is not None},
            "start_s": row["start_s"] - from_s,
            "stop_s": row["stop_s"] - from_s,
        }
        for row in rows
    ]
    labels = sorted({label for clip in clips for label in clip.get("labels", ())})
    content = {
        "path": plan.paths[sample.file],
        "from_s": from_s,
        "sample_rate": SAMPLE_RATE,
        "n_samples": sample.n_samples,
        "labels": labels,
        "clips": clips,
    }
    return json.dumps(content, ensure_ascii=False, sort_keys=True, default=str).encode()


def _tar_member(name: str, content: bytes) -> bytes:
    """Header, content and padding; no time and no owner, so that the bytes are the same again."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    # USTAR: names are ASCII and sizes below 8 GiB, so no extended headers move the content
    header = info.tobuf(tarfile.USTAR_FORMAT)
    return header + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def _index(
    plan: _Packing, done: Sequence[dict[str, Any]], folder: Path
) -> tuple[Manifest, list[Failure]]:
    """The rows of every packed file, in the order of the shards, with where their sound lies.

    Rows that begin where their file has ended already come back apart.
    """
    found: list[tuple[int, str, dict[str, Any]]] = [
        (row, f"{plan.name(number)}.tar", entry)
        for number, facts in enumerate(done)
        for entry in facts["files"]
        for row in plan.rows(entry["file"]).tolist()
    ]
    if not found:
        raise TaskError(f"{plan.manifest.named}: none of {len(plan.paths)} files can be packed")
    packed = plan.manifest.take(np.array([row for row, _, _ in found]))
    from_s = plan.start_s[[entry["file"] for _, _, entry in found]]
    length_s = np.array([entry["n_samples"] for _, _, entry in found]) / SAMPLE_RATE
    start_s = packed.seconds("start_s") - from_s
    stop_s = np.minimum(packed.seconds("stop_s") - from_s, length_s)
    changed = {
        "start_s": pa.array(start_s),
        "stop_s": pa.array(stop_s),
        "path": pa.array([member_path(s, e["offset"], e["size"]) for _, s, e in found]),
        "duration_s": pa.array(length_s),
        "sample_rate": pa.array(np.full(len(found), SAMPLE_RATE)),
        "packed_from_s": pa.array(from_s),
        "shard": pa.array([shard for _, shard, _ in found]),
        "offset": pa.array([entry["offset"] for _, _, entry in found], pa.int64()),
        "size": pa.array([entry["size"] for _, _, entry in found], pa.int64()),
    }
    table = packed.table
    names = [f"packed_{name}" if name in _OLD else name for name in table.column_names]
    table = table.rename_columns(names)
    for name, column in changed.items():
        table = with_column(table, name, column)
    # at least one frame of the filterbank, or training could not use it
    there = stop_s - start_s >= FRAME_SAMPLES / SAMPLE_RATE
    lost = packed.filter(~there)
    beyond = [
        Failure(clip.id, "beyond-end", f"{clip.path}: ends before {clip.start_s:g} s")
        for clip in lost
    ]
    return Manifest(table.filter(there), folder, named=str(folder / INDEX)), beyond
