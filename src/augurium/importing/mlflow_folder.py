"""The folder of an MLflow model: its MLmodel file, read as plain data.

Source: "MLflow Model Storage Format" of the MLflow documentation.

Imports PyYAML, therefore used in child processes only.
"""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import yaml

from augurium.core.errors import Unprocessable
from augurium.importing.folders import MLMODEL, SAVED_MODEL

MAX_BYTES = 1024 * 1024
# flavors in the order in which they are tried, each with the settings that name its file
FLAVORS = {
    "onnx": ("data",),
    "sklearn": ("pickled_model",),
    "xgboost": ("data", "model_file"),
    "lightgbm": ("data", "model_file"),
    "keras": ("data",),
    "tensorflow": ("data", "saved_model_dir"),
    "pytorch": ("model_data",),
}
# what may be in the folder that a setting names, the best first
INSIDE = ("model.pt2", "model.keras", "model.onnx", "model.h5", "model.pth", "model", "tf2model")
ONLY_PYTHON = (
    "the MLflow model has only the flavor python_function, which is Python code and runs nowhere "
    "but in MLflow; log the model itself with its own flavor (mlflow.sklearn, mlflow.xgboost, "
    "mlflow.onnx, ...), or register a function: client.register(model=function, data=table, "
    "allow_code=True)"
)


class MlflowModel(msgspec.Struct, frozen=True, kw_only=True):
    """What an MLmodel file says. `file` is the file or folder of the model itself.

    `columns` are the names of a signature by columns, () where it has none. `example` is the file
    of the input example, None where there is none.
    """

    flavor: str
    file: Path
    columns: tuple[str, ...] = ()
    example: Path | None = None
    run_id: str = ""
    model_uuid: str = ""
    mlflow_version: str = ""


def read_mlflow_model(folder: Path) -> MlflowModel:
    """Reads the MLmodel file and finds the model.

    Raises Unprocessable for YAML that is not plain, paths out of the folder, and folders without a
    flavor that can be imported.
    """
    content = _parsed(folder / MLMODEL)
    flavors = content.get("flavors")
    if not isinstance(flavors, dict) or not flavors:
        raise Unprocessable(f"{MLMODEL} names no flavors; log the model again with MLflow")
    flavor = next((name for name in FLAVORS if isinstance(flavors.get(name), dict)), None)
    if flavor is None:
        if set(flavors) == {"python_function"}:
            raise Unprocessable(ONLY_PYTHON)
        raise Unprocessable(
            f"the MLflow model has the flavors {sorted(map(str, flavors))[:8]}; expected one of "
            f"{', '.join(FLAVORS)}"
        )
    return MlflowModel(
        flavor=flavor,
        file=_model_file(folder, flavor, flavors[flavor]),
        columns=_columns(content.get("signature")),
        example=_example(folder, content.get("saved_input_example_info")),
        run_id=_text(content.get("run_id")),
        model_uuid=_text(content.get("model_uuid")),
        mlflow_version=_text(content.get("mlflow_version")),
    )


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
    """Plain values only, every key once, no references from one place to another."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise Unprocessable(f"{MLMODEL} holds YAML references; write its values out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        doubled = sorted({str(key) for key in keys if keys.count(key) > 1})
        if doubled:
            raise Unprocessable(f"{MLMODEL} has {', '.join(doubled)[:80]} twice; keep one")
        return super().construct_mapping(node, deep)


def _parsed(file: Path) -> dict[str, Any]:
    if file.stat().st_size > MAX_BYTES:
        raise Unprocessable(f"{MLMODEL} is larger than {MAX_BYTES} bytes; log the model again")
    try:
        # a subclass of the safe loader
        content = yaml.load(file.read_text("utf-8"), _PlainLoader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        said = (str(error).splitlines() or [""])[0]
        raise Unprocessable(f"{MLMODEL} cannot be read: {said}; log the model again") from error
    if not isinstance(content, dict):
        raise Unprocessable(f"{MLMODEL} is not a list of settings; log the model again")
    return content


def _model_file(folder: Path, flavor: str, settings: dict[str, Any]) -> Path:
    names = [settings[key] for key in FLAVORS[flavor] if settings.get(key)]
    name = str(names[0]) if names else "data"
    found = _inside(folder, name)
    if found.is_dir() and not (found / SAVED_MODEL).is_file():
        inside = [found / name for name in INSIDE if (found / name).exists()]
        found = inside[0] if inside else found
    if not found.exists():
        raise Unprocessable(f"{MLMODEL} names the file {name[:80]!r}, which is not there")
    return found


def _example(folder: Path, info: Any) -> Path | None:
    name = info.get("artifact_path") if isinstance(info, dict) else None
    file = _inside(folder, name) if isinstance(name, str) else None
    return file if file is not None and file.is_file() else None


def _inside(folder: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise Unprocessable(f"{MLMODEL} names the file {name[:80]!r}, which is not in its folder")
    return folder.joinpath(*path.parts)


def _columns(signature: Any) -> tuple[str, ...]:
    """The names of a signature's columns; none for tensors and for what cannot be read."""
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    try:
        columns = json.loads(inputs) if isinstance(inputs, str) else []
    except ValueError:
        return ()
    names = [str(column.get("name") or "") for column in columns if isinstance(column, dict)]
    return tuple(names) if all(names) and len(set(names)) == len(names) else ()


def _text(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""
