"""Outputs that cannot be right are refused: not numbers, of a wrong size, the same for every sound.

These are the ways in which encoders of this field were silently wrong for months.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from dawnchorus.audio.levels import MAX_LEVEL
from dawnchorus.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

SAME: Final = 1e-6  # relative difference below which two outputs count as one
LOUD: Final = (
    1e-3  # standard deviation of a difference of waveforms, above which they are two sounds
)
SEED: Final = 7


def check_model(
    encode: Callable[[Tensor, Tensor], NDArray[np.float32]],
    *,
    name: str,
    window: int,
    sample_rate: int,
    expected: int | None,
) -> int:
    """Encode a chirp and noise; returns the size of a result.

    Raises:
        WeightsError: As this module says.
    """
    values = encode(_test_sounds(window, sample_rate), torch.tensor([window, window]))
    if values.ndim != 2 or len(values) != 2 or expected not in (None, values.shape[-1]):
        raise WeightsError(
            f"{name}: two windows gave an output of shape {values.shape}, need (2, "
            f"{expected or 'dim'}); the model and its description do not belong together"
        )
    _check_finite(name, values)
    if _all_same(values):
        raise WeightsError(
            f"{name}: a chirp and noise gave the same output; these weights do not work. Check "
            f"them with: dawnchorus verify {name}"
        )
    return int(values.shape[1])


def _test_sounds(window: int, sample_rate: int) -> Tensor:
    time_s = torch.arange(window, dtype=torch.float64) / sample_rate
    low, high = 0.05 * sample_rate, 0.45 * sample_rate
    # 0.05 to 0.45 of the rate: inside the band of every frontend of ours
    slope = (high - low) * sample_rate / window  # the chirp crosses the band once
    chirp = 0.3 * torch.sin(2 * torch.pi * (low * time_s + 0.5 * slope * time_s**2))
    noise = 0.1 * torch.randn(window, generator=torch.Generator().manual_seed(SEED))
    return torch.stack([chirp.float(), noise])


class WindowsError(WeightsError):
    """Some windows of a batch gave values that are not numbers, others did not.

    ``rows`` are theirs. What is wrong lies with their sound more than with the weights.
    """

    def __init__(self, message: str, rows: Sequence[int]) -> None:
        """Keep which windows it is."""
        super().__init__(message)
        self.rows = tuple(rows)


class Canary:
    """Watches every batch of a run."""

    def __init__(self, name: str) -> None:
        """``name``: of the model, for the message."""
        self._name = name

    def check(self, waveforms: Tensor, values: NDArray[np.float32]) -> None:
        """Check one batch.

        Args:
            waveforms: ``(batch, samples)``.
            values: ``(batch, n)``.

        Raises:
            WindowsError: Some windows gave values that are not finite.
            WeightsError: All did, or windows that differ all gave one result.
        """
        if len(values) != len(waveforms):
            raise WeightsError(f"{self._name}: {len(waveforms)} windows gave {len(values)} results")
        self._check_windows(waveforms, values)
        if len(values) > 1 and _all_same(values) and _some_differ(waveforms):
            raise WeightsError(
                f"{self._name}: {len(values)} windows that differ all gave the same output; "
                "nothing of this batch was kept. Check the weights with: dawnchorus verify "
                f"{self._name}"
            )

    def _check_windows(self, waveforms: Tensor, values: NDArray[np.float32]) -> None:
        """Sound within full scale gives numbers in any model that works; other sound need not."""
        is_bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not is_bad.any():
            return  # before every sample is looked at: a GPU leaves no time for that
        # samples far beyond full scale overflow in float16, and no model is to blame
        odd = waveforms.abs().amax(dim=1).numpy() > MAX_LEVEL
        if is_bad.all() and not odd.all():
            _check_finite(self._name, values)
        raise WindowsError(
            f"{self._name} makes no numbers of its sound; nothing of it was kept. Look at it "
            "with: dawnchorus doctor --deep; or try --precision float32",
            np.flatnonzero(is_bad).tolist(),
        )


def _check_finite(name: str, values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        n_bad = int((~np.isfinite(values).all(axis=-1)).sum())
        raise WeightsError(
            f"{name}: {n_bad} of {len(values)} windows gave values that are not numbers; nothing "
            "of this batch was kept. Try --precision float32, or check the weights with: "
            f"dawnchorus verify {name}"
        )


def _all_same(values: NDArray[np.float32]) -> bool:
    # relative, since embeddings of some models are of order 1e-3
    scale = float(np.abs(values).max())
    return float(np.abs(values - values[0]).max()) <= SAME * scale


def _some_differ(waveforms: Tensor) -> bool:
    # neither an offset nor the sign of a waveform reaches the log-mel, so neither makes two sounds
    first = waveforms[:1]
    differ = (waveforms - first).std(dim=1) > LOUD
    return bool((differ & ((waveforms + first).std(dim=1) > LOUD)).any())
