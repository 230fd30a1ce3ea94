"""What a model file is, told from its content alone.

No framework is loaded and nothing is executed here.
"""

import mmap
import re
import stat
import zipfile
from enum import StrEnum
from pathlib import Path
from typing import IO

from augurium.core.errors import InvalidArgument, Unprocessable

HEAD_BYTES = 4096
MAX_MEMBERS = 100_000
MAX_RATIO = 100
RATIO_ALLOWANCE_BYTES = 1024 * 1024


class Format(StrEnum):
    """The formats that can be imported."""

    ONNX = "onnx"
    SKOPS = "skops"
    XGBOOST_UBJ = "xgboost-ubj"
    XGBOOST_JSON = "xgboost-json"
    PICKLE = "pickle"


# None: a pickle may hold a model of either
FRAMEWORKS: dict[Format, str | None] = {
    Format.ONNX: "onnx",
    Format.SKOPS: "sklearn",
    Format.XGBOOST_UBJ: "xgboost",
    Format.XGBOOST_JSON: "xgboost",
    Format.PICKLE: None,
}
ALIASES = {"scikit-learn": "sklearn", "xgb": "xgboost"}
KNOWN = ("sklearn", "xgboost", "onnx")
LATER = ("lightgbm", "torch", "pytorch", "tensorflow", "keras", "jax", "catboost", "mlflow")

UNSAFE = (
    "'{name}' is {what}; it was refused because loading such files runs code from the file. "
    "Save the model with skops (skops.io.dump) or call client.register(model=...), which does that "
    "for you"
)
CODE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".dill")
# protocol 2 and later begin with PROTO; the older ones, being text, with a GLOBAL behind a few
# marks
PICKLE = re.compile(rb"\x80[\x02-\x05]|[(\]}]{0,3}c[\w.]+\n[\w.]+\n")
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x04\x22\x4d\x18", b"\x78")
OTHERS = {
    b"\x89HDF": "an HDF5 file (Keras saves these)",
    b"tree\n": "a LightGBM model",
    b"binf": "an XGBoost model in the retired binary format; load it and save it as .ubj",
    b"\x93NUMPY": "a NumPy array",
    b"PAR1": "a Parquet table",
}
EXPECTED = "expected an ONNX file, a skops file, or an XGBoost model saved as .ubj or .json"
NOT_IN_RELEASE = "is not part of this release; export the model to ONNX and register the .onnx file"


def detect(file: Path, filename: str, allow_code: bool) -> Format:
    """The format of `file`.

    Raises Unprocessable for an empty file, for formats that run code when they are loaded unless
    `allow_code`, for damaged archives, and for everything that is not known.
    """
    if file.stat().st_size == 0:
        raise Unprocessable(f"'{filename}' is empty; {EXPECTED}")
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        found = _recognize(stream, head, filename)
    if found is Format.PICKLE and not allow_code:
        raise Unprocessable(UNSAFE.format(name=filename, what="a pickle or joblib file"))
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
    if held is not None and held != name:
        raise Unprocessable(
            f"the model was declared to be {name}, but the file holds {held} ({found}); "
            "correct the framework or leave it out"
        )


def _recognize(stream: IO[bytes], head: bytes, filename: str) -> Format:
    if head.startswith(b"PK\x03\x04"):
        return _in_archive(stream, filename)
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


def _in_archive(stream: IO[bytes], filename: str) -> Format:
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise Unprocessable(
            f"'{filename}' is a damaged zip archive ({error}); save it again"
        ) from error
    names = {member.filename for member in members}
    if any(name.endswith(("data.pkl", ".pickle")) for name in names):
        raise Unprocessable(UNSAFE.format(name=filename, what="a PyTorch or zipped pickle file"))
    if "schema.json" not in names:
        raise Unprocessable(f"'{filename}' is a zip archive, but not of skops; {EXPECTED}")
    _check_members(members, filename)
    return Format.SKOPS


def _check_members(members: list[zipfile.ZipInfo], filename: str) -> None:
    folded = {member.filename.casefold() for member in members}
    if len(folded) != len(members):
        raise Unprocessable(f"'{filename}' holds two members of one name; save it again with skops")
    if len(members) > MAX_MEMBERS:
        raise Unprocessable(f"'{filename}' has {len(members)} members; at most {MAX_MEMBERS}")
    for member in members:
        mode = member.external_attr >> 16
        parts = member.filename.replace("\\", "/").split("/")
        if stat.S_ISLNK(mode) or ".." in parts or parts[0] == "" or ":" in member.filename:
            raise Unprocessable(
                f"'{filename}' holds the member {member.filename[:64]!r}, a link or a path that "
                "leads out of the archive; save it again with skops"
            )
    packed = sum(member.compress_size for member in members)
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_RATIO * packed + RATIO_ALLOWANCE_BYTES:
        raise Unprocessable(
            f"'{filename}' unpacks from {packed} to {unpacked} bytes; at most {MAX_RATIO} times "
            "are allowed: save it without compression"
        )


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
