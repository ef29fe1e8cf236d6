"""An EAT as an ONNX graph: normalised log-mel in, the tokens after every block out.

Written node by node, from the weights, and not traced: tracing the smallest model took 10 s, not
0.4, asks for two more packages, and gives other bytes with every version of torch. That it computes
what `models.eat` does is not believed but measured, in every export.

The graph has no mask. A batch whose clips are of several lengths is encoded length by length
(`encoder`), which costs less than looking at padding would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from dawnchorus.audio.frontend import N_BANDS
from dawnchorus.errors import DependencyError
from dawnchorus.models.backends.rounding import rounded_weight
from dawnchorus.nn.patches import PATCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from dawnchorus.models.backends.rounding import InputRange
    from dawnchorus.models.eat import EAT
    from dawnchorus.nn.blocks import Block

FEATURES: Final = "features"  # name of the one input
OPSET: Final = 20  # the first with Gelu
IR_VERSION: Final = 10


def block_output(index: int) -> str:
    """Name of an output of the graph: the tokens after a block."""
    return f"blocks.{index}"


def graph_bytes(model: EAT, ranges: Mapping[str, InputRange] | None = None) -> bytes:
    """The encoder of a model, without its classifier, as the content of an ``.onnx`` file.

    Args:
        model: in float32, on the CPU.
        ranges: name of a linear layer to the range of its input, for each layer that is to be
            computed in int8; all others stay float32.

    Raises:
        DependencyError: The extra is not installed.
    """
    return _Graph(model, ranges or {}).to_bytes()


class _Graph:
    """Nodes and constants as they are added; every method gives the name of what it adds."""

    def __init__(self, model: EAT, ranges: Mapping[str, InputRange]) -> None:
        try:
            from onnx import helper, numpy_helper  # noqa: PLC0415  an extra, slow to import
        except ImportError as error:
            raise DependencyError("onnx", "onnx", "the export of a model") from error
        self._helper: Any = helper
        self._numpy_helper: Any = numpy_helper
        self._model = model
        self._ranges = ranges
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def to_bytes(self) -> bytes:
        helper, model = self._helper, self._model
        kind = helper.TensorProto.FLOAT
        tokens = self._embedded()
        outputs = []
        for index, block in enumerate(model.blocks):
            tokens = self._block(tokens, cast("Block", block), block_output(index))
            outputs.append(
                helper.make_tensor_value_info(tokens, kind, ["batch", "tokens", model.dim])
            )
        graph = helper.make_graph(
            self._nodes,
            "eat",
            [helper.make_tensor_value_info(FEATURES, kind, ["batch", "frames", N_BANDS])],
            outputs,
            list(self._constants.values()),
        )
        made = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="dawnchorus",
        )
        content: bytes = made.SerializeToString(deterministic=True)
        return content

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(self._helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def _constant(self, name: str, values: Tensor | NDArray[Any]) -> str:
        if name not in self._constants:
            array = values if isinstance(values, np.ndarray) else values.detach().numpy()
            self._constants[name] = self._numpy_helper.from_array(
                np.asarray(array, order="C"), name
            )
        return name

    def _whole(self, *values: int) -> str:
        """A list of whole numbers: shapes, axes."""
        return self._constant(f"whole {values}", np.array(values, dtype=np.int64))

    def _embedded(self) -> str:
        """Input of the first block: patches with their positions, CLS in front, normalised."""
        model, node = self._model, self._node
        kernel = model.patch_embed.proj
        image = node("Unsqueeze", [FEATURES, self._whole(1)], "image")
        weights = [
            self._constant("patch_embed.proj.weight", kernel.weight),
            self._constant("patch_embed.proj.bias", cast("Tensor", kernel.bias)),
        ]
        shape = [PATCH, PATCH]
        grid = node("Conv", [image, *weights], "grid", kernel_shape=shape, strides=shape)
        flat = node("Reshape", [grid, self._whole(0, model.dim, -1)], "flat")
        patches = node("Transpose", [flat], "patches", perm=[0, 2, 1])
        count = node("Shape", [patches], "count", start=1, end=2)
        table = self._constant("positions", model.positions)
        bounds = [self._whole(0), count, self._whole(1)]
        positions = node("Slice", [table, *bounds], "positions used")
        placed = node("Add", [patches, positions], "placed patches")
        batch = node("Shape", [FEATURES], "batch size", start=0, end=1)
        shape_of_cls = [batch, self._whole(1), self._whole(model.dim)]
        rows = node("Concat", shape_of_cls, "shape of cls", axis=0)
        cls = node("Expand", [self._constant("cls_token", model.cls_token), rows], "cls")
        sequence = node("Concat", [cls, placed], "sequence", axis=1)
        return self._norm(sequence, model.pre_norm, "pre_norm", "pre_norm")

    def _block(self, tokens: str, block: Block, name: str) -> str:
        """As `nn.blocks.Block`: post-norm."""
        mixed = self._attention(tokens, block, f"{name}.attn")
        attended = self._linear(mixed, block.attn.proj, f"{name}.attn.proj")
        sum_ = self._node("Add", [tokens, attended], f"{name}.attn.sum")
        tokens = self._norm(sum_, block.norm1, f"{name}.norm1", f"{name}.norm1.out")
        hidden = self._linear(tokens, block.mlp.fc1, f"{name}.mlp.fc1")
        active = self._node("Gelu", [hidden], f"{name}.mlp.act")
        added = self._linear(active, block.mlp.fc2, f"{name}.mlp.fc2")
        sum_ = self._node("Add", [tokens, added], f"{name}.mlp.sum")
        return self._norm(sum_, block.norm2, f"{name}.norm2", name)

    def _attention(self, tokens: str, block: Block, name: str) -> str:
        node, dim, n_heads = self._node, self._model.dim, block.attn.n_heads
        width = dim // n_heads
        qkv = self._linear(tokens, block.attn.qkv, f"{name}.qkv")
        stacked = node("Reshape", [qkv, self._whole(0, 0, 3, n_heads, width)], f"{name}.stacked")
        # (batch, heads, tokens, width), keys transposed
        orders = {"query": [0, 2, 1, 3], "key": [0, 2, 3, 1], "value": [0, 2, 1, 3]}
        parts = []
        for position, (part, order) in enumerate(orders.items()):
            chosen = [stacked, self._constant(f"{position}", np.array(position))]
            picked = node("Gather", chosen, f"{name}.{part}.rows", axis=2)
            parts.append(node("Transpose", [picked], f"{name}.{part}", perm=order))
        query, key, value = parts
        root = self._constant("1 / root of width", np.array(width**-0.5, np.float32))
        scaled = node("Mul", [query, root], f"{name}.scaled")
        scores = node("MatMul", [scaled, key], f"{name}.scores")
        weights = node("Softmax", [scores], f"{name}.weights", axis=-1)
        mixed = node("MatMul", [weights, value], f"{name}.mixed")
        by_token = node("Transpose", [mixed], f"{name}.by_token", perm=[0, 2, 1, 3])
        return node("Reshape", [by_token, self._whole(0, 0, dim)], f"{name}.joined")

    def _norm(self, tokens: str, norm: nn.LayerNorm, name: str, output: str) -> str:
        weights = [
            self._constant(f"{name}.weight", norm.weight),
            self._constant(f"{name}.bias", norm.bias),
        ]
        inputs = [tokens, *weights]
        return self._node("LayerNormalization", inputs, output, axis=-1, epsilon=norm.eps)

    def _linear(self, values: str, linear: nn.Linear, name: str) -> str:
        if name in self._ranges:
            values = self._rounded_input(values, name, self._ranges[name])
            factor = self._rounded_weight(linear.weight, name)
        else:
            factor = self._constant(f"{name}.weight", linear.weight.T)
        product = self._node("MatMul", [values, factor], f"{name}.product")
        bias = self._constant(f"{name}.bias", linear.bias)
        return self._node("Add", [product, bias], f"{name}.out")

    def _rounded_input(self, values: str, name: str, seen: InputRange) -> str:
        """To 8 bits and back; runtimes know the pair, and multiply the 8 bits."""
        scale = [
            self._constant(f"{name}.input.step", np.array(seen.step, np.float32)),
            self._constant(f"{name}.input.zero", np.array(seen.zero, np.uint8)),
        ]
        small = self._node("QuantizeLinear", [values, *scale], f"{name}.input.uint8")
        return self._node("DequantizeLinear", [small, *scale], f"{name}.input")

    def _rounded_weight(self, weight: Tensor, name: str) -> str:
        """The weight ``(in, out)`` from its 8 bits, with a step for each column."""
        small, step = rounded_weight(weight)
        inputs = [
            self._constant(f"{name}.weight.int8", small.T),
            self._constant(f"{name}.weight.step", step),
            self._constant(f"{name}.weight.zero", np.zeros(len(step), np.int8)),
        ]
        return self._node("DequantizeLinear", inputs, f"{name}.weight", axis=1)
