"""Models that are folders: MLflow's, SavedModels, ONNX files with their weights beside them.

They travel as one archive, are unpacked, and the model is looked for in what came out.
"""

import gzip
import zipfile
import zlib
from pathlib import Path

from augurium.core.errors import Unprocessable
from augurium.importing.archives import unpack

MLMODEL = "MLmodel"
SAVED_MODEL = "saved_model.pb"
MARKS = (MLMODEL, SAVED_MODEL)
# POSIX tar: the magic behind the fields of the first member
TAR_MAGIC = b"ustar"
TAR_MAGIC_OFFSET = 257
GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"
EXPECTED = (
    "expected the folder of an MLflow model (with an MLmodel file), a SavedModel (with "
    "saved_model.pb), or one ONNX file with its weights"
)
MAX_LEVELS = 8


def opened(file: Path, folder: Path) -> Path:
    """The file itself; of an archive of a folder the model in it, unpacked into the new `folder`.

    Raises Unprocessable and TooLarge for archives that are unsafe, damaged or without a model.
    """
    if file.stat().st_size == 0 or not is_packed_folder(file):
        return file
    folder.mkdir(mode=0o700)
    unpack(file, folder)
    return find_model(folder)


def size_bytes(path: Path) -> int:
    """The size of a file, or of all files in a folder."""
    files = (part for part in path.rglob("*") if part.is_file()) if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files)


def is_packed_folder(file: Path) -> bool:
    """Whether a file is an archive of a folder: a tar file, or a zip file with a folder's marks."""
    with file.open("rb") as stream:
        head = stream.read(TAR_MAGIC_OFFSET + len(TAR_MAGIC))
    if head.startswith(GZIP_MAGIC):
        head = _unzipped_head(file)
    if head.startswith(ZIP_MAGIC):
        return _is_zipped_folder(file)
    return head[TAR_MAGIC_OFFSET:] == TAR_MAGIC


def _unzipped_head(file: Path) -> bytes:
    try:
        with gzip.open(file) as stream:
            return stream.read(TAR_MAGIC_OFFSET + len(TAR_MAGIC))
    except (OSError, EOFError, zlib.error):
        return b""


def _is_zipped_folder(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError):
        # the detection of formats says what is wrong
        return False
    return any(name.rpartition("/")[2] in MARKS or name.endswith(".onnx") for name in names)


def find_model(folder: Path) -> Path:
    """The folder or file to import among what was unpacked.

    Goes down through folders that hold nothing but one other. Raises Unprocessable when there is no
    model, or when it is not clear which.
    """
    for _ in range(MAX_LEVELS):
        inside = sorted(folder.iterdir())
        if any((folder / mark).is_file() for mark in MARKS):
            return folder
        graphs = [file for file in inside if file.suffix == ".onnx"]
        if len(graphs) == 1:
            return graphs[0]
        if len(graphs) > 1:
            raise Unprocessable(
                f"the archive holds {len(graphs)} ONNX files; register each of them by itself"
            )
        if len(inside) != 1:
            break
        if inside[0].is_file():
            return inside[0]
        folder = inside[0]
    names = sorted(file.name for file in folder.iterdir())
    raise Unprocessable(f"the archive holds {names[:8]} and no model; {EXPECTED}")
