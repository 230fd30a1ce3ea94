"""PyTorch on the CPU, by default one thread per run: programs of `torch.export`.

Imports PyTorch, therefore loaded in runners and in children of imports only.
"""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.utils._pytree as pytree
from torch.export.graph_signature import InputKind, OutputKind, TensorArgument

from augurium.core.errors import InvalidArgument, ModelFailed, Unprocessable
from augurium.core.tensors import BFLOAT16, Array, TensorSpec
from augurium.runtimes.pt2_archive import rewrite

DATATYPES = {
    torch.bool: "BOOL",
    torch.uint8: "UINT8",
    torch.uint16: "UINT16",
    torch.uint32: "UINT32",
    torch.uint64: "UINT64",
    torch.int8: "INT8",
    torch.int16: "INT16",
    torch.int32: "INT32",
    torch.int64: "INT64",
    torch.float16: "FP16",
    torch.float32: "FP32",
    torch.float64: "FP64",
    torch.bfloat16: "BF16",
}
# versions without this option were registered with FP32 in place of BF16
BFLOAT16_OPTION = {"bfloat16": "as_it_is"}
FIRST_LINE_CHARACTERS = 300


class TorchModel:
    """One exported program. Options: `bfloat16=as_it_is`, for answers in bfloat16 where the program
    gives it; float32, which holds every bfloat16, without it.

    Inputs have the names of the arguments of `forward` (those of dicts and tuples joined by `_`).
    Outputs have the keys of the dict it returns, or are called `output`, `output_1`, ...
    """

    def __init__(self, path: Path, options: Mapping[str, str], threads: int = 1) -> None:
        if options not in ({}, BFLOAT16_OPTION):
            raise InvalidArgument(
                f"torch takes no options but {BFLOAT16_OPTION}, got {dict(options)}"
            )
        self._widens = not options
        torch.set_num_threads(threads)
        self.program = load_program(path)
        self._module = self.program.module(check_guards=False)
        self._inputs = tensor_inputs(self.program)
        self.input_dtypes = {name: value.dtype for name, value in self._inputs.items()}
        self.output_names = output_names(self.program)

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        try:
            with torch.inference_mode():
                positional, named = self._arguments(inputs)
                found = self._module(*positional, **named)
        except Exception as error:  # PyTorch raises whatever its operators like
            raise ModelFailed(f"the model failed: {first_line(error)}") from error
        tensors = dict(zip(self.output_names, pytree.tree_leaves(found), strict=True))
        return [self._array(tensors[name]) for name in outputs or self.output_names]

    def _array(self, tensor: Any) -> Array:
        narrow = tensor.dtype == torch.bfloat16
        return array_of(tensor.float() if narrow and self._widens else tensor)

    def _arguments(self, inputs: Mapping[str, Array]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        tensors = {
            name: tensor_of(inputs[name]).to(dtype) for name, dtype in self.input_dtypes.items()
        }
        return unflatten(self.program, tensors)


def load_program(path: Path) -> Any:
    """The exported program in a file, checked before PyTorch reads it.

    Raises Unprocessable for what `pt2_archive.rewrite` refuses and for what PyTorch cannot read.
    """
    # what PyTorch complains about goes into the error
    logging.getLogger("torch").setLevel(logging.CRITICAL)
    with TemporaryDirectory() as folder, contextlib.ExitStack() as opened:
        checked = Path(folder) / "model.pt2"
        rewrite(path, checked)
        stream = opened.enter_context(checked.open("rb"))
        try:
            return torch.export.load(stream)
        except Exception as error:  # anything may be wrong with a file
            raise Unprocessable(
                f"PyTorch {torch.__version__} cannot load the exported program: "
                f"{first_line(error)}; export it again with this version"
            ) from error


def tensor_inputs(program: Any) -> dict[str, Any]:
    """The symbolic tensors a caller gives, by name, in the order of the arguments."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    return {
        spec.arg.name: values[spec.arg.name]
        for spec in program.graph_signature.input_specs
        if spec.kind is InputKind.USER_INPUT and isinstance(spec.arg, TensorArgument)
    }


def tensor_outputs(program: Any) -> dict[str, Any]:
    """The symbolic tensors that come back, by name. Raises Unprocessable for what is no tensor."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    specs = [s for s in program.graph_signature.output_specs if s.kind is OutputKind.USER_OUTPUT]
    for name, spec in zip(output_names(program), specs, strict=True):
        if not isinstance(spec.arg, TensorArgument):
            raise Unprocessable(
                f"output '{name}' of the program is no tensor; return tensors only, then export "
                "it again"
            )
    return {n: values[s.arg.name] for n, s in zip(output_names(program), specs, strict=True)}


def output_names(program: Any) -> list[str]:
    """Keys of returned dicts, joined by `_`; `output`, `output_1`, ... without any."""
    spec = program.call_spec.out_spec
    places = pytree.tree_unflatten(list(range(spec.num_leaves)), spec)
    paths, _ = pytree.tree_flatten_with_path(places)
    keyed = [[str(key.key) for key in path if hasattr(key, "key")] for path, _ in paths]
    names = [
        "_".join(keys) or ("output" if not position else f"output_{position}")
        for position, keys in enumerate(keyed)
    ]
    if len(set(names)) < len(names):
        raise Unprocessable(
            f"two outputs of the program have one name: {names}; return a flat dict"
        )
    return names


def unflatten(program: Any, tensors: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of `forward` from tensors by name; what was constant at export stays so."""
    leaves = []
    for spec in program.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            constant = getattr(spec.arg, "value", None)
            leaves.append(
                tensors[spec.arg.name] if isinstance(spec.arg, TensorArgument) else constant
            )
    positional, named = pytree.tree_unflatten(leaves, program.call_spec.in_spec)
    return tuple(positional), dict(named)


def tensor_spec(name: str, value: Any, role: str) -> TensorSpec:
    """The spec of a symbolic tensor, -1 where it varies.

    Raises Unprocessable for types no protocol carries.
    """
    datatype = DATATYPES.get(value.dtype)
    if datatype is None:
        raise Unprocessable(
            f"{role} '{name}' has elements of type {value.dtype}; expected one of "
            f"{', '.join(sorted(set(DATATYPES.values())))}: convert it in forward, export again"
        )
    shape = tuple(extent if isinstance(extent, int) else -1 for extent in value.shape)
    return TensorSpec(name, datatype, shape)


def first_line(error: Exception) -> str:
    """What an error says, without its trace."""
    said = str(error).strip().splitlines() or [type(error).__name__]
    return said[0][:FIRST_LINE_CHARACTERS]


def tensor_of(array: Array) -> Any:
    """An array as a tensor, which may share its memory."""
    # PyTorch warns of arrays it may not write to, though nothing writes here
    array = array if array.flags.writeable else array.copy()
    if array.dtype == BFLOAT16:
        # NumPy's is not PyTorch's: the bits are the same
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def array_of(tensor: Any) -> Array:
    """A tensor as an array, which may share its memory."""
    tensor = tensor.detach().contiguous()
    if tensor.dtype == torch.bfloat16:
        bits: Array = tensor.view(torch.int16).numpy()
        return bits.view(BFLOAT16)
    found: Array = tensor.numpy()
    return found
