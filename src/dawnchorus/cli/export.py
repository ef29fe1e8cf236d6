"""``dawnchorus export``: a model for another backend, written once and compared with itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dawnchorus.cli import options


def command(
    name: options.ModelName,
    backend: options.Backend = None,
    output: Annotated[
        Path | None,
        options.output(
            "Folder to write. As onnx or onnx-int8 in the model's own folder it is found there. "
            "Default: the cache."
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> int:
    """Write a model as an ONNX graph, if its embeddings stay what they are.

    --backend does so by itself on first use; this command shows the figures, and writes the graph
    (model.onnx) for other machines and programs. It is compared with the model on the clips that
    come with dawnchorus, and not written if it is too far from it.

    Example: dawnchorus export dawnchorus_eat_tiny --backend onnx-int8
    """
    from dawnchorus.cli.output import print_json
    from dawnchorus.models.backends.export import export_named

    folder, record = export_named(name, backend or "onnx", output)
    facts = {"folder": str(folder), **record.model_dump()}
    if as_json:
        print_json(facts)
        return 0
    figures = (
        f"cosine at least {record.cosine:.5f}, {record.overlap:.1%} of the 10 nearest the same"
    )
    print(f"{record.model} by {record.backend}: {figures} ({record.n_windows} windows)")
    print(folder)
    return 0
