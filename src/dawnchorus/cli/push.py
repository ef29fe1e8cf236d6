"""``dawnchorus push``: put a model of your own into a repository of the Hugging Face hub."""

from __future__ import annotations

from typing import Annotated

import typer

from dawnchorus.cli import options


def command(
    folder: Annotated[str, typer.Argument(help="Folder of a model or run, or a weights file.")],
    repository: Annotated[str, typer.Argument(help="owner/repo; created if it does not exist.")],
    private: Annotated[
        bool | None,
        typer.Option(
            "--private/--public", help="Who can see a new repository. Default: its owner's setting."
        ),
    ] = None,
    branch: Annotated[str | None, typer.Option(help="Branch to write to. Default: main.")] = None,
    message: Annotated[
        str | None, typer.Option(help="Message of the commit. Default: one that names the model.")
    ] = None,
    create_pr: Annotated[
        bool, typer.Option("--create-pr", help="Propose the commit instead of making it.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Put a model into a repository of the Hugging Face hub: weights, card, labels and a page.

    The model is checked as loading checks it. Others then load it as hf://owner/repo. Log in first
    with `hf auth login`, or set HF_TOKEN.

    Example: dawnchorus push runs/my_birds my-lab/my-birds
    """
    from dawnchorus.cli.output import print_json, say
    from dawnchorus.models.hub import Commit
    from dawnchorus.models.pretrained import MESSAGE
    from dawnchorus.models.publish import push_folder

    commit = Commit(message=message or MESSAGE, private=private, branch=branch, create_pr=create_pr)
    address = push_folder(folder, repository, commit)
    if as_json:
        print_json({"commit": address, "model": f"hf://{repository}"})
        return
    print(address)
    say(f"load it with: hf://{repository}")
