"""``probe.json``: everything of a probe but its tensors, checked whole when it is read.

A description that cannot be true would name birds that were not heard, and nothing later would
notice. Version 2 renamed the version-1 keys ``taught``, ``not_taught`` and
``staircases``; both versions are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    field_serializer,
    field_validator,
    model_validator,
)

from dawnchorus.configs import Config, HeadConfig, Readout
from dawnchorus.configs.json_file import read_json
from dawnchorus.configs.readout import MEAN_OF_OUTPUT, OUTPUT, with_readout
from dawnchorus.errors import UsageError, WeightsError, shortened, shown
from dawnchorus.probes.calibration import Calibration
from dawnchorus.probes.encoder_mark import EncoderMark  # noqa: TC001  read by pydantic
from dawnchorus.probes.notes import ProbeNotes

if TYPE_CHECKING:
    from pathlib import Path

DESCRIPTION: Final = "probe.json"
FORMAT, VERSION = "dawnchorus probe", 2
# Limits keep an edited file from costing memory before its tensors are compared with it.
MOST_WIDTH: Final = 1 << 20  # of one item's features on each axis: no array is larger by a typo

Sha256 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class ProbeDescription(Config):
    """All of ``probe.json``; the attributes of `FittedProbe` have the same names."""

    format: Literal["dawnchorus probe"] = "dawnchorus probe"
    version: Literal[2] = 2
    weights_sha256: Sha256 = Field(description="of probe.safetensors: the two belong together")
    config: HeadConfig = Field(description="kind and size of the head")
    shape: tuple[Annotated[StrictInt, Field(ge=0, le=MOST_WIDTH)], ...] = Field(
        min_length=1, max_length=3, description="of one item's features; 0: any number of tokens"
    )
    classes: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1, description="names, in the order of the columns of its scores"
    )
    trained: tuple[Annotated[StrictInt, Field(ge=0)], ...] = Field(
        min_length=1, description="indices of the classes that had training items"
    )
    multi_label: StrictBool = Field(description="whether an item may have any number of classes")
    encoder: EncoderMark = Field(description="which features it reads")
    readout: Readout = Field(
        default=MEAN_OF_OUTPUT, description="layers and poolings that the features come from"
    )
    calibration: Calibration | None = Field(description="None: scores as the head gives them")
    thresholds: dict[str, Share] = Field(description="probability from which a class is named")
    notes: ProbeNotes = Field(description="how it was fitted")

    @model_validator(mode="before")
    @classmethod
    def _one_readout(cls, values: Any) -> Any:
        return with_readout(values, layers="readout", base=OUTPUT, pooling="mean")

    # made here and not by pydantic: a config turns its errors into ours before they name the key
    @field_validator("config", mode="before")
    @classmethod
    def _head(cls, values: Any) -> Any:
        return _made(HeadConfig, values)

    @field_validator("notes", mode="before")
    @classmethod
    def _record(cls, values: Any) -> Any:
        return _made(ProbeNotes, values)

    @field_validator("calibration", mode="before")
    @classmethod
    def _calibration(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        try:
            return Calibration.from_json(values)
        except UsageError as error:
            raise ValueError(str(error)) from error

    @field_serializer("notes")
    def _as_set(self, notes: ProbeNotes) -> dict[str, Any]:
        return notes.to_json()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        n_classes = len(self.classes)
        if len(set(self.classes)) < n_classes:
            twice = next(name for name in self.classes if self.classes.count(name) > 1)
            raise ValueError(f"classes: {shown(twice)} is there twice")
        if len(set(self.trained)) < len(self.trained) or max(self.trained) >= n_classes:
            raise ValueError(
                f"trained {shown(self.trained)}: need different numbers from 0 to {n_classes - 1}"
            )
        unknown = sorted(self.thresholds.keys() - set(self.classes))
        if unknown:
            raise ValueError(f"thresholds: {shown(unknown[0])} is not one of its classes")
        if self.shape[-1] < 1:
            raise ValueError(f"shape {self.shape}: features have a width of at least 1")
        fitted = self.calibration
        if fitted and (fitted.n_classes, fitted.multi_label) != (n_classes, self.multi_label):
            raise ValueError(f"calibration: of another probe, of {shown(fitted.n_classes)} classes")
        return self


def _made(config: type[Config], values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    try:
        return config(**values)
    except UsageError as error:
        raise ValueError(str(error)) from error


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
    if values.get("version") == 1:  # written by dawnchorus 0.1
        values = _from_version_1(values)
    if values.get("version") != VERSION:
        raise WeightsError(
            f"{path}: format version {shown(values.get('version'))}, this program reads 1 and "
            f"{VERSION}; update it"
        )
    try:
        return ProbeDescription(**values)
    except UsageError as error:
        raise WeightsError(f"{path}: edited or damaged: {error}; fit the probe again") from error


def _from_version_1(values: dict[str, Any]) -> dict[str, Any]:
    """The same by the names of version 2; what is not a mapping stays for the checks to refuse."""
    values = _renamed(values, "taught", "trained")
    notes, calibration = values.get("notes"), values.get("calibration")
    if isinstance(notes, dict):
        values["notes"] = _renamed(notes, "not_taught", "not_trained")
    if isinstance(calibration, dict):
        values["calibration"] = _renamed(calibration, "staircases", "isotonic")
    return {**values, "version": VERSION}


def _renamed(values: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in values.items()}
