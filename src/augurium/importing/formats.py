"""What a model file is, told from its content alone.

No framework is loaded and nothing is executed here.
"""

import mmap
import re
from enum import StrEnum
from pathlib import Path
from typing import IO

from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.importing.folders import EXPECTED as EXPECTED_IN_FOLDER
from augurium.importing.folders import MLMODEL, SAVED_MODEL
from augurium.importing.zip_formats import TORCH_PICKLE, recognize_zip

HEAD_BYTES = 4096


class Format(StrEnum):
    """The formats that can be imported."""

    ONNX = "onnx"
    SKOPS = "skops"
    XGBOOST_UBJ = "xgboost-ubj"
    XGBOOST_JSON = "xgboost-json"
    LIGHTGBM = "lightgbm"
    PICKLE = "pickle"
    PT2 = "pt2"
    KERAS = "keras"
    SAVED_MODEL = "saved-model"
    PYTHON = "python"
    MLFLOW = "mlflow"
    MLFLOW_CODE = "mlflow-code"


# None: a pickle or an MLflow folder may hold a model of several
FRAMEWORKS: dict[Format, str | None] = {
    Format.ONNX: "onnx",
    Format.SKOPS: "sklearn",
    Format.XGBOOST_UBJ: "xgboost",
    Format.XGBOOST_JSON: "xgboost",
    Format.LIGHTGBM: "lightgbm",
    Format.PICKLE: None,
    Format.PT2: "torch",
    Format.KERAS: "keras",
    Format.SAVED_MODEL: "tensorflow",
    Format.PYTHON: "python",
    Format.MLFLOW: None,
    Format.MLFLOW_CODE: None,
}
ALIASES = {
    "scikit-learn": "sklearn",
    "xgb": "xgboost",
    "pytorch": "torch",
    "tf": "tensorflow",
    "lgb": "lightgbm",
}
KNOWN = (
    "sklearn",
    "xgboost",
    "lightgbm",
    "onnx",
    "torch",
    "tensorflow",
    "keras",
    "python",
    "mlflow",
)
LATER = ("jax", "catboost")
# two names of one thing: TensorFlow saves its Keras models as either
ALIKE = ({"tensorflow", "keras"},)

UNSAFE = (
    "'{name}' is {what}; it was refused because loading such files runs code from the file. "
    "Save the model with skops (skops.io.dump) or call client.register(model=...), which does that "
    "for you"
)
FUNCTION = (
    "'{name}' is a pickled Python function; it was refused because loading it runs code from the "
    "file. If it is yours, set importing.allow_code on the server "
    "(AUGURIUM_IMPORTING_ALLOW_CODE=true) and say allow_code=True when you register it"
)
FUNCTION_SUFFIX = ".cloudpickle"
TORCH_SUFFIXES = (".pt", ".pth")
CODE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".dill", FUNCTION_SUFFIX, *TORCH_SUFFIXES)
# protocol 2 and later begin with PROTO; the older ones, being text, with a GLOBAL behind a few
# marks
PICKLE = re.compile(rb"\x80[\x02-\x05]|[(\]}]{0,3}c[\w.]+\n[\w.]+\n")
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x04\x22\x4d\x18", b"\x78")
OTHERS = {
    b"\x89HDF": (
        "an HDF5 file, in which Keras kept models once; load it and save it as .keras: "
        "keras.saving.load_model('model.h5').save('model.keras')"
    ),
    b"binf": "an XGBoost model in the retired binary format; load it and save it as .ubj",
    b"\x93NUMPY": "a NumPy array",
    b"PAR1": "a Parquet table",
}
EXPECTED = (
    "expected an ONNX, skops, .pt2 or .keras file, an XGBoost model saved as .ubj or .json, or a "
    "folder of MLflow or TensorFlow"
)
NOT_IN_RELEASE = "is not part of this release; export the model to ONNX and register the .onnx file"


def detect(file: Path, filename: str, allow_code: bool) -> Format:
    """The format of `file`.

    Raises Unprocessable for an empty file, for formats that run code when they are loaded unless
    `allow_code`, for damaged archives, and for everything that is not known.
    """
    if file.is_dir():
        return _in_folder(file, allow_code)
    if file.stat().st_size == 0:
        raise Unprocessable(f"'{filename}' is empty; {EXPECTED}")
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        found = _recognize(stream, head, filename)
    if found is Format.PICKLE:
        return _pickle(filename, allow_code)
    return found


def check_framework(declared: str | None, found: Format) -> None:
    """Compares what the caller says with what was found.

    Raises InvalidArgument for an unknown framework, Unprocessable if the content is of another.
    """
    if declared is None:
        return
    name = ALIASES.get(declared.lower(), declared.lower())
    if name in LATER:
        raise Unprocessable(f"importing {declared} models {NOT_IN_RELEASE}")
    if name not in KNOWN:
        raise InvalidArgument(
            f"framework '{declared[:64]}' is not known; expected one of {', '.join(KNOWN)}"
        )
    held = FRAMEWORKS[found]
    if held is not None and held != name and {held, name} not in ALIKE:
        raise Unprocessable(
            f"the model was declared to be {name}, but the file holds {held} ({found}); "
            "correct the framework or leave it out"
        )


def _recognize(stream: IO[bytes], head: bytes, filename: str) -> Format:
    if head.startswith(b"PK\x03\x04"):
        return Format(recognize_zip(stream, filename, EXPECTED))
    if head.startswith(b"tree\n"):
        return Format.LIGHTGBM
    if PICKLE.match(head):
        return Format.PICKLE
    if head.startswith(COMPRESSED) and filename.lower().endswith(CODE_SUFFIXES):
        return Format.PICKLE
    for magic, what in OTHERS.items():
        if head.startswith(magic):
            raise Unprocessable(f"'{filename}' is {what}; {EXPECTED}")
    if head.lstrip().startswith(b"{"):
        return _in_braces(stream, head, filename)
    if _is_onnx(stream):
        return Format.ONNX
    if filename.lower().endswith(CODE_SUFFIXES):
        return Format.PICKLE
    raise Unprocessable(f"the content of '{filename}' is not a known model format; {EXPECTED}")


def _pickle(filename: str, allow_code: bool) -> Format:
    if filename.lower().endswith(TORCH_SUFFIXES):
        raise Unprocessable(TORCH_PICKLE.format(name=filename))
    if filename.lower().endswith(FUNCTION_SUFFIX):
        if not allow_code:
            raise Unprocessable(FUNCTION.format(name=filename))
        return Format.PYTHON
    if not allow_code:
        raise Unprocessable(UNSAFE.format(name=filename, what="a pickle or joblib file"))
    return Format.PICKLE


def _in_folder(folder: Path, allow_code: bool) -> Format:
    if (folder / MLMODEL).is_file():
        return Format.MLFLOW_CODE if allow_code else Format.MLFLOW
    if (folder / SAVED_MODEL).is_file():
        return Format.SAVED_MODEL
    raise Unprocessable(f"the folder holds no model; {EXPECTED_IN_FOLDER}")


def _in_braces(stream: IO[bytes], head: bytes, filename: str) -> Format:
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(b"learner") < 0:
            raise Unprocessable(
                f"'{filename}' looks like JSON without an XGBoost 'learner'; {EXPECTED}"
            )
    # UBJSON writes the length of the first key behind the brace, JSON a quotation mark or blanks
    is_json = head.lstrip()[1:].lstrip()[:1] in (b'"', b"}", b"")
    return Format.XGBOOST_JSON if is_json else Format.XGBOOST_UBJ


# fields of onnx.ModelProto by number and wire type (0 varint, 2 length-delimited); onnx.proto
MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
GRAPH_FIELD = 7


def _is_onnx(stream: IO[bytes]) -> bool:
    """Whether the outermost fields are those of a model and fill the file; they are not read."""
    seen = set()
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        position, size = 0, len(content)
        while position < size:
            key, position = _varint(content, position)
            value, position = _varint(content, position)
            field, wire_type = key >> 3, key & 7
            if MODEL_FIELDS.get(field) != wire_type:
                return False
            position += value if wire_type == 2 else 0
            seen.add(field)
        return position == size and GRAPH_FIELD in seen


def _varint(content: mmap.mmap, position: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if position + index >= len(content):
            break
        byte = content[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    # past the end: no field can be found there
    return 0, len(content) + 1
