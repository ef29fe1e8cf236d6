"""Labelled clips for training and validation, and one frozen label map for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.audio.frontend import SAMPLE_RATE
from dawnchorus.clips.manifest import SPLITS, read_manifest, resolve, texts, with_column
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.feed.batches import BatchSource
from dawnchorus.feed.cache import decoded_bytes, open_sounds
from dawnchorus.feed.teacher import Teacher
from dawnchorus.feed.vocabulary import Vocabulary, gather_vocabulary, unknown_labels
from dawnchorus.labels import read_label_map
from dawnchorus.paths import as_path
from dawnchorus.recipes.live_teacher import TABLE, LiveTeacher, open_teacher, teacher_facts
from dawnchorus.recipes.training_data import TrainingData, clips_to_decode, short_to_long

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dawnchorus.clips.manifest import Clip, Manifest
    from dawnchorus.configs import PosttrainConfig

MAX_NAMED: Final = 10  # labels in a message


def open_data(config: PosttrainConfig) -> TrainingData:
    """Read the manifest and make ready what training and validation need; test is not touched.

    Raises:
        TaskError: There is nothing to train on, or a label is not in the label map.
    """
    root = as_path(config.data.root)
    clips = _read(config, root)
    training, validation = clips.where(split="train"), clips.where(split="val")
    if not len(training):
        raise TaskError(
            f"{clips.named}: no clip of split train among {len(clips)}; "
            f"dawnchorus data split makes one"
        )
    teachers = _open_teachers(config)
    vocabularies = _vocabularies(config, root, training)
    unknown = unknown_labels(vocabularies, training)
    unknown_in_validation = unknown_labels(vocabularies, validation)
    if config.unknown_labels == "error" and (unknown or unknown_in_validation):
        raise TaskError(_unknown_message(clips.named, unknown, unknown_in_validation))
    training, n_left_out = _with_known(training, vocabularies)
    validation, n_left_out_of_validation = _with_known(validation, vocabularies)
    validated = _choose(validation, config)
    decoded = clips_to_decode(clips, validated)
    source = BatchSource(
        training,
        open_sounds(decoded, config.data.sounds, SAMPLE_RATE, n_processes=config.devices),
        vocabularies,
        data=config.data,
        buckets=config.buckets,
        augment=config.augment,
        seed=config.seed,
        teacher=_table(config, root),
    )
    facts = {
        "clips": len(training),
        "validation_clips": len(validated),
        **_facts_of_labels(vocabularies),
        "further_labels": sum(map(len, vocabularies[1:])),
        "skipped_labels": unknown,
        "clips_left_out": n_left_out,
        "skipped_validation_labels": unknown_in_validation,
        "validation_clips_left_out": n_left_out_of_validation,
        "decoded_mb": decoded_bytes(decoded, SAMPLE_RATE) // 2**20,
        **teacher_facts(teachers, [bucket.crop_s for bucket in config.buckets]),
    }
    return TrainingData(source=source, validation=validated, facts=facts, teachers=teachers)


def _read(config: PosttrainConfig, root: Path) -> Manifest:
    """The manifest; unlabelled clips that nobody has split are all trained on."""
    path = resolve(root, config.data.manifest)
    if config.data.label_kinds:
        return read_manifest(path)
    clips = read_manifest(path, needed=("id", "path"))
    if pc.any(pc.is_in(texts(clips.table["split"]), pa.array(SPLITS))).as_py():
        return clips
    column = pa.array(["train"] * len(clips))
    return clips.with_table(with_column(clips.table, "split", column))


def _open_teachers(config: PosttrainConfig) -> tuple[LiveTeacher, ...]:
    """Load every teacher that is a model.

    Raises:
        UsageError: One cannot be loaded, or two have the same name.
    """
    teachers = tuple(open_teacher(one) for one in config.teacher if one.model is not None)
    names = [t.name for t in teachers] + [t.name or TABLE for t in config.teacher if t.table]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"teacher: {names.count(twice[0])} are called {twice[0]!r}; give each a "
            "name: of its own"
        )
    return teachers


def _table(config: PosttrainConfig, root: Path) -> Teacher | None:
    """The table of stored outputs, wherever the config names it."""
    paths = [one.table for one in config.teacher if one.table is not None]
    if config.data.teacher is not None:
        paths.append(config.data.teacher.table)
    return Teacher(resolve(root, paths[0])) if paths else None


def _facts_of_labels(vocabularies: Sequence[Vocabulary]) -> dict[str, Any]:
    if not vocabularies:
        return {"labels": 0}
    return {"labels": len(vocabularies[0]), "label_hash": vocabularies[0].hash}


def _vocabularies(config: PosttrainConfig, root: Path, training: Manifest) -> list[Vocabulary]:
    """Those of the shipped labels first; none where a teacher teaches alone."""
    if not config.data.label_kinds:
        return []
    if config.label_map is None:
        first = gather_vocabulary(training, config.data.label_kinds)
    else:
        labels = read_label_map(resolve(root, config.label_map))
        first = Vocabulary(tuple(config.data.label_kinds), tuple(labels))
    return [first, *(gather_vocabulary(training, [kind]) for kind in config.data.auxiliary_kinds)]


def _unknown_message(named: str, training: dict[str, int], validation: dict[str, int]) -> str:
    sides = [
        f"{len(counts)} labels of {side} clips ("
        + ", ".join(f"{label!r} on {n}" for label, n in list(counts.items())[:MAX_NAMED])
        + (", ..." if len(counts) > MAX_NAMED else "")
        + ")"
        for side, counts in (("training", training), ("validation", validation))
        if counts
    ]
    return (
        f"{named}: {' and '.join(sides)} are not in the label map; add them to it, or set "
        f"unknown_labels: skip to leave them out"
    )


def _with_known(clips: Manifest, vocabularies: Sequence[Vocabulary]) -> tuple[Manifest, int]:
    """Leave out clips with unknown labels only: they would pass for clips without any sound.

    Returns:
        The clips, and how many were left out.
    """
    # on columns of the whole manifest: it may have millions of clips
    known = pa.array([label for v in vocabularies for label in v.labels], pa.string())
    kinds = pa.array([kind for v in vocabularies for kind in v.kinds], pa.string())
    lists = clips.table["labels"]
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    is_known = pc.is_in(pc.list_flatten(lists), known).to_numpy(zero_copy_only=False)
    row = np.repeat(np.arange(len(clips)), counts)
    n_known = np.bincount(row, weights=is_known, minlength=len(clips))
    ours = pc.is_in(texts(clips.table["kind"]), kinds).to_numpy(zero_copy_only=False)
    # clips of kinds that nothing is trained on are no clips of unknown labels
    strange = ours & (counts > 0) & (n_known == 0)
    return clips.filter(~strange), int(strange.sum())


def _choose(validation: Manifest, config: PosttrainConfig) -> list[Clip]:
    """A fixed random few of the labelled clips, from short to long so that batches pad little.

    Where no labels are trained, every clip will do.
    """
    counts = pc.fill_null(pc.list_value_length(validation.table["labels"]), 0).to_numpy()
    rows = np.flatnonzero((counts > 0) | (not config.data.label_kinds))
    # the same clips at every validation, and in every process
    chosen = np.random.default_rng(config.seed).permutation(rows)[: config.validation_clips]
    return short_to_long(validation, chosen)
