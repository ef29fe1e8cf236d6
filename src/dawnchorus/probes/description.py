"""``probe.json``: what it must say to be believed.

A description is checked whole when it is read. One that cannot be true would name birds that were
not heard, and nothing later would notice.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field, StrictBool, StrictInt, field_validator, model_validator

from dawnchorus.configs import Config, HeadConfig, Pooling
from dawnchorus.configs.json_file import read_json
from dawnchorus.errors import UsageError, WeightsError, shortened, shown
from dawnchorus.models.readout import Readout
from dawnchorus.probes.calibration import Calibration

if TYPE_CHECKING:
    from pathlib import Path

DESCRIPTION: Final = "probe.json"
FORMAT, VERSION = "dawnchorus probe", 1
MOST_WIDTH: Final = 1 << 20  # of one item's features, on each of their axes

Sha256 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class EncoderNames(Config):
    """Which encoder's features the probe reads."""

    name: str
    weights_sha256: str | None


class ProbeNotes(Config, extra="allow"):
    """Notes that something later goes by; all others are for people."""

    window_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    model: str | None = None
    files: tuple[str, ...] = ()
    chosen: dict[str, Annotated[float, Field(allow_inf_nan=False)]] | None = None


class ProbeDescription(Config):
    """All of ``probe.json``."""

    format: Literal["dawnchorus probe"]
    version: Literal[1]
    weights_sha256: Sha256
    config: HeadConfig
    shape: tuple[Annotated[StrictInt, Field(ge=0, le=MOST_WIDTH)], ...] = Field(
        min_length=1, max_length=3
    )
    classes: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)
    taught: tuple[Annotated[StrictInt, Field(ge=0)], ...] = Field(min_length=1)
    multi_label: StrictBool
    encoder: EncoderNames
    readout: tuple[str, ...]
    pooling: Pooling | Literal[""]
    calibration: dict[str, Any] | None
    thresholds: dict[str, Share]
    notes: dict[str, Any]

    @field_validator("config", mode="before")
    @classmethod
    def _head(cls, values: Any) -> Any:
        # made here and not by pydantic, whose errors a config has turned into ours already
        if not isinstance(values, dict):
            return values
        try:
            return HeadConfig(**values)
        except UsageError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _check_names(self.classes)
        n_classes = len(self.classes)
        if len(set(self.taught)) < len(self.taught) or max(self.taught) >= n_classes:
            raise ValueError(
                f"taught {shown(self.taught)}: need different numbers from 0 to {n_classes - 1}"
            )
        foreign = sorted(self.thresholds.keys() - set(self.classes))
        if foreign:
            raise ValueError(f"thresholds: {shown(foreign[0])} is not one of its classes")
        if self.shape[-1] < 1:
            raise ValueError(f"shape {self.shape}: features have a width of at least 1")
        try:
            Readout.of(self.readout or None, self.pooling or "mean")
            ProbeNotes(**self.notes)
            if self.calibration is not None:
                _check_calibration(self.calibration, n_classes, multi_label=self.multi_label)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return self


def _check_names(classes: tuple[str, ...]) -> None:
    if len(set(classes)) < len(classes):
        twice = next(name for name in classes if classes.count(name) > 1)
        raise ValueError(f"classes: {shown(twice)} is there twice")


def _check_calibration(values: dict[str, Any], n_classes: int, *, multi_label: bool) -> None:
    made = Calibration.from_json(values)
    if made.n_classes != n_classes or made.multi_label is not multi_label:
        raise ValueError(f"calibration: of another probe, of {shown(made.n_classes)} classes")
    numbers = (made.temperature, *made.slope, *made.offset)
    if not all(_is_number(value) for value in numbers) or made.temperature <= 0:
        raise ValueError("calibration: need numbers that are finite, and a temperature above 0")
    if any(slope < 0 for slope in made.slope):
        raise ValueError("calibration: a slope is below 0, so that higher scores would mean less")
    for stairs in made.staircases:
        if stairs is not None:
            _check_staircase(stairs.log_odds, stairs.probability)


def _check_staircase(log_odds: tuple[float, ...], probability: tuple[float, ...]) -> None:
    whole = len(log_odds) == len(probability) > 0
    if not whole or not all(_is_number(value) for value in (*log_odds, *probability)):
        raise ValueError("calibration: a staircase needs as many log-odds as probabilities")
    rising = all(a <= b for a, b in pairwise(log_odds))
    if not rising or min(probability) < 0 or max(probability) > 1:
        raise ValueError("calibration: a staircase rises, from 0 at least to 1 at most")


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)


def read_description(folder: Path) -> ProbeDescription:
    """Read ``probe.json``.

    Raises:
        UsageError: There is none.
        WeightsError: It is damaged, of a newer version, or says what cannot be true.
    """
    path = folder / DESCRIPTION
    try:
        values = read_json(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{folder}: no probe here, {DESCRIPTION} is missing") from error
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not whole: {shortened(str(error), 300)}") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise WeightsError(f"{path}: not the description of a probe")
    if values.get("version") != VERSION:
        raise WeightsError(
            f"{path}: format version {shown(values.get('version'))}, this program reads {VERSION}; "
            "update it"
        )
    try:
        return ProbeDescription(**values)
    except UsageError as error:
        raise WeightsError(f"{path}: edited or damaged: {error}; fit the probe again") from error
