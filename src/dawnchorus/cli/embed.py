"""``dawnchorus embed``: recordings to a store of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.cli import options
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dawnchorus.engine.embed import EmbedReport


def command(
    paths: options.Paths = None,
    *,
    store: Annotated[str, options.output("Store to make or continue: a folder or URL (s3://).")],
    model: options.Model = None,
    listing: options.Recordings = None,
    time_zone: options.TimeZone = None,
    site_from: options.SiteFrom = None,
    window: options.Window = None,
    hop: options.Hop = None,
    readout: options.Readout = None,
    layers: options.Layers = None,
    pooling: options.Pooling = None,
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    device: options.Device = None,
    precision: options.Precision = None,
    channel: options.Channel = None,
    dtype: Annotated[
        str | None, typer.Option(help="Store as float16 or float32. Default: float16.")
    ] = None,
    shard: options.Shard = None,
    predict: Annotated[
        bool, typer.Option("--predict", help="Store the probabilities of the labels too.")
    ] = False,
    audio_root: options.AudioRoot = None,
    engine: Annotated[
        str, typer.Option(help="local, or ray: all machines of a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="With --engine ray: address of the cluster, such as auto.")
    ] = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Turn recordings into embeddings, in a store.

    The same command continues where it was stopped. A recording that cannot be read is listed and
    does not end the run; the exit code is then 3.

    Example: dawnchorus embed recordings/ -o archive.store
    """
    from dawnchorus.cli import runs
    from dawnchorus.cli.output import watched

    run = _engine(engine, address)
    named = runs.inputs(paths, listing, quiet=quiet)
    given = options.given(
        model=model,
        window_s=window,
        hop_s=hop,
        readout=readout,
        layers=layers,
        pooling=pooling,
        batch_size=batch_size,
        workers=workers,
        shard=options.parse_shard(shard),
        device=device,
        precision=precision,
        channel=options.parse_channel(channel),
        dtype=dtype,
        predict=predict or None,
        audio_root=audio_root,
        time_zone=time_zone,
        site_from=site_from,
    )
    if dry_run:
        from dawnchorus.engine.dry_run import embed_dry_run

        return runs.close_dry(embed_dry_run(named, store=store, **given), as_json=as_json)
    with watched(quiet=quiet) as progress:
        report = run(named, store=store, progress=progress, **given)
    code = runs.close(report, as_json=as_json, quiet=quiet)
    if not as_json:
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
    from dawnchorus.engine.embed import embed

    return embed
