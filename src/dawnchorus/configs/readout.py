"""What an embedding is made of: which layers of an encoder, how each is pooled, what it counts.

A readout is a list of parts, whose pooled vectors stand side by side. In text, commas stand between
the parts, and each is ``LAYER``, ``LAYER:POOLING`` or ``LAYER:POOLING:WEIGHT``:

===================  =============================================================================
``8``                the output of block 8, pooled as the encoder pools its own embedding
``-1:std``           the last block: standard deviation of each channel over the sound of a window
``output:cls``       the CLS token of the encoder's output
``pre_norm:max:0.2`` a named layer, its vector multiplied by 0.2
``own:cls``          the encoder's own readout, with ``cls`` in the place of its usual pooling
===================  =============================================================================

The same text stands in options, config files, cards, ``store.json``, ``probe.json`` and tables of
results. A weight changes nothing for a probe that standardises its inputs; for distances it says
how much a part counts.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar, cast, get_args

from pydantic_core import core_schema

from dawnchorus.errors import DawnChorusWarning, UsageError, shown

if TYPE_CHECKING:
    from typing import TypeAlias

    from pydantic import GetCoreSchemaHandler

Pooling = Literal["mean", "cls", "patches", "valid", "std", "max", "bands", "band_stds"]
POOLINGS: Final[tuple[Pooling, ...]] = get_args(Pooling)
OUTPUT: Final = "output"  # the layer that is the encoder's output
OWN: Final = "own"  # stands for all parts of the encoder's own readout
BY_BAND: Final = frozenset({"bands", "band_stds"})  # as wide as all rows of patches together
BLIND_TO_PADDING: Final = frozenset({"valid", "std", "cls", *BY_BAND})
# Names of before 0.2. Files that have them are read without a word.
OLD_POOLINGS: Final[Mapping[str, Pooling]] = {"deviation": "std", "band_deviations": "band_stds"}
_NUMBER: Final = re.compile(r"-?[0-9]{1,6}")  # no encoder has a million blocks

ReadoutLike: TypeAlias = "Readout | str | int | Sequence[int | str]"
Vectors = TypeVar("Vectors", covariant=True)


class LayerOutputs(Protocol[Vectors]):
    """What a readout is applied to; `EncoderOutput` is one, but configs know no tensors."""

    def pool_parts(self, parts: Sequence[ReadoutPart]) -> Vectors:
        """The pooled parts side by side, ``(batch, dim)``."""
        ...


@dataclass(frozen=True, slots=True)
class ReadoutPart:
    """One pooled layer.

    Attributes:
        layer: index of a block (negative from the end), name of a layer, ``output`` or ``own``.
        pooling: tokens to one vector, see `EncoderOutput.pool`; None: the encoder's usual one.
        weight: what the vector is multiplied by.
    """

    layer: int | str = OUTPUT
    pooling: Pooling | None = None
    weight: float = 1.0

    def __str__(self) -> str:
        """As `Readout.parse` reads it."""
        fields = [str(self.layer), self.pooling or "", "" if self.weight == 1 else str(self.weight)]
        return ":".join(fields).rstrip(":")


@dataclass(frozen=True, slots=True)
class Readout:
    """Layers, poolings and weights that make an embedding; without any: the mean of the output."""

    parts: tuple[ReadoutPart, ...] = (ReadoutPart(OUTPUT, "mean"),)

    @classmethod
    def parse(
        cls, value: ReadoutLike, pooling: Pooling | None = None, *, warn: bool = True
    ) -> Readout:
        """Read a readout as the docstring of this module writes it.

        Args:
            value: text, the number of a block, a list of parts, or a readout, which stays as it is.
            pooling: of parts that name none; None: that of the encoder, which `complete` fills in.
            warn: whether names of before are remarked on; files may have them.

        Raises:
            UsageError: There is no part, a pooling is unknown, or a weight is not a number above 0.
        """
        if isinstance(value, Readout):
            return value
        items = [value] if isinstance(value, str | int) else list(value) if _is_list(value) else []
        if any(isinstance(item, bool) or not isinstance(item, str | int) for item in items):
            raise UsageError(f"readout {shown(value)}: need text such as 5,11:bands, or a list")
        # through one text, so that a list, text and JSON cannot mean different things
        texts = [text.strip() for text in ",".join(map(str, items)).split(",")]
        parts = tuple(_part(text, pooling, warn=warn) for text in texts if text)
        if not parts:
            raise UsageError(
                f"readout {shown(value)} names no layer; need LAYER, such as {OUTPUT} or 5,11:bands"
            )
        return cls(parts)

    def __str__(self) -> str:
        """The text form, which is also the JSON form; `parse` makes an equal readout of it."""
        return ",".join(map(str, self.parts))

    @classmethod
    def __get_pydantic_core_schema__(
        cls,
        _source: type[Any],
        _handler: GetCoreSchemaHandler,
    ) -> core_schema.CoreSchema:
        """In a config: read from all that `parse` takes, written as text."""

        def read(value: Any) -> Readout:  # Any: as a file has it
            try:
                return cls.parse(value)
            except UsageError as error:
                raise ValueError(str(error)) from error

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.to_string_ser_schema(when_used="always")
        )

    @property
    def layers(self) -> list[int | str]:
        """What to ask `Encoder.encode` for; the output comes without being asked for."""
        return list(dict.fromkeys(part.layer for part in self.parts if part.layer != OUTPUT))

    @property
    def is_output(self) -> bool:
        """Whether it is as wide as the encoder says it is."""
        return [part.layer for part in self.parts] == [OUTPUT] and (
            self.parts[0].pooling not in BY_BAND
        )

    @property
    def ignores_padding(self) -> bool:
        """Whether padding may be cut off without changing the result."""
        return all(part.pooling in BLIND_TO_PADDING for part in self.parts)

    def complete(self, own: Readout) -> Readout:
        """Every pooling named, and ``own`` replaced by what it stands for.

        Args:
            own: the encoder's own readout, complete; the pooling of its first part is its usual
                one.
        """
        # the first part stands for the whole: the released library and our cards pool all parts
        # alike, but for those that add something special, such as a standard deviation
        usual = own.parts[0].pooling
        parts: list[ReadoutPart] = []
        for part in self.parts:
            if part.layer != OWN:
                parts.append(replace(part, pooling=part.pooling or usual))
                continue
            for inner in own.parts:
                # own:cls makes 8:cls,8:std of 8:valid,8:std: what is special stays
                changed = part.pooling if inner.pooling == usual else None
                parts.append(
                    ReadoutPart(inner.layer, changed or inner.pooling, part.weight * inner.weight)
                )
        return Readout(tuple(parts))

    def pool(self, output: LayerOutputs[Vectors]) -> Vectors:
        """The embeddings of a batch of windows, ``(batch, dim)``.

        Args:
            output: of an encoder that was asked for `layers`.

        Raises:
            UsageError: As of `EncoderOutput.pool`, or a part names no pooling.
        """
        return output.pool_parts(self.parts)


MEAN_OF_OUTPUT: Final = Readout()  # of an encoder that says nothing of its own


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, bytes)


def _part(text: str, pooling: Pooling | None, *, warn: bool) -> ReadoutPart:
    # blanks are no part of a name: written again as text, "8 " would become block 8
    name, *fields = (field.strip() for field in text.split(":"))
    # missing fields are empty, so "8", "8:", and "8::" are one; a third colon is refused below
    how, weight = [*fields, "", ""][:2]
    how = pooling_name(how, warn=warn)
    if not name or len(fields) > 2 or (how and how not in POOLINGS):
        raise UsageError(
            f"layer {text!r}: need LAYER, LAYER:POOLING or LAYER:POOLING:WEIGHT, the pooling one "
            f"of {', '.join(POOLINGS)}"
        )
    return ReadoutPart(
        layer=int(name) if _NUMBER.fullmatch(name) else name,
        pooling=how or pooling,
        weight=_weight(text, weight) if weight else 1.0,
    )


def _weight(part: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise UsageError(f"layer {part!r}: the weight must be a number above 0, got {text!r}")
    return weight


def pooling_name(name: str, *, warn: bool = True) -> str:
    """The name that a pooling has now; for those of before 0.2, with a warning."""
    now = OLD_POOLINGS.get(name, name)
    if warn and now != name:
        warnings.warn(DawnChorusWarning(f"pooling {name!r} is now called {now!r}"), stacklevel=4)
    return now


def with_readout(
    values: Any,  # Any: what a config is made of, before it is checked
    *,
    layers: str,
    base: str,
    pooling: Pooling | None = None,
    warn: bool = False,
) -> Any:
    """The keys of a config in which layers and pooling were two, as one ``readout``.

    Until 0.2 two keys said what a readout says. Files keep them for ever and are read without a
    word; what a user says today is remarked on.

    Args:
        values: the keys and values of a config.
        layers: the key that the layers had; ``readout``, as today, in ``probe.json``.
        base: what is pooled where no layers are named.
        pooling: how, where no pooling is named; None: as the encoder does.
        warn: name the new key in a warning.

    Raises:
        ValueError: There is a readout beside the older keys, or they make none.
    """
    if not isinstance(values, Mapping) or (layers == "readout" and "pooling" not in values):
        return values
    rest = {key: value for key, value in values.items() if key not in {layers, "pooling"}}
    old = {key: values[key] for key in (layers, "pooling") if values.get(key)}
    if not old:
        return rest
    if rest.get("readout") is not None:
        raise ValueError(f"{' and '.join(old)} beside readout; say it all in readout")
    how = old.get("pooling", pooling)
    if how is not None and (not isinstance(how, str) or how not in {*POOLINGS, *OLD_POOLINGS}):
        raise ValueError(f"pooling: need one of {', '.join(POOLINGS)}, got {shown(how)}")
    word = None if how is None else cast("Pooling", pooling_name(how, warn=False))
    try:
        readout = Readout.parse(old.get(layers, base), word, warn=False)
    except UsageError as error:
        raise ValueError(str(error)) from error
    if warn:
        text = f"{' and '.join(old)}: one option says both now: readout {str(readout)!r}"
        warnings.warn(DawnChorusWarning(text), stacklevel=2)
    return {**rest, "readout": readout}
