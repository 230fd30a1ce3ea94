"""PyTorch modules as exported programs (.pt2): their computation, without their code.

Imports PyTorch, when a module is given.
"""

import contextlib
import copy
import io
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from augurium.core.errors import InvalidArgument, Unprocessable

MAX_BATCH = 2**20
TABLE_ROWS = 16
EXPECTED = (
    "expected example_inputs=: a tensor, a tuple of tensors (the arguments of forward), a dict of "
    "tensors by the names of those arguments, or data=: a table of the columns of a single matrix"
)
OTHERWISE = (
    "replace Python's if by torch.cond or torch.where, export it yourself and register the "
    "ExportedProgram, or register a function that calls the module: client.register("
    "model=function, data=table, allow_code=True)"
)


def exported_content(model: Any, example_inputs: object) -> bytes:
    """The content of a .pt2 file.

    `model` is an `ExportedProgram`, which is saved as it is, or a module, which is exported in
    evaluation mode, on the CPU, with a first dimension that varies in all inputs. Raises
    InvalidArgument for example inputs that do not fit and Unprocessable for a module that cannot be
    exported.
    """
    import torch

    program = model
    if isinstance(model, torch.nn.Module):
        program = _exported(model, *_arguments(example_inputs))
    buffer = io.BytesIO()
    with _silence():
        torch.export.save(program, buffer)
    return buffer.getvalue()


def _exported(module: Any, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
    import torch

    # neither its mode nor its device may change under its owner
    module = copy.deepcopy(module).cpu().eval()
    positional, named = torch.utils._pytree.tree_map(_several_rows, (positional, named))
    rows = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    shapes = torch.utils._pytree.tree_map(
        lambda value: {0: rows} if isinstance(value, torch.Tensor) and value.ndim else None,
        (*positional, *named.values()),
    )
    try:
        with torch.no_grad(), _silence():
            module(*positional, **named)
            return torch.export.export(
                module, positional, named or None, dynamic_shapes=shapes, strict=False
            )
    except Exception as error:  # a module raises what it likes, so does the exporter
        said = next((line for line in str(error).splitlines() if line.strip()), "")
        raise Unprocessable(
            f"torch.export cannot export this {type(module).__name__}: {type(error).__name__}: "
            f"{said[:300]}; {OTHERWISE}"
        ) from error


def _arguments(example_inputs: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if example_inputs is None:
        raise InvalidArgument(f"a PyTorch module needs to see inputs to be exported; {EXPECTED}")
    if hasattr(example_inputs, "iloc") and hasattr(example_inputs, "to_numpy"):
        return (_matrix(example_inputs),), {}
    if isinstance(example_inputs, Mapping):
        return (), {str(name): _tensor(value) for name, value in example_inputs.items()}
    if isinstance(example_inputs, tuple):
        return tuple(_tensors(value) for value in example_inputs), {}
    return (_tensor(example_inputs),), {}


def _tensors(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _tensors(part) for name, part in value.items()}
    return [_tensors(part) for part in value] if isinstance(value, list) else _tensor(value)


def _tensor(value: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    try:
        made = torch.tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidArgument(
            f"a {type(value).__qualname__} is no tensor ({error}); {EXPECTED}"
        ) from error
    # NumPy's floats are double, modules are not; who wants that sends a tensor
    return made.to(torch.get_default_dtype()) if made.dtype == torch.float64 else made


def _matrix(table: Any) -> Any:
    import torch

    try:
        return torch.as_tensor(table.iloc[:TABLE_ROWS].to_numpy("float32", copy=True))
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            f"the table has columns that are not numbers ({error}); {EXPECTED}"
        ) from error


def _several_rows(value: Any) -> Any:
    """One row twice: of a dimension of 1 the exporter cannot tell that it varies."""
    import torch

    alone = isinstance(value, torch.Tensor) and value.ndim and len(value) == 1
    return torch.cat([value, value]) if alone else value


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    # PyTorch warns of its own changes to come
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
