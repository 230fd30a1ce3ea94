"""PyTorch's exported programs (.pt2): to ONNX, and as they are.

Imports PyTorch, therefore used in child processes only.
"""

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxscript
import torch

from augurium.core.errors import ModelFailed, Unprocessable
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.importing.attempts import Attempts
from augurium.importing.bfloat16_edges import narrow_edges
from augurium.importing.conversion import Candidate, Conversion
from augurium.importing.graph import tensor_spec as graph_spec
from augurium.importing.table import Table
from augurium.importing.tensor_reference import Reference, make_reference
from augurium.importing.torch_precision import PRECISIONS, precision, without_bfloat16
from augurium.runtimes.pt2_archive import rewrite
from augurium.runtimes.runtime import load
from augurium.runtimes.torch import (
    BFLOAT16_OPTION,
    TorchModel,
    array_of,
    tensor_inputs,
    tensor_outputs,
    tensor_spec,
)

OPSET = 20
GRAPH_FILE = "model.onnx"
WEIGHTS_FILE = "model.onnx.data"
PROGRAM_FILE = "model.pt2"
SHORTER_ROWS = 3


def import_file(file: Path, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Checks an exported program and makes candidates of it.

    Raises Unprocessable for files that would run code, and for programs whose inputs or outputs
    cannot be served.
    """
    rewrite(file, Path(PROGRAM_FILE))
    model = TorchModel(Path(PROGRAM_FILE), BFLOAT16_OPTION)
    signature = signature_of(model.program)
    examples = _examples(model)
    kind = precision(model.program)
    reference = make_reference(model, signature, examples, table, PRECISIONS[kind])
    attempts = Attempts(engines)
    attempts.make("onnx", lambda: _to_onnx(model, reference))
    options = BFLOAT16_OPTION if kind == "bfloat16" else {}
    attempts.make("torch", lambda: Candidate(runtime="torch", file=PROGRAM_FILE, options=options))
    return Conversion(
        framework="torch",
        framework_version=str(torch.__version__),
        candidates=attempts.candidates,
        tried=attempts.tried,
        signature=reference.signature,
        inputs=reference.inputs,
        outputs=reference.outputs,
        uncertain=reference.uncertain,
        rtol=reference.rtol,
        atol=reference.atol,
        versions={
            "torch": str(torch.__version__),
            "onnxscript": onnxscript.__version__,
            "onnx": onnx.__version__,
        },
        notes=_notes(kind, reference.signature),
    )


def signature_of(program: Any) -> Signature:
    """Inputs and outputs of an exported program.

    The first dimension counts rows where it is one and the same symbol in all of them.
    """
    taken, given = tensor_inputs(program), tensor_outputs(program)
    if not taken or not given:
        raise Unprocessable("the program takes or returns no tensors, so there is nothing to serve")
    leading = {str(v.shape[0]) if len(v.shape) else "" for v in (*taken.values(), *given.values())}
    batched = len(leading) == 1 and not next(iter(leading)).isdigit() and "" not in leading
    return Signature(
        tuple(tensor_spec(name, value, "input") for name, value in taken.items()),
        tuple(tensor_spec(name, value, "output") for name, value in given.items()),
        batched,
    )


def _examples(model: TorchModel) -> dict[str, Array]:
    """The inputs the program was exported with."""
    given = model.program.example_inputs
    if not given:
        return {}
    leaves = torch.utils._pytree.tree_leaves(given)
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    if len(tensors) != len(model.input_dtypes):
        return {}
    named = zip(model.input_dtypes, tensors, strict=True)
    return {name: array_of(tensor) for name, tensor in named}


def _to_onnx(model: TorchModel, reference: Reference) -> Candidate:
    program = without_bfloat16(model.program)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            output_names=model.output_names,
            verbose=False,
        )
        exported.save(GRAPH_FILE)
    narrow_edges(Path(GRAPH_FILE), reference.signature)
    weights = WEIGHTS_FILE if Path(WEIGHTS_FILE).exists() else None
    candidate = Candidate(runtime="onnx", file=GRAPH_FILE, weights=weights)
    _check_edges(reference.signature)
    if any(-1 in spec.shape[1:] for spec in reference.signature.inputs):
        _check_other_extents(model, candidate, reference)
    return candidate


def _check_edges(signature: Signature) -> None:
    """Dimensions that vary must have stayed so."""
    parsed = onnx.load(GRAPH_FILE, load_external_data=False).graph
    found = {value.name: graph_spec(value, "input") for value in (*parsed.input, *parsed.output)}
    for spec in (*signature.inputs, *signature.outputs):
        made = found.get(spec.name)
        if made is None:
            raise Unprocessable(f"the exporter lost the name '{spec.name}'")
        fixed = [a for a, b in zip(spec.shape, made.shape, strict=True) if a == -1 and b != -1]
        if fixed and spec in signature.inputs:
            raise Unprocessable(
                f"the exporter fixed a dimension of '{spec.name}': {list(made.shape)} instead of "
                f"{list(spec.shape)}"
            )


def _check_other_extents(model: TorchModel, candidate: Candidate, reference: Reference) -> None:
    """Another sequence length must be answered alike: exporters bake the one they saw into graphs.

    Only where the framework itself takes another one.
    """
    signature = reference.signature
    names = [spec.name for spec in signature.outputs]
    shorter = {spec.name: _shorter(spec, reference) for spec in signature.inputs}
    try:
        expected = model.run(shorter, names)
    except ModelFailed:
        # extents may hang together in ways nobody told
        return
    weights = Path(candidate.weights) if candidate.weights else None
    graph = load("onnx", Path(candidate.file), {"optimization": "disabled"}, weights)
    for name, right, found in zip(names, expected, graph.run(shorter, names), strict=True):
        if right.shape != found.shape:
            raise Unprocessable(
                f"the exported graph answers another length wrongly: '{name}' came as "
                f"{list(found.shape)}, expected {list(right.shape)}"
            )


def _shorter(spec: TensorSpec, reference: Reference) -> Array:
    """A few rows with one less along every dimension that varies, but for the rows."""
    given = reference.inputs[spec.name]
    case = given[-SHORTER_ROWS:] if reference.signature.batched else given[-1]
    extents = [
        extent if known != -1 else max(2, extent - 1)
        for known, extent in zip(spec.shape, case.shape, strict=True)
    ]
    if reference.signature.batched:
        extents[0] = len(case)
    shorter: Array = case[tuple(slice(extent) for extent in extents)]
    return np.ascontiguousarray(shorter)


def _notes(kind: str, signature: Signature) -> tuple[str, ...]:
    notes = []
    if kind == "bfloat16":
        notes.append(
            "the model computes in bfloat16, and its ONNX graph in float32, because ONNX Runtime "
            "has no operators for bfloat16 on CPUs"
        )
    if not signature.batched:
        notes.append(
            "requests are not batched: rows depend on each other, or the first dimensions are not "
            "one common dynamic dimension (torch.export.Dim('batch', min=1))"
        )
    return tuple(notes)
