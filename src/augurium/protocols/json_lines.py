"""JSON Lines: one instance per line in, one prediction per line out.

Source: https://jsonlines.org and https://github.com/ndjson/ndjson-spec.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from augurium.core.errors import AuguriumError, InvalidArgument
from augurium.core.inference import Instances
from augurium.core.signature import Signature
from augurium.protocols.json_depth import UNREADABLE, check_depth

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


class JsonLines:
    """The rows of a body of lines; empty lines are skipped."""

    def __init__(self, content: bytes, max_depth: int) -> None:
        self._content = content
        self._max_depth = max_depth

    def blocks(self, _: Signature, batch_rows: int) -> Iterator[Instances]:
        """A batch at a time, so that the first answer does not wait for the last line to be read.

        Raises InvalidArgument with the number of a line that is not JSON.
        """
        rows: list[Any] = []
        found = False
        for number, line in enumerate(_lines(self._content), 1):
            if not line.strip():
                continue
            rows.append(self._decode(number, line))
            found = True
            if len(rows) == batch_rows:
                yield Instances(rows)
                rows = []
        if not found:
            raise InvalidArgument("the body has no lines; send at least one instance")
        if rows:
            yield Instances(rows)

    def _decode(self, number: int, line: bytes) -> Any:
        try:
            check_depth(line, self._max_depth)
            return _decoder.decode(line)
        except (InvalidArgument, *UNREADABLE) as error:
            raise InvalidArgument(
                f"line {number} is not JSON: {error}; expected one instance per line, an object of"
                " features or a list"
            ) from error


class InstanceRows:
    """The rows of a body of `instances`, a batch at a time."""

    def __init__(self, instances: Instances) -> None:
        self._rows = instances.rows

    def blocks(self, _: Signature, batch_rows: int) -> Iterator[Instances]:
        """Raises nothing; an empty list is one block, which the signature refuses."""
        for start in range(0, max(len(self._rows), 1), batch_rows):
            yield Instances(self._rows[start : start + batch_rows])


def encode(predictions: list[Any]) -> bytes:
    """One line per prediction; NaN becomes null."""
    return _encoder.encode_lines(predictions)


def marked(predictions: list[Any], degraded: str, step: str) -> list[Any]:
    """The predictions of a fallback, each in an object that says so: the headers were sent before
    anybody knew.
    """
    return [
        {"prediction": value, "degraded": degraded, "degraded_step": step} for value in predictions
    ]


def encode_error(error: AuguriumError | str) -> bytes:
    """The last line of an answer that broke off."""
    return _encoder.encode_lines([{"error": str(error)}])


def _lines(content: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(content):
        stop = content.find(b"\n", start)
        if stop < 0:
            stop = len(content)
        yield content[start:stop]
        start = stop + 1
