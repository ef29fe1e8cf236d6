"""``dawnchorus models``: the models that are known, and which of them are on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.cli import options

if TYPE_CHECKING:
    from dawnchorus.models.card import Card


def command(
    as_json: options.AsJson = False,
) -> None:
    """List the models that are known by name.

    A model folder, a weights file, a training run and hf://owner/repo are models too.

    Example: dawnchorus models
    """
    from dawnchorus.cli.output import print_json, print_table
    from dawnchorus.models.card import known_cards
    from dawnchorus.models.plugins import plugin_names

    cards = known_cards().values()
    if as_json:
        print_json([{**card.model_dump(mode="json"), "where": where(card)} for card in cards])
        return
    rows = [[card.name, card.title, card.licence, where(card)] for card in cards]
    rows += [[name, "encoder of another package", "", "installed"] for name in plugin_names()]
    print_table(["name", "what", "licence of weights", "where"], rows)


def where(card: Card) -> str:
    """Whether a model's weights are bundled, in the download cache, or only on the hub."""
    from dawnchorus.models.card import bundled_folder
    from dawnchorus.models.hub import cached

    if bundled_folder(card.name) is not None:
        return "bundled"
    if card.hub is None:
        return "nowhere"
    return "on disk" if cached(card.hub.repo, card.hub.file, card.hub.revision) else "to download"
