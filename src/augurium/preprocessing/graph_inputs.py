"""Raw rows as the compiled graph takes them: what a server has made of a request by then."""

from typing import Any

import msgspec
import numpy as np

from augurium.core.tensors import Array
from augurium.preprocessing.fitted import MATRIX, FittedPreprocessing
from augurium.preprocessing.raw_values import raw_columns

DTYPES: dict[str, Any] = {"number": np.float32, "datetime": np.float64, "text": np.object_}


def graph_inputs(fitted: FittedPreprocessing, table: Any) -> dict[str, Array]:
    """The inputs by name. Raises InvalidArgument for values that the raw columns refuse."""
    # defaults are put in by the graph
    plain = tuple(msgspec.structs.replace(column, default=None) for column in fitted.inputs)
    columns = raw_columns(plain, table)
    if fitted.is_matrix:
        return {MATRIX: np.column_stack(list(columns.values())).astype(np.float32)}
    return {
        column.name: columns[column.name].astype(DTYPES[column.type]).reshape(-1, 1)
        for column in fitted.inputs
    }
