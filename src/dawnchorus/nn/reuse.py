"""Results written over what nobody else will read: the same numbers, with less memory to hand out.

A batch's hidden layer is megabytes. Where each step asks for new ones, the system hands out and
clears pages for a tenth of the time.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules import module as torch_module


def may_be_overwritten(*modules: nn.Module) -> bool:
    """Whether what these modules give is read by their caller alone.

    It is not where a gradient will need it, or a hook may have kept it; a graph that is being
    traced makes its own plan of memory.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    # hooks on all modules at once, as profilers set them
    if torch_module._global_forward_hooks:
        return False
    return not any(each._forward_hooks for each in modules)
