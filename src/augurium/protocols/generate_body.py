"""The body of a generate request: inputs as plain values by name, and parameters beside them."""

from typing import Any, NamedTuple

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import check_request_id
from augurium.core.inference import Instances
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.core.values import array_from_values, checked_values, extents_of
from augurium.protocols.columns import check_given_once
from augurium.protocols.json_depth import UNREADABLE, check_depth
from augurium.protocols.oip import check_parameters

ID, PARAMETERS = "id", "parameters"

_decoder = msgspec.json.Decoder(dict[str, Any])


class GenerateBody(NamedTuple):
    """What a request holds; `parameters` are those given as such, and keys that name no input."""

    inputs: Instances | dict[str, Array]
    id: str
    parameters: dict[str, Any]


def decode(content: bytes, signature: Signature, max_depth: int) -> GenerateBody:
    """Raises InvalidArgument for whatever is not an object of inputs and parameters.

    An input may be given as rows, as one row, or, where a row is one value, as the bare value.
    """
    check_depth(content, max_depth)
    try:
        fields = _decoder.decode(content)
    except UNREADABLE as error:
        raise InvalidArgument(
            f"failed to parse the request JSON: {error}; expected an object of inputs by name"
        ) from error
    return of_fields(fields, signature)


def of_fields(fields: dict[str, Any], signature: Signature) -> GenerateBody:
    """As `decode`, for a body that was read already; takes the fields out of it."""
    given = {name: fields.pop(name) for name in list(fields) if name in signature.known_names}
    request_id = fields.pop(ID, "")
    if not isinstance(request_id, str):
        raise InvalidArgument("'id' must be a string")
    if request_id:
        check_request_id(request_id)
    parameters = _parameters(fields)
    if signature.batched:
        return GenerateBody(Instances(_rows(given, signature)), request_id, parameters)
    by_name = signature.input_by_name
    tensors = {name: _tensor(by_name[name], value) for name, value in given.items()}
    return GenerateBody(tensors, request_id, parameters)


def _parameters(fields: dict[str, Any]) -> dict[str, Any]:
    given = fields.pop(PARAMETERS, {})
    if not isinstance(given, dict):
        raise InvalidArgument("'parameters' must be an object")
    twice = fields.keys() & given.keys()
    if twice:
        raise InvalidArgument(f"parameter '{min(twice)[:64]}' is given twice")
    parameters = {**given, **fields}
    check_parameters(parameters)
    for name, value in parameters.items():
        if not isinstance(value, bool | int | float | str):
            raise InvalidArgument(
                f"'{name[:64]}' is no input of this model, and as a parameter it must be a string,"
                " a number or a boolean"
            )
    return parameters


def _rows(given: dict[str, Any], signature: Signature) -> list[dict[str, Any]]:
    """The inputs as objects of named features, one per row."""
    columns: dict[str, list[Any]] = {}
    for spec in signature.inputs:
        if spec.name in given:
            check_given_once(spec, given)
            rows = _row_list(given[spec.name], len(spec.shape))
            if spec.features:
                columns.update(_by_feature(spec, rows))
            else:
                columns[spec.name] = rows
        for name in spec.features:
            if name in given:
                columns[name] = _row_list(given[name], 1)
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise InvalidArgument(
            f"the inputs differ in rows: {sorted(lengths)}; send the same number for each"
        )
    count = lengths.pop() if lengths else 1
    return [{name: column[row] for name, column in columns.items()} for row in range(count)]


def _row_list(value: Any, rank: int) -> list[Any]:
    """Rows as they are, or one row as a list of it."""
    return value if isinstance(value, list) and _depth(value) >= rank else [value]


def _by_feature(spec: TensorSpec, rows: list[Any]) -> dict[str, list[Any]]:
    width = len(spec.features)
    for row in rows:
        if not isinstance(row, list) or len(row) != width:
            raise InvalidArgument(f"a row of input '{spec.name}' must be a list of {width} values")
    return {name: [row[place] for row in rows] for place, name in enumerate(spec.features)}


def _tensor(spec: TensorSpec, value: Any) -> Array:
    """A whole tensor; a bare value stands for one of a single element."""
    rank = len(spec.shape)
    if not isinstance(value, list):
        for _ in range(rank):
            value = [value]
    values = checked_values(spec.name, spec.datatype, rank, value)
    return array_from_values(spec.name, spec.datatype, extents_of(values, rank), values)


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth
