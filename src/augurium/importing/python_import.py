"""Python functions (files of cloudpickle), where code is allowed.

Loading the file runs its code, therefore used in child processes only.
"""

import platform
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument, ModelFailed, Unprocessable
from augurium.core.signature import Signature
from augurium.core.tensors import DATATYPES, Array, TensorSpec
from augurium.importing.conversion import Candidate, Conversion
from augurium.importing.table import Table, TableColumn
from augurium.runtimes.runtime import LoadedModel, load

FUNCTION_FILE = "function.cloudpickle"
RUNTIME = "python"
OUTPUT = "output"
MAX_ROWS = 512
MISSING_TEXT = ""
EXPECTED = (
    "expected a function of one dict {input name: array of the shape [rows]} that returns an array "
    "or a dict of arrays with one row per input row"
)


def import_file(file: Path, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Runs the function on the rows of the table, which say what it takes.

    Inputs are the columns: whole numbers as INT64, others as FP64, texts and booleans. Raises
    InvalidArgument without a table, Unprocessable for a function that does not return rows.
    """
    if table is None:
        raise InvalidArgument(
            "a Python function needs rows to be tried on, which also say what it takes: "
            "client.register(model=function, data=table, allow_code=True)"
        )
    content = file.read_bytes()
    Path(FUNCTION_FILE).write_bytes(content)
    model = _loaded()
    inputs = {column.name: _values(column)[:MAX_ROWS] for column in table.columns}
    specs = tuple(_input_spec(c, inputs[c.name]) for c in table.columns)
    names = _output_names(content, inputs)
    outputs = dict(zip(names, _answers(model, inputs, names), strict=True))
    rows = len(next(iter(inputs.values())))
    given = tuple(_output_spec(name, answer, rows) for name, answer in outputs.items())
    return Conversion(
        framework="python",
        framework_version=platform.python_version(),
        candidates=(Candidate(runtime=RUNTIME, file=FUNCTION_FILE),) if RUNTIME in engines else (),
        signature=Signature(specs, given),
        # its own reference: alone, in batches of several sizes, and again
        inputs=inputs,
        versions={"cloudpickle": cloudpickle.__version__, "numpy": np.__version__},
        notes=("a Python function: it is served as it is, in a process of its own",),
        allowed_code=True,
    )


def _loaded() -> LoadedModel:
    try:
        return load(RUNTIME, Path(FUNCTION_FILE), {})
    except ModelFailed as error:
        raise Unprocessable(str(error)) from error


def _output_names(content: bytes, inputs: dict[str, Array]) -> list[str]:
    """What the function calls its outputs: the keys of the dict it returns."""
    function: Any = cloudpickle.loads(content)
    found = _tried(function, dict(inputs))
    if not isinstance(found, dict):
        return [OUTPUT]
    if not found or not all(isinstance(name, str) and name for name in found):
        raise Unprocessable(f"the function returned a dict with the keys {list(found)}; {EXPECTED}")
    return list(found)


def _tried(function: Any, inputs: dict[str, Array]) -> Any:
    try:
        return function(inputs)
    except Exception as error:  # the function is a stranger's
        raise Unprocessable(
            f"the function failed on the rows of the table: {type(error).__name__}: {error}; "
            f"{EXPECTED}"
        ) from error


def _answers(model: LoadedModel, inputs: dict[str, Array], names: list[str]) -> list[Array]:
    try:
        return model.run(inputs, names)
    except ModelFailed as error:
        raise Unprocessable(f"{error}; {EXPECTED}") from error


def _values(column: TableColumn) -> Array:
    if column.is_text:
        if not all(value is None or isinstance(value, str) for value in column.values):
            raise InvalidArgument(
                f"column '{column.name}' of the table holds numbers and strings; give it one type"
            )
        texts = np.empty(len(column.values), np.object_)
        texts[:] = [MISSING_TEXT if value is None else value for value in column.values]
        return texts
    if all(isinstance(value, bool) for value in column.values):
        return np.array(column.values, np.bool_)
    if all(isinstance(value, int) for value in column.values):
        return np.array(column.values, np.int64)
    numbers = [np.nan if value is None else float(value) for value in column.values]
    return np.array(numbers, np.float64)


def _input_spec(column: TableColumn, values: Array) -> TensorSpec:
    spec = TensorSpec(column.name, DATATYPES[values.dtype], (-1,))
    if all(value is not None for value in column.values):
        return spec
    missing = MISSING_TEXT if values.dtype == np.object_ else None
    return msgspec.structs.replace(spec, nullable=True, missing_value=missing)


def _output_spec(name: str, answer: Array, rows: int) -> TensorSpec:
    datatype = DATATYPES.get(answer.dtype)
    if datatype is None or not answer.ndim or len(answer) != rows:
        raise Unprocessable(
            f"the function returned {answer.dtype} {list(answer.shape)} as '{name}' for {rows} "
            f"rows; {EXPECTED}"
        )
    return TensorSpec(name, datatype, (-1, *answer.shape[1:]))
