"""Products of bfloat16 numbers on a processor without units for them.

Such a unit multiplies rounded numbers and adds the products in float32. A processor without one can
do the same in float32 at float32's speed, if it is told to; torch's own way there is a hundred
times slower.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Products(nn.Module):
    """A module that multiplies matrices.

    Attributes:
        in_float32: rounded numbers are widened before they are multiplied, and the result is
            rounded again. Without a meaning for float32 weights.
    """

    in_float32 = False


class Linear(nn.Linear, Products):
    """`torch.nn.Linear`, as `Products` says."""

    def forward(self, tokens: Tensor) -> Tensor:
        """``(..., in)`` to ``(..., out)``, in the precision of the input."""
        if not self.in_float32:
            return functional.linear(tokens, self.weight, self.bias)
        # widened again each time, which is a thousandth of the product: kept, they would be twice
        # the memory, and a second set of weights to keep in step
        wide = functional.linear(tokens.float(), self.weight.float(), self.bias.float())
        return wide.to(tokens.dtype)


class Conv2d(nn.Conv2d, Products):
    """`torch.nn.Conv2d` with a bias, as `Products` says."""

    def forward(self, image: Tensor) -> Tensor:
        """``(batch, in, height, width)`` to the same of ``out``, in the precision of the input."""
        if not self.in_float32 or self.bias is None:
            return super().forward(image)
        wide: Tensor = self._conv_forward(image.float(), self.weight.float(), self.bias.float())
        return wide.to(image.dtype)


def multiply_in_float32(model: nn.Module, *, on: bool) -> None:
    """Have every module of a model widen its numbers, or not."""
    for module in model.modules():
        if isinstance(module, Products):
            module.in_float32 = on
