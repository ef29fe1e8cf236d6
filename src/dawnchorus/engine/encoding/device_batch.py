"""How many windows a GPU is given at once: as many as fill it, no more than fit.

Memory is a bound, not an aim: a GPU is busy with some 32,000 tokens at once, and every batch is
also held several times in the host's memory. What does not fit after all is halved while it runs
(`BatchEncoder`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from dawnchorus.audio.frontend import FRAME_HOP_SAMPLES
from dawnchorus.models.eat_config import N_BAND_STEPS
from dawnchorus.nn.patches import PATCH

if TYPE_CHECKING:
    from dawnchorus.models.encoder import Encoder

MOST: Final = 256  # windows: a second of a GPU's work must not be lost with a batch
HOST_BYTES: Final = 64 * 2**20  # of waveforms in a batch; the pipeline holds ten or so of them
ROOM: Final = 0.5  # share of the free memory for all lanes: what torch keeps for later counts too
# numbers a token's channel has in a block at most: input, query, key, value, attended, projected,
# residual, the MLP's hidden layer (4) before and after its GELU, output; and what layers are kept
NUMBERS_A_CHANNEL: Final = 24
NUMBERS_A_SAMPLE: Final = 6  # of the frontend: the waveform, centred, emphasised, and log-mels


def device_batch(model: Encoder, window: int, *, free: int, n_lanes: int) -> int:
    """Windows at once, a power of two.

    Args:
        model: that embeds them.
        window: samples of each.
        free: bytes of the device's memory that nobody holds, with the weights already there.
        n_lanes: batches that are computed at once.
    """
    parameters = list(model.parameters()) if isinstance(model, nn.Module) else []
    size = parameters[0].element_size() if parameters else 4
    tokens = N_BAND_STEPS * (window / (FRAME_HOP_SAMPLES * PATCH))
    # one float32 of every sample, and the blocks in the precision of the weights
    each = 4 * NUMBERS_A_SAMPLE * window + NUMBERS_A_CHANNEL * size * tokens * model.dim
    fitting = min(ROOM * free / (n_lanes * each), HOST_BYTES / (4 * window), MOST)
    return 1 << max(int(fitting).bit_length() - 1, 0)


def free_on(model: Encoder) -> int | None:
    """Bytes that the CUDA device of a model has left; None: it is elsewhere."""
    device = next(model.parameters()).device if isinstance(model, nn.Module) else None
    if device is None or device.type != "cuda":
        return None
    # what torch holds for later is free as well
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + int(held)
