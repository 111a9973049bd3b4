"""Linear layers whose weights are laid out for a CPU once.

oneDNN lays a weight out anew for every product, which with few rows takes as long as the product itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import Linear

_ROWS = 32
"""Rows to choose the layout for; products with more or fewer are as right."""


@contextmanager
def laid_out(module: Any) -> Iterator[None]:
    """Inside, the linear layers multiply with copies of their weights; nothing changes where oneDNN lacks the product."""
    layers = [each for each in module.modules() if _suits(each)]
    try:
        for each in layers:
            weight = torch.ops.mkldnn._reorder_linear_weight(each.weight.detach(), _ROWS)
            each.forward = partial(_product, weight, each.bias)
        yield
    finally:
        for each in layers:
            vars(each).pop("forward", None)


def _suits(layer: Any) -> bool:
    if type(layer) is not Linear or "forward" in vars(layer) or layer.weight.device.type != "cpu":
        return False
    ops = torch.ops.mkldnn
    if not (hasattr(ops, "_linear_pointwise") and hasattr(ops, "_reorder_linear_weight")):
        return False
    return layer.weight.dtype == torch.float32 or (
        layer.weight.dtype == torch.bfloat16 and bool(ops._is_mkldnn_bf16_supported())
    )


def _product(weight: Tensor, bias: Tensor | None, states: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")  # type: ignore[no-any-return]
