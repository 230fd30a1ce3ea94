"""ONNX files: checked, and served as they are.

Imports onnx, therefore used in child processes only.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx

from augurium.core.errors import AuguriumError, Unprocessable
from augurium.core.signature import Signature
from augurium.core.tensors import FLOATS, Array, TensorSpec, is_float
from augurium.importing import graph
from augurium.importing.attempts import Attempts
from augurium.importing.conversion import Candidate, Conversion
from augurium.importing.external_data import Weights, consolidate, has_external_data
from augurium.importing.table import Table, numbers, texts
from augurium.runtimes.runtime import load

# domains whose operators ONNX Runtime brings along
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
MAX_DEPTH = 32
ROWS = 256
CASES = 3
FREE_EXTENT = 4
RUNTIME = "onnx"
MODEL_FILE = "model.onnx"


def import_file(file: Path, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Checks a file and makes inputs for its trial run; it is its own reference.

    Weights in other files are taken along where they came with the model, as a folder. Raises
    Unprocessable for custom operators, external data that is not beside the model, and inputs or
    outputs that cannot be served.
    """
    content = file.read_bytes()
    model = _parsed(content)
    _check_parts(model.graph, {function.domain for function in model.functions}, 0)
    weights = _weights(model, file)
    if weights is not None:
        content = model.SerializeToString()
    _check_rules(content)
    Path(MODEL_FILE).write_bytes(content)
    signature = _with_features(_signature(model.graph), table)
    inputs = _inputs(signature, table)
    attempts = Attempts(engines)
    attempts.make(RUNTIME, lambda: _candidate(weights))
    return Conversion(
        framework="onnx",
        framework_version=_opset(model),
        candidates=attempts.candidates,
        tried=attempts.tried,
        signature=_with_nullable(signature, weights, inputs),
        inputs=inputs,
        versions={"onnx": onnx.__version__, "producer": _producer(model)},
    )


def _weights(model: Any, file: Path) -> Weights | None:
    """One file with all weights that lie apart; None when there are none."""
    if not has_external_data(model):
        return None
    if not file.absolute().is_relative_to(Path.cwd().parent):
        # beside a file that was uploaded by itself lie the files of others
        raise Unprocessable(
            "the model's weights lie in other files (external data), which are not here; register"
            " the folder that holds the model and its weights"
        )
    return consolidate(model, file.parent)


def _candidate(weights: Weights | None) -> Candidate:
    return Candidate(runtime=RUNTIME, file=MODEL_FILE, weights=weights.name if weights else None)


def _parsed(content: bytes) -> Any:
    try:
        return onnx.load_from_string(content)
    except Exception as error:  # the parser raises classes of its own, of two libraries
        raise Unprocessable(f"the ONNX file cannot be read: {error}; export it again") from error


def _check_rules(content: bytes) -> None:
    try:
        onnx.checker.check_model(content)
    except onnx.checker.ValidationError as error:
        raise Unprocessable(
            f"the ONNX file breaks the rules of the format: {str(error).splitlines()[0]}"
        ) from error


def _check_parts(part: Any, own_domains: set[str], depth: int) -> None:
    """Goes through nodes, also of subgraphs."""
    if depth > MAX_DEPTH:
        raise Unprocessable(f"the graph nests deeper than {MAX_DEPTH} levels")
    for node in part.node:
        if node.domain not in DOMAINS | own_domains:
            raise Unprocessable(
                f"operator {node.op_type} of domain '{node.domain}' is a custom operator; "
                "libraries of custom operators are never loaded: export with standard operators "
                "only"
            )
        for attribute in node.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                _check_parts(subgraph, own_domains, depth + 1)


def _signature(parsed: Any) -> Signature:
    inputs = tuple(graph.tensor_spec(value, "input") for value in graph.true_inputs(parsed))
    outputs = tuple(graph.tensor_spec(value, "output") for value in parsed.output)
    if not inputs or not outputs:
        raise Unprocessable("the graph has no inputs or no outputs, so there is nothing to serve")
    datatypes = {spec.datatype for spec in (*inputs, *outputs)}
    if "BF16" in datatypes and any(spec.datatype == "BYTES" for spec in inputs):
        raise Unprocessable(
            "ONNX Runtime cannot be given texts where a graph takes or gives BFLOAT16; cast the"
            " latter to FLOAT at the edges of the graph"
        )
    batched = all(spec.shape[:1] == (-1,) for spec in (*inputs, *outputs))
    return Signature(inputs, outputs, batched)


def _with_features(signature: Signature, table: Table | None) -> Signature:
    """Names the columns of a single matrix after the table's."""
    if table is None or not _is_matrix_for(signature, table):
        return signature
    named = msgspec.structs.replace(signature.inputs[0], features=tuple(table.names))
    return msgspec.structs.replace(signature, inputs=(named,))


def _is_matrix_for(signature: Signature, table: Table) -> bool:
    first = signature.inputs[0]
    fits = first.shape == (-1, len(table.columns)) and _float(first)
    return signature.batched and len(signature.inputs) == 1 and fits


def _with_nullable(
    signature: Signature, weights: Weights | None, inputs: dict[str, Array]
) -> Signature:
    """A float may be missing where NaN leads to an answer that is a number."""
    try:
        # with the least machinery: whether full optimisation is safe is found out by the trial run
        model = load(
            RUNTIME,
            Path(MODEL_FILE),
            {"optimization": "disabled", "prepacking": "off"},
            Path(weights.name).absolute() if weights else None,
        )
    except AuguriumError:
        # the trial run will say so with all it knows
        return signature
    plain = {name: _case(signature, values) for name, values in inputs.items()}
    specs = []
    for spec in signature.inputs:
        holed = {**plain, spec.name: np.full_like(plain[spec.name], np.nan)} if _float(spec) else {}
        specs.append(msgspec.structs.replace(spec, nullable=bool(holed) and _answers(model, holed)))
    return msgspec.structs.replace(signature, inputs=tuple(specs))


def _answers(model: Any, inputs: dict[str, Array]) -> bool:
    try:
        outputs = model.run(inputs)
    except AuguriumError:
        return False
    return not any(np.isnan(o).any() for o in outputs if is_float(o.dtype))


def _case(signature: Signature, values: Array) -> Array:
    return values[:1] if signature.batched else values[0]


def _float(spec: TensorSpec) -> bool:
    return spec.datatype in FLOATS


def _inputs(signature: Signature, table: Table | None) -> dict[str, Array]:
    """Rows, or whole cases without a batch dimension; free dimensions get one extent."""
    from_table = _from_table(signature, table)
    if from_table:
        return from_table
    rng = np.random.default_rng(0)
    made = {}
    for spec in signature.inputs:
        extents = tuple(extent if extent > 0 else FREE_EXTENT for extent in spec.shape)
        shape = (ROWS, *extents[1:]) if signature.batched else (CASES, *extents)
        made[spec.name] = _made_up(spec, shape, rng)
    return made


def _from_table(signature: Signature, table: Table | None) -> dict[str, Array]:
    """Columns by the names of the inputs, or all of them as the columns of a single input."""
    if table is None or not signature.batched:
        return {}
    if _is_matrix_for(signature, table):
        first = signature.inputs[0]
        return {
            first.name: np.column_stack([numbers(c) for c in table.columns]).astype(first.dtype)
        }
    columns = {spec.name: table.find(spec.name) for spec in signature.inputs}
    if any(spec.shape not in ((-1,), (-1, 1)) for spec in signature.inputs):
        return {}
    found = {}
    for spec in signature.inputs:
        column = columns[spec.name]
        if column is None:
            return {}
        values = texts(column) if spec.datatype == "BYTES" else numbers(column).astype(spec.dtype)
        found[spec.name] = values.reshape(-1, *spec.shape[1:])
    return found


def _made_up(spec: TensorSpec, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if spec.datatype == "BYTES":
        made: Array = rng.choice(np.array(["a", "b", "", "\u2603"], np.object_), shape)
    elif _float(spec):
        scale = rng.choice([1.0, 10.0, 100.0], (shape[0], *[1] * (len(shape) - 1)))
        made = rng.normal(size=shape) * scale
        made[:1] = 0.0
    else:
        # small, because integers are most often positions in a list
        made = rng.integers(0, 2, shape)
    return made.astype(spec.dtype)


def _opset(model: Any) -> str:
    versions = {entry.domain: entry.version for entry in model.opset_import}
    return f"opset {versions.get('', versions.get('ai.onnx.ml', '?'))}"


def _producer(model: Any) -> str:
    return f"{model.producer_name} {model.producer_version}".strip() or "unknown"
