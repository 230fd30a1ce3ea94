"""Which files a job's paths name: one file, folders, globs, and what `column=value` folders say."""

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from augurium.batch.storage import Storage
from augurium.batch.stored_file import StoredFile, is_url
from augurium.core.batch_job import InputSpec
from augurium.core.errors import InvalidArgument, NotFound, TooLarge
from augurium.core.texts import shown

MOST_FILES = 1_000_000
FORMATS = {
    "parquet": "parquet",
    "parq": "parquet",
    "pq": "parquet",
    "arrow": "arrow",
    "arrows": "arrow",
    "feather": "arrow",
    "ipc": "arrow",
    "csv": "csv",
    "tsv": "csv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
}
COMPRESSIONS = {"gz": "gzip", "gzip": "gzip", "bz2": "bz2", "zst": "zstd", "zstd": "zstd"}
# what Hive and Spark name the folder of rows without a value
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_MAGIC = re.compile(r"[*?\[]")
_TOKEN = re.compile(r"\*+|\[!?\]?[^\]]*\]|.")
_WILDCARDS = {"*": "[^/]*", "**": "[^/]*", "?": "[^/]"}


class InputFile(NamedTuple):
    """A file of the input. `values` are those of the folders `column=value` it is in."""

    stored: StoredFile
    values: dict[str, str]

    @property
    def location(self) -> str:
        return self.stored.location


class Discovered(NamedTuple):
    """All files of an input, in their order, and the one format that they have."""

    format: str
    files: tuple[InputFile, ...]


def discovered(spec: InputSpec, storage: Storage) -> Discovered:
    """Lists what the paths name: files in the order of the paths, those of a folder or glob by
    name, each once. What begins with `_` or `.` in a folder is no input.

    Raises NotFound for a path that leads nowhere, InvalidArgument for a folder or glob without
    files, for files of several formats or of none, and TooLarge for too many.
    """
    files: dict[str, InputFile] = {}
    for path in spec.paths:
        for stored in _named(path, storage):
            files.setdefault(stored.location, InputFile(stored, folder_values(stored.location)))
        if len(files) > MOST_FILES:
            raise TooLarge(
                f"the input has more than {MOST_FILES} files; give fewer paths, or join the files"
            )
    found = tuple(files.values())
    _check_folders(found)
    return Discovered(_format(spec, found), found)


def compression_of(location: str) -> str:
    """How a text file is compressed, by its name; empty for not at all."""
    return COMPRESSIONS.get(_endings(location)[-1], "")


def folder_values(location: str) -> dict[str, str]:
    """The columns that the folders of a file name, as Hive writes them."""
    folders = location.split("/")[:-1]
    pairs = (folder.split("=", 1) for folder in folders if "=" in folder)
    return {unquote(name): unquote(value) for name, value in pairs if name}


def listed(path: str, storage: Storage) -> list[StoredFile]:
    """The files that a path names, by name: itself, those of a folder, those that match a glob;
    none where there is nothing.
    """
    base, pattern = _split(path)
    literal = None if is_url(path) and pattern else storage.find(path)
    if literal is not None:
        return [literal]
    below = f"{storage.checked(base).rstrip('/')}/"
    matches = re.compile(_expression(pattern or "**")).match
    return sorted(
        file
        for file in _bounded(storage.list(base))
        if _is_input(name := file.location.removeprefix(below)) and matches(name)
    )


def _named(path: str, storage: Storage) -> list[StoredFile]:
    found = listed(path, storage)
    if found:
        return found
    if _split(path)[1]:
        raise InvalidArgument(f"no file matches '{path}'; correct the pattern, or the folder")
    if storage.is_folder(path):
        folder = storage.checked(path)
        raise InvalidArgument(f"the folder {folder} has no files; give one that has")
    raise NotFound(f"{path} does not exist; correct the path, as the server sees it")


def _bounded(files: Iterator[StoredFile]) -> Iterator[StoredFile]:
    # one more than is allowed is enough to be refused
    return itertools.islice(files, MOST_FILES + 1)


def _is_input(name: str) -> bool:
    """Whether a file below a folder is no mark, log, or temporary file, and no empty marker of a
    folder in an object store.
    """
    return bool(name) and not any(part.startswith(("_", ".")) for part in name.split("/"))


def _split(path: str) -> tuple[str, str]:
    """A path up to the first part with a wildcard, and the rest."""
    start = path.find("://") + 3 if is_url(path) else 0
    magic = _MAGIC.search(path, start)
    if magic is None:
        return path, ""
    cut = path.rfind("/", 0, magic.start())
    return path[: max(cut, 1)], path[cut + 1 :]


def _expression(pattern: str) -> str:
    """A glob as a regular expression: `*`, `?` and `[...]` within a name, `**` for any folders."""
    *folders, name = pattern.split("/")
    expression = "".join(
        "(?:[^/]+/)*" if folder == "**" else f"{_name_expression(folder)}/" for folder in folders
    )
    return expression + (".*" if name == "**" else _name_expression(name)) + r"\Z"


def _name_expression(name: str) -> str:
    return "".join(_WILDCARDS.get(token, _literal(token)) for token in _TOKEN.findall(name))


def _literal(token: str) -> str:
    if len(token) == 1:
        return re.escape(token)
    negated = token.startswith("[!")
    return f"[{'^/' if negated else ''}{re.escape(token[1 + negated : -1])}]".replace(r"\-", "-")


def _format(spec: InputSpec, files: tuple[InputFile, ...]) -> str:
    if spec.format:
        return spec.format
    by_format: dict[str, str] = {}
    for file in files:
        by_format.setdefault(_format_of(file.location), file.location)
    if len(by_format) > 1:
        (one, first), (other, second) = list(by_format.items())[:2]
        raise InvalidArgument(
            f"the input has files of several formats: {first} is {one}, {second} is {other};"
            " give paths with one of them"
        )
    return next(iter(by_format))


def _format_of(location: str) -> str:
    endings = _endings(location)
    ending = endings[-2] if endings[-1] in COMPRESSIONS and len(endings) > 1 else endings[-1]
    found = FORMATS.get(ending)
    if found is None:
        raise InvalidArgument(
            f"the format of {location} is not told by its name; give the format of the input:"
            " parquet, arrow, csv or jsonl"
        )
    return found


def _endings(location: str) -> list[str]:
    return location.rpartition("/")[2].lower().split(".")


def _check_folders(files: tuple[InputFile, ...]) -> None:
    """Every row has to have the same columns."""
    first = files[0]
    for file in files:
        if file.values.keys() != first.values.keys():
            raise InvalidArgument(
                f"the folders of {first.location} name the columns {shown(list(first.values))},"
                f" those of {file.location} {shown(list(file.values))}; give files with the same"
            )
