"""MLflow models: the model in the folder, by the converter of its own format.

Used in child processes only.
"""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.core.signature import Signature
from augurium.importing.conversion import Conversion
from augurium.importing.converters import CONVERTERS
from augurium.importing.formats import Format, detect
from augurium.importing.importer import check_installed
from augurium.importing.job import EXAMPLE_FILE
from augurium.importing.mlflow_example import Example, read_example, widened
from augurium.importing.mlflow_folder import MlflowModel, read_mlflow_model
from augurium.importing.table import Table

# names that frameworks give to columns without one
GENERATED = re.compile(r"f\d+|Column_\d+")
NOT_USED = "MLflow's input example was not used to check the import"
SAFELY = {
    "sklearn": "mlflow.sklearn.log_model(..., serialization_format='skops')",
    "lightgbm": "log the booster: mlflow.lightgbm.log_model(model.booster_, ...)",
    "pytorch": "mlflow.pytorch.log_model(..., serialization_format='pt2', input_example=array)",
}


def import_folder(folder: Path, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Converts the model of a folder. Raises Unprocessable where that would run code of it."""
    return _import(folder, table, engines, allow_code=False)


def import_with_code(folder: Path, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Converts the model of a folder, also a pickle."""
    return _import(folder, table, engines, allow_code=True)


def _import(
    folder: Path, table: Table | None, engines: frozenset[str], allow_code: bool
) -> Conversion:
    model = read_mlflow_model(folder)
    found = _format(model, allow_code)
    converter = CONVERTERS[found]
    check_installed(converter.extra, converter.modules)
    import_file = converter.load()

    def convert(rows: Table | None) -> Conversion:
        return import_file(model.file, rows, engines & set(converter.engines))

    example = read_example(model.example, model.columns) if model.example else None
    converted = convert(table) if table or not example else _with_example(convert, example)
    converted.signature = _with_features(converted.signature, model.columns)
    converted.notes = (*converted.notes, _origin(model))
    if model.mlflow_version:
        converted.versions = {**converted.versions, "mlflow": model.mlflow_version}
    return converted


def _with_example(convert: Callable[[Table | None], Conversion], example: Example) -> Conversion:
    """Converts with the rows of the input example, or without them where they do not fit."""
    try:
        converted = convert(widened(example.table))
    except (InvalidArgument, Unprocessable) as error:
        converted = convert(None)
        converted.notes = (*converted.notes, f"{NOT_USED}: {error}")
        return converted
    names = tuple(example.table.names)
    if not example.is_named:
        converted.signature = _without_features(converted.signature, names)
    Path(EXAMPLE_FILE).write_bytes(msgspec.json.encode(example.first_rows()))
    converted.notes = (*converted.notes, "checked with rows like those of MLflow's input example")
    return converted


def _without_features(signature: Signature, names: tuple[str, ...]) -> Signature:
    """Takes back the names that the rows were given to make a table of them."""
    inputs = tuple(
        msgspec.structs.replace(spec, features=()) if spec.features == names else spec
        for spec in signature.inputs
    )
    return msgspec.structs.replace(signature, inputs=inputs)


def _format(model: MlflowModel, allow_code: bool) -> Format:
    try:
        found = detect(model.file, model.file.name, allow_code)
    except Unprocessable as error:
        safely = SAFELY.get(model.flavor)
        again = f"; log the model again so that it holds no code: {safely}" if safely else ""
        raise Unprocessable(f"the {model.flavor} model of the MLflow folder: {error}{again}") from (
            error
        )
    if found in (Format.MLFLOW, Format.MLFLOW_CODE):
        raise Unprocessable("an MLflow model in an MLflow model cannot be imported")
    return found


def _with_features(signature: Signature, columns: tuple[str, ...]) -> Signature:
    """Names the columns of a single matrix as MLflow's signature does, where nothing else has."""
    first = signature.inputs[0]
    nameless = len(signature.inputs) == 1 and all(map(GENERATED.fullmatch, first.features))
    if not nameless or not signature.batched or first.shape != (-1, len(columns)):
        return signature
    named = msgspec.structs.replace(first, features=columns)
    return msgspec.structs.replace(signature, inputs=(named,))


def _origin(model: MlflowModel) -> str:
    said = {"run": model.run_id, "model": model.model_uuid, "flavor": model.flavor}
    return "from MLflow: " + ", ".join(f"{name} {value}" for name, value in said.items() if value)
