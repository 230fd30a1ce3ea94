"""PyTorch programs in half precision: what tolerance they deserve, and bfloat16 as float32.

Imports PyTorch, therefore used in child processes only.
"""

from typing import Any

import torch
import torch.utils._pytree as pytree

from augurium.importing.tensor_reference import SINGLE, Precision
from augurium.runtimes.torch import unflatten

PRECISIONS = {
    "float32": SINGLE,
    # 11 and 8 bits of mantissa
    "float16": Precision(rtol=2e-3, atol=2e-3, rounding=1e-3),
    "bfloat16": Precision(rtol=2e-2, atol=2e-2, rounding=8e-3),
}


def precision(program: Any) -> str:
    """The coarsest type of number a program computes in."""
    values = pytree.tree_leaves([node.meta.get("val") for node in program.graph.nodes])
    dtypes = {value.dtype for value in values if isinstance(value, torch.Tensor)}
    if torch.bfloat16 in dtypes:
        return "bfloat16"
    return "float16" if torch.float16 in dtypes else "float32"


def without_bfloat16(program: Any) -> Any:
    """The same program in float32, which ONNX Runtime has operators for."""
    if precision(program) != "bfloat16":
        return program
    module = program.module(check_guards=False)
    for part in module.modules():
        # in place of the old ones, which may be views of bfloat16 memory
        held = (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False))
        for name, tensor in held:
            if tensor.dtype == torch.bfloat16:
                setattr(part, name, _wide_weight(tensor))
    for node in module.graph.nodes:
        node.args = torch.fx.node.map_aggregate(node.args, _wide)
        node.kwargs = torch.fx.node.map_aggregate(node.kwargs, _wide)
    module.recompile()
    positional, named = pytree.tree_map(_wide_tensor, program.example_inputs)
    shapes = _dynamic_shapes(program)
    return torch.export.export(module, positional, named, dynamic_shapes=shapes, strict=False)


def _wide(value: Any) -> Any:
    return torch.float32 if value is torch.bfloat16 else value


def _wide_weight(tensor: Any) -> Any:
    wide = tensor.detach().float()
    is_parameter = isinstance(tensor, torch.nn.Parameter)
    return torch.nn.Parameter(wide, requires_grad=False) if is_parameter else wide


def _wide_tensor(value: Any) -> Any:
    is_narrow = isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16
    return value.float() if is_narrow else value


def _dynamic_shapes(program: Any) -> Any:
    """The dimensions that vary, as the export was told them, in the structure of the arguments."""
    known: dict[str, Any] = {}
    shapes = {}
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if node.op == "placeholder" and isinstance(value, torch.Tensor):
            varying = {
                position: known.setdefault(str(extent), torch.export.Dim.DYNAMIC)
                for position, extent in enumerate(value.shape)
                if not isinstance(extent, int)
            }
            shapes[node.name] = varying or None
    positional, named = unflatten(program, shapes)
    return (*positional, *named.values())
