"""The JSON bodies of MLflow's scoring protocol.

Source: MLflow 3, `mlflow/pyfunc/scoring_server` and `mlflow/utils/proto_json_utils`.
"""

from typing import Any, NamedTuple

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Instances
from augurium.core.signature import Signature
from augurium.core.tensors import Array
from augurium.core.wrapped_bytes import is_wrapped
from augurium.protocols import generate_body, json_tokens
from augurium.protocols.columns import tensors_of_columns
from augurium.protocols.json_depth import UNREADABLE, check_depth
from augurium.protocols.tables import rows_by_place, rows_of_records, rows_of_table

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
BARE_KEYS = frozenset({"messages", "prompt", "input"})
_SPLIT_KEYS = frozenset({"columns", "data", "index"})

_decoder = msgspec.json.Decoder(dict[str, Any])


class MlflowBody(NamedTuple):
    """What a request asks. `bare` is one whose answer has no `predictions` around it."""

    inputs: Instances | dict[str, Array]
    parameters: dict[str, Any]
    bare: bool = False


def fields_of(content: bytes, max_depth: int) -> dict[str, Any]:
    """The object that a body is; raises InvalidArgument for any other body."""
    check_depth(content, max_depth)
    try:
        return json_tokens.decode(_decoder, content)
    except UNREADABLE as error:
        raise InvalidArgument(
            f"the body is no JSON object: {error}; send exactly one of {_listed(FORMS)}"
        ) from error


def is_open_inference(fields: dict[str, Any]) -> bool:
    """Whether a body is one of the Open Inference Protocol: tensors with a datatype and a shape."""
    inputs = fields.get("inputs")
    return (
        isinstance(inputs, list)
        and bool(inputs)
        and all(
            isinstance(tensor, dict) and {"name", "shape", "datatype"} <= tensor.keys()
            for tensor in inputs
        )
    )


def body_of(fields: dict[str, Any], signature: Signature) -> MlflowBody:
    """Raises InvalidArgument for a body without exactly one form, and for values that do not
    fit.
    """
    forms = [form for form in FORMS if form in fields]
    if not forms and not BARE_KEYS.isdisjoint(fields):
        return MlflowBody(*_bare(fields, signature), bare=True)
    if len(forms) != 1:
        raise InvalidArgument(
            f"the body must have exactly one of {_listed(FORMS)}, found {_listed(forms)}"
        )
    if "signature_name" in fields:
        raise InvalidArgument("'signature_name' is not a part of MLflow's protocol; leave it out")
    parameters = fields.get("params")
    if not isinstance(parameters, dict | None):
        raise InvalidArgument("'params' must be an object")
    form = forms[0]
    return MlflowBody(_READERS[form](fields[form], signature), parameters or {})


def _split(table: Any, signature: Signature) -> Instances:
    if not isinstance(table, dict) or "data" not in table or table.keys() - _SPLIT_KEYS:
        raise InvalidArgument(
            "'dataframe_split' must be an object with 'data', and optionally 'columns' and 'index'"
        )
    columns, rows = table.get("columns"), table["data"]
    if not isinstance(columns, list | None) or not isinstance(rows, list):
        raise InvalidArgument("'columns' and 'data' of 'dataframe_split' must be lists")
    index = table.get("index")
    if index is not None and (not isinstance(index, list) or len(index) != len(rows)):
        raise InvalidArgument("'index' of 'dataframe_split' must be a list with an entry per row")
    return rows_of_table(columns, rows, signature)


def _records(rows: Any, signature: Signature) -> Instances:
    if not isinstance(rows, list):
        raise InvalidArgument("'dataframe_records' must be a list of objects")
    return _rows("dataframe_records", rows, signature)


def _instances(rows: Any, signature: Signature) -> Instances:
    if not isinstance(rows, list):
        raise InvalidArgument("'instances' must be a list of rows")
    return _rows("instances", rows, signature)


def _inputs(inputs: Any, signature: Signature) -> Instances | dict[str, Array]:
    if isinstance(inputs, list):
        return _rows("inputs", inputs, signature)
    if isinstance(inputs, dict) and not is_wrapped(inputs):
        return _columns(inputs, signature)
    return Instances([inputs])


def _rows(form: str, rows: list[Any], signature: Signature) -> Instances:
    records = [row for row in rows if isinstance(row, dict) and not is_wrapped(row)]
    if not rows:
        raise InvalidArgument(f"'{form}' is empty; send at least one row")
    if not records:
        return rows_by_place(rows, signature)
    if len(records) != len(rows):
        raise InvalidArgument(f"some rows of '{form}' are objects, others are not; send one form")
    return rows_of_records(records, signature)


def _columns(inputs: dict[str, Any], signature: Signature) -> Instances | dict[str, Array]:
    """Arrays by column; where none is a list, the only row."""
    if not any(isinstance(values, list) for values in inputs.values()):
        return rows_of_records([inputs], signature)
    known = signature.known_names
    columns = {name: values for name, values in inputs.items() if name in known}
    if not columns:
        # tells which columns are missing
        return rows_of_records([dict.fromkeys(inputs)], signature)
    return tensors_of_columns(columns, signature)


def _bare(
    fields: dict[str, Any], signature: Signature
) -> tuple[Instances | dict[str, Array], dict[str, Any]]:
    """A body of language models: its keys are inputs and parameters by their own names."""
    if not fields.keys() & signature.known_names:
        names = signature.expected_names
        raise InvalidArgument(
            f"the model has no input {_listed(sorted(BARE_KEYS & fields.keys()))}; its inputs are"
            f" {_listed(names[:8])}: send exactly one of {_listed(FORMS)}"
        )
    body = generate_body.of_fields(fields, signature)
    return body.inputs, body.parameters


def _listed(names: Any) -> str:
    return ", ".join(f"'{name[:64]}'" for name in names) or "none"


_READERS: dict[str, Any] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _instances,
    "inputs": _inputs,
}
