"""Which encoder made some features: a probe is right on those of its own encoder alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from dawnchorus.models.weights_file import weights_sha256_of

if TYPE_CHECKING:
    from dawnchorus.models.encoder import Encoder


@dataclass(frozen=True, slots=True)
class EncoderMark:
    """Name and weights of an encoder.

    Attributes:
        name: as the encoder calls itself.
        weights_sha256: as stores name it, see `weights_sha256_of`; None: not known.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")  # how probe.json is checked

    name: str
    weights_sha256: str | None

    @classmethod
    def of(cls, encoder: Encoder) -> EncoderMark:
        """Of an encoder."""
        return cls(encoder.name, weights_sha256_of(encoder))

    def __str__(self) -> str:
        """For messages."""
        sha256 = self.weights_sha256
        return f"{self.name} with {f'weights {sha256[:12]}' if sha256 else 'unknown weights'}"
