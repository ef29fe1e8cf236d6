"""Where the parts of a model lie: weights, and the card and label map that belong to them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import DownloadError, UsageError, WeightsError
from dawnchorus.models import hub
from dawnchorus.models.address import HUB_PREFIX, WEIGHT_SUFFIXES, Address, parse_address
from dawnchorus.models.card import (
    CARD_FILE,
    LABELS_FILE,
    WEIGHTS_FILE,
    Card,
    bundled_folder,
    card_files,
    known_card,
    known_cards,
)
from dawnchorus.models.hub import Access
from dawnchorus.models.plugins import meant_by, plugin_names, registered

if TYPE_CHECKING:
    from collections.abc import Sequence

EXPORT: Final = "export"  # of a run's folder
HUB_PAGE: Final = "https://huggingface.co/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where the parts of a model lie on disk.

    Attributes:
        name: of the model, where no card has another.
        weights: the weights file.
        card_file: that lies beside it.
        labels_file: that lies beside it.
        named: a known model's card, for the name of the file, its folder or its repository.
        is_new: downloaded just now.
        loaded_as: the model that the user says these weights are of.
        must_match: came from where ``named`` says, so it has to be that card's file.
        location: where a missing part would have to be, for messages.
    """

    name: str
    weights: Path
    card_file: Path | None = None
    labels_file: Path | None = None
    named: Card | None = None
    loaded_as: Card | None = None
    is_new: bool = False
    must_match: bool = False
    location: str = ""


def find_source(name: str | Path, access: Access | None = None) -> ModelSource:
    """Find a model's files, downloading them if they are only on a hub.

    Raises:
        UsageError: There is no such model.
        WeightsError: A folder or repository has no weights, or several.
        DownloadError: It is on a hub that cannot be reached.
    """
    name = meant_by(name)
    text = str(name)
    if text.startswith(HUB_PREFIX):
        return _hub_source(parse_address(text), access or Access())
    path = Path(name)
    # before known names: a folder of the user's counts, even if it is called like a known model
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:  # a name too long for a path, a null byte
        raise unknown_model(text[:200]) from error
    if not text.strip():
        raise unknown_model(text)
    if is_folder:
        return _folder_source(path)
    if is_file:
        return _beside(path, name=path.stem)
    card = known_card(text)
    if card is not None:
        return _known_source(card, access or Access())
    if path.suffix in WEIGHT_SUFFIXES:
        raise UsageError(f"{path}: no such file")
    raise unknown_model(text)


def unknown_model(name: str) -> UsageError:
    """The error for a name that means nothing, with the nearest one that does."""
    known = list(dict.fromkeys([*card_files(), *plugin_names(), *registered()]))
    # of a name that is nearly right: most mistakes are of one letter
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    page = name.removeprefix(HUB_PAGE)
    if page != name or (name.count("/") == 1 and not Path(name).parent.is_dir()):
        hint = f" A model on the hub is given as {HUB_PREFIX}{page}."
    return UsageError(
        f"no model, file or folder is called {name!r}.{hint} Known models: {', '.join(known)}"
    )


def _known_source(card: Card, access: Access) -> ModelSource:
    folder = bundled_folder(card.name)
    if folder is not None:
        return replace(_folder_source(folder, card), must_match=True)
    if card.hub is None:
        raise UsageError(f"{card.name}: its card does not say where its weights can be downloaded")
    location = card.hub
    return _hub_source(
        Address(repo=location.repo, revision=location.revision, file=location.file), access, card
    )


def _hub_source(address: Address, access: Access, card: Card | None = None) -> ModelSource:
    """Weights of a repository with what lies beside them.

    A known model's card knows where its labels are; of any other repository a card and a label map
    are looked for in the folder of the weights.
    """
    named = card or _card_of_repo(address)
    repo, revision = address.repo, address.revision
    # a revision that the user names may be any state of the repository, so any file is right
    must_match = card is not None or (named is not None and revision is None)
    if must_match and named is not None and named.hub is not None:
        revision = named.hub.revision
    file = address.file or (named.hub.file if named and named.hub else None)
    file = file or _weights_of_repo(address, access)
    name = named.name if named else address.name
    weights, is_new = hub.fetch(repo, file, revision=revision, access=access, name=name)
    folder, commit = PurePosixPath(file).parent, hub.commit_of(weights)

    def beside(wanted: str) -> Path | None:
        # of the same commit: a card of today beside weights of last year would be of others
        path = (folder / wanted).as_posix()
        return hub.fetch_beside(repo, path, revision=commit, access=access, is_needed=is_new)

    label_map = named.hub.label_map if named and named.hub else LABELS_FILE
    return ModelSource(
        name=name,
        weights=weights,
        card_file=None if named else beside(CARD_FILE),
        labels_file=beside(label_map) if label_map else None,
        named=named,
        is_new=is_new,
        must_match=must_match,
        location=f"{HUB_PREFIX}{repo}",
    )


def _card_of_repo(address: Address) -> Card | None:
    for card in known_cards().values():
        if card.hub and card.hub.repo == address.repo and address.file in {None, card.hub.file}:
            return card
    return None


def _weights_of_repo(address: Address, access: Access) -> str:
    """The weights file of a repository, by the cache where that settles it, else by the hub."""
    here = [] if access.force_download else hub.cached_files(
        address.repo, address.revision, access
    )  # fmt: skip
    usual = (WEIGHTS_FILE, f"{address.name}.safetensors")
    settled = next((name for name in usual if name in here), None)
    if settled is not None:
        return settled
    try:
        files = hub.listed_files(address.repo, address.revision, access)
    except DownloadError:
        if not any(name.endswith(WEIGHT_SUFFIXES) for name in here):
            raise
        files = here
    chosen = _choose(files, address)
    if chosen is None:
        raise WeightsError(
            f"{address}: no weights in this repository; need {WEIGHTS_FILE}, or one other weights "
            f"file ({', '.join(WEIGHT_SUFFIXES)})"
        )
    return chosen


def _choose(files: Sequence[str], address: Address) -> str | None:
    for wanted in (WEIGHTS_FILE, f"{EXPORT}/{WEIGHTS_FILE}"):
        if wanted in files:
            return wanted
    candidates = [name for name in files if "/" not in name and name.endswith(WEIGHT_SUFFIXES)]
    if len(candidates) > 1:
        raise WeightsError(
            f"{address}: several weights files ({', '.join(candidates[:5])}); name one of them: "
            f"{address}/{candidates[0]}"
        )
    return candidates[0] if candidates else None


def _folder_source(folder: Path, named: Card | None = None) -> ModelSource:
    for inner in (folder, folder / EXPORT):
        weights = _weights_in(inner)
        if weights is not None:
            return _beside(weights, name=folder.resolve().name, named=named)
    raise WeightsError(
        f"{folder}: no weights in this folder; need {WEIGHTS_FILE}, or one other weights file"
    )


def _weights_in(folder: Path) -> Path | None:
    if (folder / WEIGHTS_FILE).is_file():
        return folder / WEIGHTS_FILE
    try:
        candidates = sorted(path for path in folder.glob("*") if path.suffix in WEIGHT_SUFFIXES)
    except OSError as error:
        raise WeightsError(f"{folder}: cannot be read: {error}") from error
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates[:5])
        raise WeightsError(f"{folder}: several weights files ({names}); name one of them")
    return candidates[0] if candidates else None


def _beside(weights: Path, *, name: str, named: Card | None = None) -> ModelSource:
    card, labels = weights.with_name(CARD_FILE), weights.with_name(LABELS_FILE)
    return ModelSource(
        name=name,
        weights=weights,
        card_file=card if card.is_file() else None,
        labels_file=labels if labels.is_file() else None,
        named=named or _named(weights, name),
        location=str(weights.parent),
    )


def _named(weights: Path, name: str) -> Card | None:
    """The known model that a file, its folder or the name given is called after.

    Nothing else says which input statistics a released file was trained with.
    """
    # repositories rename: eat-base or EAT_Base, model.safetensors in a folder of the model's name
    given = {_plain(name), _plain(weights.stem), _plain(weights.parent.resolve().name)}
    for card in known_cards().values():
        location = card.hub
        own = [card.name] if location is None else [card.name, PurePosixPath(location.repo).name]
        if location is not None and PurePosixPath(location.file).name != WEIGHTS_FILE:
            own.append(PurePosixPath(location.file).stem)
        if given & {_plain(text) for text in own}:
            return card
    return None


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_")
