"""``dawnchorus label suggest``: what to label next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.cli import options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dawnchorus.annotations.annotation_row import AnnotationRow

SHOWN = 20  # windows on the terminal


def suggest(
    store: options.StorePath,
    label: options.Label = None,
    n: Annotated[int, typer.Option("-n", "--count", help="Windows to suggest.")] = 50,
    strategy: options.Strategy = "mixed",
    probe: Annotated[
        Path | None,
        typer.Option(help="Folder of a probe (probe fit), which then gives the labels."),
    ] = None,
    like: options.Like = None,
    annotations: options.Annotations = None,
    where: options.Where = None,
    time_of_day: options.TimeOfDay = None,
    dates: options.Dates = None,
    time_zone: options.TimeZone = None,
    model: options.Model = None,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Choose windows that are worth labelling next, and add them to the annotations.

    Judge them with label judge, on the page (serve), or in Raven or Audacity (label export). A
    fifth of mixed is drawn evenly, for estimates; under ten positives the others are the best
    scores, spread, and after that those that the scores are least sure of.

    Example: dawnchorus label suggest archive.store --label wren --like wren.wav -n 40
    """
    from dawnchorus.cli.output import print_json, watched
    from dawnchorus.errors import UsageError
    from dawnchorus.labelling.suggest import suggest_windows

    if label is None:
        raise UsageError("suggestions are of one label; name it: --label wren")
    if probe is not None and like:
        raise UsageError("--probe or --like: windows are scored by one of them, not by both")
    with watched(quiet=quiet) as progress:
        suggestions = suggest_windows(
            store,
            label,
            n,
            strategy=strategy,  # type: ignore[arg-type]  # it says which there are
            scorer=probe if probe is not None else sound_vectors(store, like, model),
            annotations=annotations,
            seed=seed,
            progress=progress,
            **options.window_filters(where, time_of_day, dates, time_zone),
        )
    if as_json:
        print_json([row.to_dict() for row in suggestions])
    else:
        _show(suggestions)
    return 0


def sound_vectors(
    store: str, like: list[str] | None, model: str | None
) -> NDArray[np.float32] | None:
    """Vectors of sounds, by the encoder of a store; None: no sound was named."""
    from numpy import concatenate

    from dawnchorus.search.query import SoundQuery, embed_sounds
    from dawnchorus.store.read import Store

    if not like:
        return None
    sounds = [SoundQuery.parse(text) for text in like]
    return concatenate(embed_sounds(sounds, Store(store).header, model))


def _show(suggestions: list[AnnotationRow]) -> None:
    from dawnchorus.cli.output import print_table

    cells = [
        [row.path, f"{row.start_s:.2f}", f"{row.end_s or 0:.2f}",
         "" if row.score is None else f"{row.score:.3f}", row.purpose]
        for row in suggestions[:SHOWN]
    ]  # fmt: skip
    print_table(["path", "start_s", "end_s", "score", "purpose"], cells)
    if len(suggestions) > SHOWN:
        print(f"and {len(suggestions) - SHOWN} more")
    print(f"{len(suggestions)} windows to judge")
