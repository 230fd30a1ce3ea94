"""A loaded model, and how rows of Arrow columns become its tensors. Imports pyarrow."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from augurium.batch.model_files import ModelFiles
from augurium.core.arrow_tensors import matrix_part, whole_part
from augurium.core.errors import ModelFailed
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec, missing_values


class Scorer:
    """Rows in, outputs of the model out. `sources` has the column of every feature or input there
    is; others are missing in every row.
    """

    def __init__(self, files: ModelFiles, signature: Signature, sources: Mapping[str, str]) -> None:
        self._model = files.load()
        self._specs = signature.inputs
        self._sources = sources
        self._outputs = [spec.name for spec in signature.outputs]

    def inputs(self, columns: pa.RecordBatch) -> dict[str, Array]:
        """The tensors of rows whose columns are as a `RowBlock` has them."""
        return {spec.name: self._tensor(spec, columns) for spec in self._specs}

    def answers(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs for such tensors. Raises ModelFailed."""
        rows = len(next(iter(inputs.values())))
        found = self._model.run(inputs, self._outputs)
        for name, array in zip(self._outputs, found, strict=True):
            if array.shape[:1] != (rows,):
                raise ModelFailed(
                    f"output '{name}' has the shape {list(array.shape)} for {rows} rows"
                )
        return dict(zip(self._outputs, found, strict=True))

    def _tensor(self, spec: TensorSpec, columns: pa.RecordBatch) -> Array:
        rows = columns.num_rows
        if spec.name in self._sources:
            whole = columns.column(self._sources[spec.name])
            return whole_part(spec, whole)(0, rows)
        if not any(name in self._sources for name in spec.features):
            return _missing(spec, (rows, *(max(extent, 1) for extent in spec.shape[1:])))
        found = {
            name: columns.column(self._sources[name])
            if name in self._sources
            else pa.array(_missing(spec, (rows,)))
            for name in spec.features
        }
        return matrix_part(spec, found)(0, rows)


def _missing(spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    """Values that are missing, as the model takes them."""
    if spec.datatype == "BYTES":
        return np.full(shape, spec.missing_value, np.object_)
    return missing_values(spec, shape)
