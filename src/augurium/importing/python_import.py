"""Python functions (files of cloudpickle), where code is allowed.

Loading the file runs its code, therefore used in child processes only.
"""

import platform
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument, ModelFailed, Unprocessable
from augurium.core.signature import Signature
from augurium.core.tensors import DATATYPES, Array, TensorSpec
from augurium.importing.conversion import Candidate, Conversion
from augurium.importing.streamed_trial import first_answers
from augurium.importing.table import Table, TableColumn
from augurium.runtimes.python import parameters_name
from augurium.runtimes.runtime import LoadedModel, StreamingModel, load

FUNCTION_FILE = "function.cloudpickle"
RUNTIME = "python"
OUTPUT = "output"
MAX_ROWS = 512
MISSING_TEXT = ""
EXPECTED = (
    "expected a function of one dict {input name: array of the shape [rows]} that returns an array "
    "or a dict of arrays with one row per input row, or that yields such answers"
)
STREAMED_ROWS = 3
STREAMED_NOTE = (
    "it yields its answers: a request may get any number of them, and shares its run with no other"
)
PARAMETERS_NOTE = "it is told the parameters of requests: those with equal ones share a run"


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
    function: Any = cloudpickle.loads(content)
    names, streamed = _output_names(function, inputs)
    takes_parameters = parameters_name(function) is not None
    if streamed:
        given = _streamed_specs(model, inputs, names)
    else:
        outputs = dict(zip(names, _answers(model, inputs, names), strict=True))
        rows = len(next(iter(inputs.values())))
        given = tuple(_output_spec(name, answer, rows) for name, answer in outputs.items())
    notes = (STREAMED_NOTE,) if streamed else (PARAMETERS_NOTE,) if takes_parameters else ()
    return Conversion(
        framework="python",
        framework_version=platform.python_version(),
        candidates=(Candidate(runtime=RUNTIME, file=FUNCTION_FILE),) if RUNTIME in engines else (),
        signature=Signature(specs, given, streamed=streamed, takes_parameters=takes_parameters),
        # its own reference: alone, in batches of several sizes, and again
        inputs=inputs,
        versions={"cloudpickle": cloudpickle.__version__, "numpy": np.__version__},
        notes=("a Python function: it is served as it is, in a process of its own", *notes),
        allowed_code=True,
    )


def _loaded() -> LoadedModel:
    try:
        return load(RUNTIME, Path(FUNCTION_FILE), {})
    except ModelFailed as error:
        raise Unprocessable(str(error)) from error


def _output_names(function: Any, inputs: dict[str, Array]) -> tuple[list[str], bool]:
    """What the function calls its outputs, the keys of the dict it returns, and whether it is
    streamed.
    """
    found = _tried(function, dict(inputs))
    streamed = isinstance(found, Iterator)
    if streamed:
        found = _first(function, {name: values[:1] for name, values in inputs.items()})
    if not isinstance(found, dict):
        return [OUTPUT], streamed
    if not found or not all(isinstance(name, str) and name for name in found):
        raise Unprocessable(f"the function returned a dict with the keys {list(found)}; {EXPECTED}")
    return list(found), streamed


def _tried(function: Any, inputs: dict[str, Array]) -> Any:
    name = parameters_name(function)
    told: dict[str, Any] = {name: {}} if name else {}
    try:
        found = function(inputs, **told)
    except Exception as error:  # the function is a stranger's
        raise _failed(error) from error
    if isinstance(found, AsyncIterator | Awaitable):
        raise Unprocessable(f"the function is asynchronous; write it with def; {EXPECTED}")
    return found


def _first(function: Any, inputs: dict[str, Array]) -> Any:
    """The first answer of a streamed function."""
    answers = _tried(function, inputs)
    try:
        return next(answers)
    except StopIteration:
        raise Unprocessable(
            "the function yields nothing for the first row of the table, so that its outputs are"
            " not known; begin the table with a row that has an answer"
        ) from None
    except Exception as error:  # the function is a stranger's
        raise _failed(error) from error
    finally:
        getattr(answers, "close", lambda: None)()


def _failed(error: Exception) -> Unprocessable:
    return Unprocessable(
        f"the function failed on the rows of the table: {type(error).__name__}: {error}; {EXPECTED}"
    )


def _streamed_specs(
    model: LoadedModel, inputs: dict[str, Array], names: list[str]
) -> tuple[TensorSpec, ...]:
    """The outputs of a streamed function, from its answers to a few rows."""
    if not isinstance(model, StreamingModel):
        raise Unprocessable(f"runtime '{RUNTIME}' gives one answer, not several")
    answers: list[list[Array]] = []
    try:
        for row in range(min(STREAMED_ROWS, len(next(iter(inputs.values()))))):
            asked = {name: values[row : row + 1] for name, values in inputs.items()}
            answers += first_answers(model, asked, names)
    except ModelFailed as error:
        raise Unprocessable(f"{error}; {EXPECTED}") from error
    return tuple(
        _streamed_spec(name, [answer[place] for answer in answers])
        for place, name in enumerate(names)
    )


def _streamed_spec(name: str, answers: list[Array]) -> TensorSpec:
    first = answers[0]
    datatype = DATATYPES.get(first.dtype)
    if datatype is None or not first.ndim:
        raise Unprocessable(
            f"the function yielded {first.dtype} {list(first.shape)} as '{name}'; expected an array"
            " of numbers or texts with a dimension at least"
        )
    if any((other.dtype, other.ndim) != (first.dtype, first.ndim) for other in answers):
        raise Unprocessable(
            f"the function yields '{name}' in several datatypes or numbers of dimensions; give"
            " every answer the same form"
        )
    extents = zip(*(answer.shape[1:] for answer in answers), strict=True)
    return TensorSpec(
        name, datatype, (-1, *(sizes[0] if len(set(sizes)) == 1 else -1 for sizes in extents))
    )


def _answers(model: LoadedModel, inputs: dict[str, Array], names: list[str]) -> list[Array]:
    try:
        return model.run(inputs, names)
    except ModelFailed as error:
        raise Unprocessable(f"{error}; {EXPECTED}") from error


def _values(column: TableColumn) -> Array:
    if column.is_text:
        if not all(value is None or isinstance(value, str | bytes) for value in column.values):
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
