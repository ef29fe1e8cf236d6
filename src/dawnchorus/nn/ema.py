"""Weights that follow others as their moving average, in float32: a teacher's, or smoother ones."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def decay_at(step: int, *, start: float, end: float, n_steps: int) -> float:
    """Share of itself that the teacher keeps at a step counted from 1: linear, then ``end``.

    Source: EAT code (data2vec 2.0); the schedule is read after the step was counted.
    """
    if step >= n_steps:
        return end
    return end - (end - start) * (1 - step / n_steps)


def warm_decay(step: int, decay: float) -> float:
    """``decay``, and less in the first steps counted from 1, which would else weigh for ever.

    Source: TensorFlow's ExponentialMovingAverage (``num_updates``).
    """
    return min(decay, (1 + step) / (10 + step))


def make_teacher(student: ModuleT) -> ModuleT:
    """A copy in float32 that no optimiser touches, in evaluation mode."""
    teacher = copy.deepcopy(student).float().eval()
    return teacher.requires_grad_(requires_grad=False)


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, decay: float) -> None:
    """Move every weight of the teacher towards the student's: ``d t + (1 - d) s``; copy buffers.

    Both have the same weights in the same order. The student's may be of lower precision.
    """
    # one fused call for all weights; a loop over 150 tensors would wait for each kernel
    averages = list(teacher.parameters())
    current = [p.detach().to(a.dtype) for a, p in zip(averages, student.parameters(), strict=True)]
    get_ema_multi_avg_fn(decay)(averages, current, 0)  # type: ignore[no-untyped-call]  # torch's
    for kept, new in zip(teacher.buffers(), student.buffers(), strict=True):
        kept.copy_(new)


@torch.no_grad()
def distance(teacher: nn.Module, student: nn.Module) -> float:
    """How far apart the weights are: norm of the difference over the norm of the student's."""
    pairs = list(zip(teacher.parameters(), student.parameters(), strict=True))
    # one number leaves the device, at the end
    apart = torch.stack([(t - s).square().sum() for t, s in pairs]).sum()
    size = torch.stack([s.square().sum() for _, s in pairs]).sum()
    return float((apart / size).sqrt())
