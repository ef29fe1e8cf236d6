"""A model on its way to a hub: its folder, its page, and the commit that holds them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import WeightsError
from dawnchorus.labels import label_map_text
from dawnchorus.models import hub
from dawnchorus.models.address import check_repo
from dawnchorus.models.card import CARD_FILE, LABELS_FILE, WEIGHTS_FILE, Card
from dawnchorus.models.load import open_model
from dawnchorus.models.page import model_page
from dawnchorus.models.write import smallest_exact, write_files, write_model

if TYPE_CHECKING:
    from dawnchorus.models.eat import EAT
    from dawnchorus.models.hub import Commit
    from dawnchorus.models.load import LoadedModel
    from dawnchorus.models.write import FilePrecision

PAGE: Final = "README.md"
PROBE_FILES: Final = ("probe.safetensors", "probe.json")  # a folder may be a model and a probe


def save_model(
    model: EAT, folder: Path, *, precision: FilePrecision | None = None, repo: str | None = None
) -> Card:
    """Write a model that is in memory as a folder with a page.

    Raises:
        WeightsError: The folder cannot be written.
    """
    # on the CPU: comparing precisions makes copies, for which a GPU may have no room
    weights = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    chosen = precision or smallest_exact(weights)
    card = write_model(folder, card_of(model), model.labels, weights, chosen)
    if card.scores and (model.card is None or card.tensors_sha256 != model.card.tensors_sha256):
        # trained on since it was loaded: what was measured then is not true of these weights
        left_out = f"Its weights are not those that were measured as: {card.scores}"
        bare = card.model_copy(update={"scores": "", "notes": (*card.notes, left_out)})
        card = write_model(folder, bare, model.labels, weights, chosen)
    page = model_page(card, model.labels, repo).encode()
    write_files(folder, {PAGE: page})
    return card


def card_of(model: EAT) -> Card:
    """What is known of a model in memory: the card that it was loaded with, where it had one."""
    before = model.card or Card(
        name=model.name, config=model.config, licence=model.licence or "unknown"
    )
    return before.model_copy(
        update={
            "name": model.name,
            "config": model.config,
            "has_classifier": model.head is not None,
            "hub": None,
        }
    )


def push_model(
    model: EAT, repo: str, commit: Commit, *, precision: FilePrecision | None = None
) -> str:
    """Put a model that is in memory into a repository; gives the address of the commit."""
    _check(repo)
    with tempfile.TemporaryDirectory(prefix="dawnchorus-") as folder:
        save_model(model, Path(folder), precision=precision, repo=repo)
        return hub.upload(Path(folder), repo, commit)


def push_folder(name: str | Path, repo: str, commit: Commit) -> str:
    """Put a model's folder into a repository, after the checks that loading makes.

    Args:
        name: a model folder, a run's folder, or a weights file.
        repo: ``owner/repo``.
        commit: how.

    Returns:
        Address of the commit.

    Raises:
        UsageError: ``repo`` cannot be a repository, or there is no such model.
        WeightsError: The weights are not those of their card, there is no card, the labels do not
            fit, or the hub does not take them.
    """
    _check(repo)
    loaded = open_model(name)
    if loaded.identity.card is None:
        raise WeightsError(
            f"{name}: no card belongs to these weights; put {CARD_FILE} beside them, so that who "
            "loads them gets what you have"
        )
    if loaded.model.no_logits is not None:
        raise WeightsError(f"{name}: not pushed: {loaded.model.no_logits}")
    with tempfile.TemporaryDirectory(prefix="dawnchorus-") as folder:
        _gather(loaded, Path(folder), repo)
        return hub.upload(Path(folder), repo, commit)


def _gather(loaded: LoadedModel, folder: Path, repo: str) -> None:
    """The folder's own files where the weights hold their card, otherwise files written again."""
    source, model = loaded.source, loaded.model
    if (
        loaded.identity.card is None
        or source.card_file is None
        or loaded.weights.header.card is None
    ):
        save_model(model, folder, repo=repo)
    else:
        shutil.copyfile(source.weights, folder / WEIGHTS_FILE)
        shutil.copyfile(source.card_file, folder / CARD_FILE)
        files = {PAGE: model_page(loaded.identity.card, model.labels, repo)}
        if model.labels is not None:
            files[LABELS_FILE] = label_map_text(model.labels)
        write_files(folder, {name: text.encode() for name, text in files.items()})
    for name in PROBE_FILES:
        beside = source.weights.with_name(name)
        if beside.is_file():
            shutil.copyfile(beside, folder / name)


def _check(repo: str) -> None:
    check_repo(repo if "/" in repo else f"me/{repo}", repo)
