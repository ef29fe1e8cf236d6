"""``dawnchorus embed``: recordings to a store of embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from dawnchorus.cli import options
from dawnchorus.cli.flag_record import RunFlags, command_of
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dawnchorus.engine.embed import EmbedReport


@dataclass(frozen=True, kw_only=True)
class EmbedFlags(RunFlags):
    """Flags of ``dawnchorus embed``."""

    FOR_COMMAND: ClassVar = {*RunFlags.FOR_COMMAND, "engine", "address"}

    output: Annotated[str, options.output("Store to make or continue: a folder or URL (s3://).")]
    readout: options.Readout = None
    layers: options.Layers = None
    pooling: options.Pooling = None
    dtype: Annotated[
        str | None, typer.Option(help="Store as float16 or float32. Default: float16.")
    ] = None
    predict: Annotated[
        bool, typer.Option("--predict", help="Store the probabilities of the labels too.")
    ] = False
    engine: options.Engine = "local"
    address: options.Address = None


@command_of(EmbedFlags)
def command(flags: EmbedFlags) -> int:
    """Turn recordings into embeddings, in a store.

    The same command continues where it was stopped. A recording that cannot be read is listed and
    does not end the run; the exit code is then 3.

    Example: dawnchorus embed recordings/ -o archive.store
    """
    from dawnchorus.cli import runs
    from dawnchorus.cli.output import watched

    embed = _engine(flags.engine, flags.address)
    inputs = runs.inputs(flags.paths, flags.recordings, quiet=flags.quiet)
    if flags.dry_run:
        from dawnchorus.engine.dry_run import embed_dry_run

        forecast = embed_dry_run(inputs, store=flags.output, **flags.keywords())
        return runs.close_dry(forecast, as_json=flags.as_json)
    with watched(quiet=flags.quiet) as progress:
        report = embed(inputs, store=flags.output, progress=progress, **flags.keywords())
    code = runs.close(report, as_json=flags.as_json, quiet=flags.quiet)
    if not flags.as_json:
        print(report.store)
    return code


def _engine(name: str, address: str | None) -> Callable[..., EmbedReport]:
    """The function that a run goes through.

    Raises:
        UsageError: There is no such engine.
    """
    if name == "ray":
        from functools import partial

        from dawnchorus.engine.ray import embed_on_ray

        return partial(embed_on_ray, address=address)
    if name != "local" or address:
        raise UsageError(f"--engine {name}: need local or ray; --address is for ray")
    from dawnchorus import embed

    return embed
