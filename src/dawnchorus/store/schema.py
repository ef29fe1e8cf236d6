"""What lies in a store: header, columns of both kinds of parts, one recording's row."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args

import pyarrow as pa
from pydantic import Field, model_validator

from dawnchorus.configs import Config, Readout
from dawnchorus.configs.json_file import read_json
from dawnchorus.configs.readout import OUTPUT, with_readout
from dawnchorus.errors import StoreError, UsageError, shown
from dawnchorus.paths import remote_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

FORMAT_VERSION: Final = 1
HEADER_NAME: Final = "store.json"
LOCK_NAME: Final = ".lock"
EMBEDDINGS: Final = "embeddings"
RECORDINGS: Final = "recordings"

# What stands in a file of a store is not ours until it was looked at: a name that leads out of the
# store must never be opened, renamed or removed.
PART_NAME: Final = r"part-[0-9A-Za-z]{1,64}\.parquet"
SHA256: Final = r"[0-9a-f]{64}"
IDENTITY: Final = r"[0-9a-f]{16}"
MOST_HEADER_BYTES: Final = 16 << 20  # tens of thousands of labels are less
MOST_SAMPLES: Final = 2**31 - 1  # of a window, and of a second
MOST_NUMBERS: Final = 1 << 20  # of a vector, and labels

ID_DIGITS: Final = 16  # 64 bits: among a million recordings two alike are a matter of one in 10^7
FLAGS: Final = ("silent", "clipped", "nonfinite", "gap")  # of a window; bits from the lowest

Status = Literal["done", "partial", "failed"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)  # numbered in this order by the catalog


class StoreHeader(Config):
    """``store.json``: what must be the same for all vectors of a store, and their origin.

    ``audio_root``, ``created`` and ``versions`` describe the first run and may differ in later
    ones.
    """

    format_version: int = FORMAT_VERSION
    model: str
    weights_sha256: str | None
    labels_sha256: str | None
    licence: str | None
    sample_rate: int = Field(gt=0, le=MOST_SAMPLES)
    window_s: float = Field(gt=0, allow_inf_nan=False)
    hop_s: float = Field(gt=0, allow_inf_nan=False)
    window_samples: int = Field(gt=0, le=MOST_SAMPLES)
    hop_samples: int = Field(gt=0, le=MOST_SAMPLES)
    channel: Literal["mean"] | int
    resampler: str
    precision: str
    backend: str = "torch"  # the library that computed them
    normalization: tuple[float, float] | str | None
    readout: Readout
    dim: int = Field(gt=0, le=MOST_NUMBERS)
    dtype: Literal["float16", "float32"]
    labels: tuple[str, ...] | None = None  # of the scores; None: no scores are kept
    audio_root: str
    created: str
    versions: dict[str, str]

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, values: Any) -> Any:  # Any: before they are checked
        return with_readout(values, layers="layers", base=OUTPUT)

    @model_validator(mode="after")
    def _can_be_true(self) -> Self:
        for what, samples, seconds in (
            ("window", self.window_samples, self.window_s),
            ("hop", self.hop_samples, self.hop_s),
        ):
            if abs(samples - seconds * self.sample_rate) > 1:
                raise ValueError(
                    f"{what}_samples {samples} at {self.sample_rate} Hz are not {seconds} s"
                )
        labels = self.labels or ()
        if self.labels == () or len(set(labels)) < len(labels) or len(labels) > MOST_NUMBERS:
            raise ValueError("labels: need at least one, and none twice")
        if "\0" in self.audio_root:
            raise ValueError("audio_root holds a NUL, which no path does")
        return self

    def differences(self, other: StoreHeader) -> list[str]:
        """Settings in which vectors of the two would not be comparable, each with both values."""
        mine, theirs = self._settings(), other._settings()
        loose = {"audio_root", "created", "versions", "licence"}
        if self.weights_sha256 and self.weights_sha256 == other.weights_sha256:
            loose.add("model")  # the same weights under another name or path
        return [
            f"{key}: {shown(mine[key])} in the store, {shown(theirs[key])} asked for"
            for key in mine
            if key not in loose and mine[key] != theirs[key]
        ]

    def _settings(self) -> dict[str, Any]:
        # labels_sha256 tells label maps apart; thousands of names would drown a message
        values = self.model_dump(exclude={"labels"})
        return {**values, "predict": self.labels is not None}

    def to_bytes(self) -> bytes:
        """As it lies on disk."""
        return (json.dumps(self.model_dump(), indent=2, ensure_ascii=False) + "\n").encode()


def recording_id(path: str) -> str:
    """The id of a path; size, date and content hash show whether the file behind it changed."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:ID_DIGITS]


def read_header(store: Path) -> StoreHeader:
    """Read ``store.json``.

    Raises:
        StoreError: There is no store, its header is damaged, or its format is not this version's.
    """
    path = store / HEADER_NAME
    try:
        with remote_errors(path):
            values = read_json(path, most_bytes=MOST_HEADER_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreError(f"{store}: not an embedding store, {HEADER_NAME} is missing") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    version = values.get("format_version") if isinstance(values, dict) else None
    if type(version) is not int or version != FORMAT_VERSION:
        raise StoreError(
            f"{path}: store format {shown(version)}, this version reads {FORMAT_VERSION}; "
            f"open it with the version of dawnchorus that wrote it"
        )
    try:
        return StoreHeader(**values)
    except UsageError as error:
        raise StoreError(f"{path}: damaged header: {error}") from error


@dataclass(frozen=True, slots=True)
class Part:
    """One file of ``embeddings/``, sealed by the SHA-256 of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRow:
    """One recording's row; of several with one id the highest revision counts.

    Attributes:
        path: relative to the header's ``audio_root``, with ``/``.
        content_hash: ``sha256:...`` of the file's bytes, None when that was switched off or failed.
        rate: the recording's own, in Hz; ``n_samples`` counts at this rate, in one channel.
        status: ``partial`` holds the first ``n_windows`` of a recording that a run is still in.
        gaps: spans (start, stop) of its own samples that could not be decoded, and are silence.
        reason: a short verdict, ``message`` the whole sentence, for a failed or damaged one.
        recorded_at: when the recording began, ISO 8601, with an offset where that is known.
        recorded_from: where that was found: ``list``, ``guano``, ``audiomoth`` or ``file name``.
        time_zone: of the site, as the user named it; it gives local time where the recording
            itself says UTC or nothing.
        recorder_latitude, recorder_longitude: in degrees, as the recorder wrote them.
        recorder_temperature_int_c, recorder_temperature_ext_c: inside and outside of the recorder.
        started, ended: when it was embedded.
        carried: the user's own columns and what they say of this recording.
        parts: the parts that hold its windows; rows elsewhere with its id are not part of the
            store.
    """

    recording_id: str
    path: str
    status: Status
    content_hash: str | None = None
    file_size: int | None = None
    modified_ns: int | None = None
    rate: int | None = None
    channels: int | None = None
    n_samples: int | None = None
    duration_s: float | None = None
    n_nonfinite: int = 0
    gaps: tuple[tuple[int, int], ...] = ()
    reason: str | None = None
    message: str | None = None
    n_windows: int = 0
    parts: tuple[Part, ...] = ()
    recorded_at: str | None = None
    recorded_from: str | None = None
    time_zone: str | None = None
    recorder_latitude: float | None = None
    recorder_longitude: float | None = None
    recorder_temperature_int_c: float | None = None
    recorder_temperature_ext_c: float | None = None
    started: datetime | None = None
    ended: datetime | None = None
    revision: int = 0
    carried: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Values for a row of `RECORDING_SCHEMA`, and the carried columns."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "carried"}
        values["gaps"] = [{"start_sample": start, "stop_sample": stop} for start, stop in self.gaps]
        values["parts"] = [{"name": part.name, "sha256": part.sha256} for part in self.parts]
        return {**values, **dict(self.carried)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RecordingRow:
        """The row of a table."""
        own = {*cls.__slots__} - {"carried"}  # a user may have a column of that name
        known = {name: values[name] for name in own if name in values}
        carried = tuple(
            (name, value)
            for name, value in values.items()
            if name not in own and isinstance(value, str)
        )
        parts = tuple(Part(part["name"], part["sha256"]) for part in values["parts"])
        gaps = tuple((gap["start_sample"], gap["stop_sample"]) for gap in values["gaps"])
        return cls(**{**known, "parts": parts, "gaps": gaps, "carried": carried})


def recording_table(rows: Sequence[RecordingRow]) -> pa.Table:
    """Rows as a part of ``recordings/``: our columns, then those that users carry along."""
    names = sorted({name for row in rows for name, _ in row.carried})
    schema = pa.schema([*RECORDING_SCHEMA, *((name, pa.string()) for name in names)])
    return pa.Table.from_pylist([row.to_dict() for row in rows], schema)


_UTC = pa.timestamp("us", tz="UTC")
RECORDING_SCHEMA: Final = pa.schema(
    [
        ("recording_id", pa.string()),
        ("path", pa.string()),
        ("status", pa.string()),
        ("content_hash", pa.string()),
        ("file_size", pa.int64()),
        ("modified_ns", pa.int64()),
        ("rate", pa.int32()),
        ("channels", pa.int32()),
        ("n_samples", pa.int64()),
        ("duration_s", pa.float64()),
        ("n_nonfinite", pa.int64()),
        ("gaps", pa.list_(pa.struct([("start_sample", pa.int64()), ("stop_sample", pa.int64())]))),
        ("reason", pa.string()),
        ("message", pa.string()),
        ("n_windows", pa.int32()),
        ("parts", pa.list_(pa.struct([("name", pa.string()), ("sha256", pa.string())]))),
        ("recorded_at", pa.string()),
        ("recorded_from", pa.string()),
        ("time_zone", pa.string()),
        ("recorder_latitude", pa.float64()),
        ("recorder_longitude", pa.float64()),
        ("recorder_temperature_int_c", pa.float64()),
        ("recorder_temperature_ext_c", pa.float64()),
        ("started", _UTC),
        ("ended", _UTC),
        ("revision", pa.int32()),
    ]
)
WINDOW_SCHEMA: Final = pa.schema(
    [
        ("recording_id", pa.string()),
        ("window", pa.int32()),
        ("start_sample", pa.int64()),
        ("stop_sample", pa.int64()),
        ("valid_samples", pa.int32()),
        ("start_s", pa.float64()),
        ("stop_s", pa.float64()),
        *((name, pa.bool_()) for name in FLAGS),
    ]
)


EMBEDDING_COLUMNS: Final = frozenset({*WINDOW_SCHEMA.names, "vector", "scores"})
COMPUTED: Final = ("local_time",)  # columns that reading makes


def embedding_schema(header: StoreHeader) -> pa.Schema:
    """`WINDOW_SCHEMA` with the vector and, where they are kept, the scores after it."""
    number = pa.float16() if header.dtype == "float16" else pa.float32()
    schema = WINDOW_SCHEMA.append(pa.field("vector", pa.list_(number, header.dim)))
    if header.labels is None:
        return schema
    return schema.append(pa.field("scores", pa.list_(pa.float16(), len(header.labels))))
