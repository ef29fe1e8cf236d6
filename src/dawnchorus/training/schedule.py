"""Learning rate over the steps of a run."""

import math


def warmup_cosine(step: int, *, peak: float, final: float, warmup: int, total: int) -> float:
    """Rate for a step counted from 0: linear to the peak, then half a cosine.

    Step 0 has ``peak / warmup``; the last step, ``total - 1``, has nearly ``final``.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(total - warmup, 1)
    return final + 0.5 * (peak - final) * (1 + math.cos(math.pi * min(progress, 1.0)))
