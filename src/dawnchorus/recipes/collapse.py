"""Whether pretraining has collapsed: every patch, or every clip, has become alike.

A teacher and a student that agree on one constant answer have a loss of zero and have learned
nothing. So a run watches how much the answers differ, not only how well they agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dawnchorus.configs import PretrainConfig


def check_spread(losses: Mapping[str, float], step: int, config: PretrainConfig) -> None:
    """End training when all patches are alike, to the teacher or to the decoder.

    A collapsed run has a low loss, so the loss cannot show it. The released code stops on the same
    two numbers.

    Raises:
        TrainingError: One is below its floor, in the mean of all processes.
    """
    floors = {
        "target_deviation": config.collapse.min_target_deviation,
        "prediction_deviation": config.collapse.min_prediction_deviation,
    }
    for name, floor in floors.items():
        value = losses[name]
        if value < floor:
            raise TrainingError(
                f"{config.name}: training has collapsed: at step {step} the {name} over patches is "
                f"{value:.3g}, need at least {floor:g} (collapse.min_{name}); lower learning_rate, "
                "lengthen warmup_steps or raise ema.start"
            )


def check_rank(rank: float, step: int, config: PretrainConfig) -> None:
    """End training when a few directions carry all embeddings, whatever the spread of the patches.

    Raises:
        TrainingError: The effective rank is below its floor.
    """
    floor = config.collapse.min_rank
    if rank < floor:
        raise TrainingError(
            f"{config.name}: training has collapsed: after step {step} the effective rank of the "
            f"validation clips' embeddings is {rank:.3g}, need at least {floor:g} "
            "(collapse.min_rank); use larger batches, lower learning_rate or raise ema.start"
        )
