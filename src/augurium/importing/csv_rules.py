"""What holds for CSV however it is read: UTF-8, one header, texts that stand for nothing or for a
truth value.
"""

from pathlib import Path

import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array

MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None")
BOOLEANS = {"true": 1.0, "True": 1.0, "TRUE": 1.0, "false": 0.0, "False": 0.0, "FALSE": 0.0}
SCAN_BYTES = 1024**2
UNNAMED = "column {number} (it has no name)"


def with_numbers(content: Array) -> Array:
    """Texts with numbers in place of those that are some."""
    found = np.empty(len(content), np.object_)
    found[:] = list(map(_number, content.tolist()))
    return found


def check_bytes(file: Path) -> bool:
    """Whether the quotation marks of a file come in pairs.

    Raises InvalidArgument for a NUL byte: such a file is binary, or not UTF-8.
    """
    offset = quotes = 0
    with file.open("rb") as stream:
        while chunk := stream.read(SCAN_BYTES):
            position = chunk.find(b"\0")
            if position >= 0:
                raise InvalidArgument(
                    f"the training table looks like CSV, but has a NUL byte at {offset + position};"
                    " save it as UTF-8 text"
                )
            quotes += chunk.count(b'"')
            offset += len(chunk)
    return quotes % 2 == 0


def check_header(names: list[str]) -> tuple[str, ...]:
    """The columns without a name, for people. Raises InvalidArgument for repeated names."""
    named = [name for name in names if name]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise InvalidArgument(
            f"the header of the training table names a column twice: {twice[:8]}; give every "
            "column its own name"
        )
    return tuple(UNNAMED.format(number=number) for number, name in enumerate(names, 1) if not name)


def _number(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
