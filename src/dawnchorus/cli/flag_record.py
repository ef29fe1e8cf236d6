"""Commands with many flags: the flags are fields of a dataclass, whose methods make sense of them.

``embed`` and ``predict`` have two dozen flags in common, all that read windows of a store have
four. As fields of a dataclass that others inherit they are written once, and a command is a short
function of one argument.
"""

from __future__ import annotations

import inspect
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_type_hints

from dawnchorus.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import Field

    from _typeshed import DataclassInstance

Flags = TypeVar("Flags", bound="DataclassInstance")


@dataclass(frozen=True, kw_only=True)
class WindowFilterFlags:
    """Which windows of a store a command looks at."""

    where: options.Where = None
    time_of_day: options.TimeOfDay = None
    dates: options.Dates = None
    time_zone: options.TimeZone = None

    def filters(self) -> dict[str, Any]:
        """The fields of a `WindowFilter` that were given.

        Raises:
            UsageError: A flag's text is not of the form that its help shows.
        """
        return options.window_filters(self.where, self.time_of_day, self.dates, self.time_zone)


@dataclass(frozen=True, kw_only=True)
class OutputFlags:
    """How a command talks."""

    as_json: options.AsJson = False
    quiet: options.Quiet = False


@dataclass(frozen=True, kw_only=True)
class RunFlags(OutputFlags):
    """What `embed` and `predict` have in common; a field's name is its flag, unless it names one.

    Attributes:
        FOR_COMMAND: fields that the command itself uses; all others become keywords.
        KEYWORDS: a field to the keyword that it becomes, where the two differ.
    """

    FOR_COMMAND: ClassVar = {"paths", "recordings", "output", "dry_run", "as_json", "quiet"}
    KEYWORDS: ClassVar = {"window": "window_s", "hop": "hop_s"}

    paths: options.Paths = None
    recordings: options.Recordings = None
    model: options.Model = None
    time_zone: options.TimeZone = None
    site_from: options.SiteFrom = None
    audio_root: options.AudioRoot = None
    window: options.Window = None
    hop: options.Hop = None
    channel: options.Channel = None
    batch_size: options.BatchSize = None
    workers: options.Workers = None
    device: options.Device = None
    precision: options.Precision = None
    backend: options.Backend = None
    shard: options.Shard = None
    dry_run: options.DryRun = False

    def keywords(self) -> dict[str, Any]:
        """What the user chose, as keywords of `embed` or `predict`.

        Raises:
            UsageError: A flag's text is not of its form.
        """
        chosen = {
            self.KEYWORDS.get(field.name, field.name): value
            for field in fields(self)
            if field.name not in self.FOR_COMMAND
            and (value := getattr(self, field.name)) is not None
            # 0 is a choice, though it equals False; and so is False where nothing is the usual
            and (value is not False or field.default is None)
        }
        parsed = options.given(
            channel=options.parse_channel(self.channel), shard=options.parse_shard(self.shard)
        )
        return {**chosen, **parsed}


def command_of(flags: type[Flags]) -> Callable[[Callable[[Flags], int]], Callable[..., int]]:
    """Make a command of a function that takes a record of its flags.

    typer reads the signature of a command; this one has a parameter for each field of ``flags``:
    its own before those that it inherits, since the help shows them in this order.
    """

    def as_command(run: Callable[[Flags], int]) -> Callable[..., int]:
        @wraps(run)
        def command(**values: Any) -> int:
            return run(flags(**values))

        hints = get_type_hints(flags, include_extras=True)
        parameters = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=hints[field.name],
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
            )
            for field in _own_first(flags)
        ]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return as_command


def _own_first(flags: type[DataclassInstance]) -> list[Field[Any]]:
    by_name = {field.name: field for field in fields(flags)}
    names = [name for base in flags.__mro__ for name in vars(base).get("__annotations__", {})]
    # a field that a class declares again stands where it does so; what is no field is dropped
    return [by_name[name] for name in dict.fromkeys(names) if name in by_name]
