"""``dawnchorus serve``: a page to see, hear and judge what a store holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.cli import options

if TYPE_CHECKING:
    from dawnchorus.serve.session import Session

STORE_HEADER = "store.json"  # as in dawnchorus.store.schema, whose import takes a while


def command(
    stores: options.StorePaths,
    annotations: options.Annotations = None,
    probes: Annotated[
        list[str] | None,
        typer.Option(
            "--probe",
            help="NAME=FOLDER: a probe (probe fit) that the page can score windows with, and what "
            "it is called there. Repeatable.",
        ),
    ] = None,
    map_folder: Annotated[
        Path | None,
        typer.Option(
            "--map", help="Folder of a map (cluster). Default: X.map beside the store X.store."
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port to listen at; 0: any that is free.")] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen at; another than 127.0.0.1 with --allow-remote.")
    ] = "127.0.0.1",
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote",
            help="Let other machines in. The connection is not encrypted; an ssh tunnel is safer.",
        ),
    ] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Write nothing: no judgements, no suggestions.")
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and open no browser.")
    ] = False,
    author: options.Author = None,
    audio_root: options.AudioRoot = None,
    time_zone: options.TimeZone = None,
    model: options.Model = None,
) -> int:
    """Open a page in the browser to see, hear and judge the sounds of stores.

    It runs on this machine and needs no network. Every judgement is saved at once into the
    annotations, as label judge saves it. The address that is printed works once.

    Example: dawnchorus serve archive.store
    """
    from dawnchorus.cli.output import say
    from dawnchorus.paths import as_path, is_remote
    from dawnchorus.serve.server import Address, run_server

    def show(text: str) -> None:
        print(text, flush=True)  # who reads it through a pipe waits for it

    named = options.pairs("--probe", probes)

    def make_session() -> Session:
        from dawnchorus.serve.session import Session  # seconds: the browser starts meanwhile

        return Session(
            stores,
            annotations=annotations,
            probes=named,
            map_folder=map_folder,
            audio_root=audio_root,
            author=author,
            read_only=read_only,
            model=model,
            time_zone=time_zone,
        )

    address = Address(host, port, allow_remote)
    paths = [as_path(store) for store in stores]
    if not all(is_remote(path) or (path / STORE_HEADER).is_file() for path in paths):
        make_session()  # says what is wrong, before a browser is opened for nothing
    run_server(
        make_session,
        address,
        show=show,
        say=say,
        open_browser=not no_browser,
        read_only=read_only,
    )
    return 0
