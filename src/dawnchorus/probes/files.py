"""The two files of a saved probe: ``probe.safetensors`` (numbers), ``probe.json`` (all else).

Neither is a pickle, and both are checked whole before anything is scored with them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from dawnchorus.errors import UsageError, WeightsError, shown
from dawnchorus.paths import sha256_of_file
from dawnchorus.probes.description import DESCRIPTION, read_description
from dawnchorus.probes.heads import Neighbours
from dawnchorus.probes.net import Net

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dawnchorus.probes.description import ProbeDescription

WEIGHTS: Final = "probe.safetensors"
MOST_PARTS: Final = 1024  # layers of a head, or of the encoder


def write_files(folder: Path, net: Net, description: Callable[[str], str]) -> None:
    """Write both files; each is written beside its place and renamed.

    Args:
        folder: is made where it is missing.
        net: gives the tensors.
        description: SHA-256 of the tensors' file to the text of ``probe.json``.

    Raises:
        WeightsError: The folder cannot be written.
    """
    tensors = {name: value.contiguous() for name, value in net.state_dict().items()}
    # both lie there whole before either takes its place, so a full disk leaves the old probe
    unfinished = {name: folder / f".{name}" for name in (WEIGHTS, DESCRIPTION)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished[WEIGHTS].write_bytes(save(tensors))
        text = description(sha256_of_file(unfinished[WEIGHTS]))
        unfinished[DESCRIPTION].write_text(text, encoding="utf-8")
        for name, path in unfinished.items():
            path.replace(folder / name)
    except (OSError, SafetensorError) as error:
        for path in unfinished.values():
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise WeightsError(f"{folder}: the probe cannot be written: {error}") from error


def read_files(folder: Path) -> tuple[ProbeDescription, Net]:
    """Read both files.

    Raises:
        UsageError: There is no probe in the folder.
        WeightsError: A file is damaged, or they do not belong together.
    """
    description = read_description(folder)
    weights = folder / WEIGHTS
    try:
        if sha256_of_file(weights) != description.weights_sha256:
            raise WeightsError(
                f"{folder}: {WEIGHTS} is not the file that {DESCRIPTION} was written with; copy "
                "the folder whole, or fit the probe again"
            )
        tensors = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{weights}: not a whole file: {error}") from error
    return description, _filled(description, tensors, weights)


def _filled(description: ProbeDescription, tensors: dict[str, torch.Tensor], where: Path) -> Net:
    """The net that a description promises, with the tensors of its file."""
    config = description.config
    parts = (
        config.num_layers,
        len(config.hidden_dims),
        description.shape[0] if len(description.shape) > 1 else 0,
    )
    if max(parts) > MOST_PARTS:
        raise WeightsError(f"{where}: layers {parts}, a probe has at most {MOST_PARTS}")
    try:
        with torch.device("meta"):  # no memory is used for what the file may not have
            net = Net(config, description.shape, len(description.trained))
    except UsageError as error:
        raise WeightsError(f"{where}: {error}") from error
    if isinstance(net.head, Neighbours) and "head.bank" in tensors:
        # the one head that is as large as its training set, which the description does not say
        n_items = len(tensors["head.bank"]) if tensors["head.bank"].ndim else 0
        net.head.bank = torch.zeros(n_items, description.shape[-1], device="meta")
        net.head.labels = torch.zeros(n_items, net.n_classes, device="meta")
    _fill(net, tensors, where)
    return net


def _fill(net: Net, tensors: dict[str, torch.Tensor], where: Path) -> None:
    have = {name: tuple(value.shape) for name, value in tensors.items()}
    want = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    wrong = sorted(n for n in have.keys() | want.keys() if have.get(n) != want.get(n))
    if wrong:
        raise WeightsError(
            f"{where}: {len(wrong)} tensors missing, unknown or reshaped: {shown(wrong)}"
        )
    _check_numbers(net, tensors, where)
    # a probe solved in float64 is kept in float64
    net.load_state_dict(tensors, assign=True)


def _check_numbers(net: Net, tensors: dict[str, torch.Tensor], where: Path) -> None:
    for name, wanted in net.state_dict().items():
        value = tensors[name]
        if value.is_floating_point() != wanted.is_floating_point() or value.is_complex():
            raise WeightsError(f"{where}: {name} holds {value.dtype}, need {wanted.dtype}")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{where}: {name} holds values that are not numbers")
    if not bool((tensors["scale"] > 0).all()):
        raise WeightsError(f"{where}: scale: features are divided by numbers above 0")
    if isinstance(net.head, Neighbours):
        k, n_items = int(tensors["head.k"]), len(tensors["head.bank"])
        if not 1 <= k <= n_items:
            raise WeightsError(f"{where}: looks for {k} neighbours among {n_items} items")
