"""Tables of named columns, as data frames and examples bring them, to the rows of a signature.

As in MLflow and TensorFlow Serving, the order of the columns does not matter, and those that the
model does not know are left out.
"""

from collections.abc import Sequence
from typing import Any

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Instances
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.core.texts import shown


def rows_of_records(records: Sequence[dict[str, Any]], signature: Signature) -> Instances:
    """Rows of objects; what some of them leave out is null there.

    Raises InvalidArgument when a column is in none of them that the model needs.
    """
    present = dict.fromkeys(name for record in records for name in record)
    if _by_place(list(present), signature):
        return Instances([[record.get(name) for name in present] for record in records])
    names = _chosen(present.keys(), signature)
    return Instances([{name: record.get(name) for name in names} for record in records])


def rows_of_table(
    columns: Sequence[Any] | None, rows: Sequence[Any], signature: Signature
) -> Instances:
    """Rows of lists under the names of the columns. Without names, or where all of them are
    numbers, the columns stand in the signature's order.

    Raises InvalidArgument for missing and repeated columns, and for rows of another length.
    """
    for number, row in enumerate(rows):
        if not isinstance(row, list):
            raise InvalidArgument(f"row {number} of the table is not a list of values")
        if columns is not None and len(row) != len(columns):
            raise InvalidArgument(
                f"row {number} of the table has {len(row)} values, but there are"
                f" {len(columns)} columns"
            )
    if columns is None or all(type(name) is int for name in columns):
        return rows_by_place(rows, signature)
    texts = [name for name in columns if isinstance(name, str)]
    if len(texts) != len(columns):
        raise InvalidArgument("the names of columns must be texts, or all of them whole numbers")
    if len(set(texts)) != len(texts):
        twice = sorted({name for name in texts if texts.count(name) > 1})
        raise InvalidArgument(f"the table has several columns {shown(twice)}; name each once")
    if _by_place(texts, signature):
        return Instances(list(rows))
    place = {name: place for place, name in enumerate(texts)}
    chosen = [(name, place[name]) for name in _chosen(place.keys(), signature)]
    return Instances([{name: row[at] for name, at in chosen} for row in rows])


def rows_by_place(rows: Sequence[Any], signature: Signature) -> Instances:
    """Rows of values in the signature's order: of the features of its inputs, or of the only input.

    Raises InvalidArgument for rows of another length.
    """
    names = signature.expected_names
    only = _only_input(signature)
    if only is None and all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return Instances([dict(zip(names, row, strict=True)) for row in rows])
    if only is not None and only.shape in ((-1,), (-1, 1)):
        # a table of one column
        rows = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in rows]
    return Instances(list(rows))


def _chosen(present: Any, signature: Signature) -> list[str]:
    names = signature.expected_names
    missing = [
        name for name in names if name not in present and name not in signature.optional_features
    ]
    if missing:
        raise InvalidArgument(
            f"the table misses the columns {shown(missing)}; the model takes {shown(names)}"
        )
    return [name for name in names if name in present]


def _by_place(columns: list[str], signature: Signature) -> bool:
    """Whether the columns are those of a matrix whose features have no names."""
    only = _only_input(signature)
    matrix = only is not None and not only.features and len(only.shape) == 2 and only.shape[1] != 1
    return matrix and only is not None and only.name not in columns


def _only_input(signature: Signature) -> TensorSpec | None:
    return signature.inputs[0] if len(signature.inputs) == 1 else None
