"""Reads feedback from JSON, and from JSON Lines of any length in bounded memory.

A row that does not fit is set aside with its line and the reason; the others are taken.
Source of the stream's form: https://github.com/ndjson/ndjson-spec.
"""

from collections.abc import Callable, Iterable

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.feedback.row import FeedbackLine, FeedbackRow

LONGEST_LINE = 64 * 1024
MOST_REASONS = 100
MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
Check = Callable[[FeedbackLine], FeedbackRow]

_row: msgspec.json.Decoder[FeedbackLine] = msgspec.json.Decoder(FeedbackLine)
_rows: msgspec.json.Decoder[FeedbackLine | list[FeedbackLine]] = msgspec.json.Decoder(
    FeedbackLine | list[FeedbackLine]
)
_parts: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])


class Rejection(msgspec.Struct, frozen=True):
    """A row that was not taken: its line, or its place in an array, from 1, and the reason."""

    line: int
    reason: str


class Rows:
    """What was read: rows that fit, and how many did not, with the first reasons."""

    def __init__(self) -> None:
        self.taken: list[FeedbackRow] = []
        self.rejected = 0
        self.rejections: list[Rejection] = []

    def reject(self, line: int, reason: str) -> None:
        """Sets a row aside."""
        self.rejected += 1
        if len(self.rejections) < MOST_REASONS:
            self.rejections.append(Rejection(line, reason))

    def drain(self) -> list[FeedbackRow]:
        """The rows since the last time."""
        taken, self.taken = self.taken, []
        return taken


def read_json(body: bytes, check: Check, rows: Rows) -> None:
    """Reads one object, or an array of objects. Raises InvalidArgument for what is neither."""
    try:
        found = _rows.decode(body)
    except MALFORMED:
        _read_parts(_parts_of(body), 1, check, rows)
    else:
        _check_all(found if isinstance(found, list) else [found], 1, check, rows)


class LineReader:
    """Reads JSON Lines in pieces of any size; an empty line is passed over."""

    def __init__(self, check: Check, rows: Rows) -> None:
        self._check = check
        self._rows = rows
        self._line = 1
        self._rest = b""
        # within a line that was set aside because it is too long
        self._skipping = False

    def take(self, piece: bytes) -> None:
        """Reads the lines that are complete now."""
        if self._skipping:
            _, newline, piece = piece.partition(b"\n")
            if not newline:
                return
            self._skipping = False
        block, newline, self._rest = (self._rest + piece).rpartition(b"\n")
        if newline:
            self._read(block)
        if len(self._rest) > LONGEST_LINE:
            self._rows.reject(self._line, _too_long())
            self._line += 1
            self._rest, self._skipping = b"", True

    def end(self) -> None:
        """Reads the last line, which needs no end."""
        if self._rest:
            self._read(self._rest)
        self._rest = b""

    def _read(self, block: bytes) -> None:
        lines = block.count(b"\n") + 1
        try:
            found = _row.decode_lines(block)
        except MALFORMED:
            found = []
        if len(found) == lines:
            _check_all(found, self._line, self._check, self._rows)
        else:
            _read_parts(block.split(b"\n"), self._line, self._check, self._rows)
        self._line += lines


def _check_all(found: Iterable[FeedbackLine], line: int, check: Check, rows: Rows) -> None:
    take = rows.taken.append
    for place, row in enumerate(found, line):
        try:
            take(check(row))
        except InvalidArgument as error:
            rows.reject(place, str(error))


def _read_parts(parts: Iterable[bytes | msgspec.Raw], line: int, check: Check, rows: Rows) -> None:
    for place, part in enumerate(parts, line):
        if isinstance(part, bytes) and (not part or part.isspace()):
            continue
        if len(bytes(part)) > LONGEST_LINE:
            rows.reject(place, _too_long())
            continue
        try:
            rows.taken.append(check(_row.decode(part)))
        except MALFORMED as error:
            rows.reject(place, f"{error}; expected {{model, prediction_id or unit, name, value}}")
        except InvalidArgument as error:
            rows.reject(place, str(error))


def _parts_of(body: bytes) -> list[bytes] | list[msgspec.Raw]:
    try:
        if body.lstrip()[:1] == b"[":
            return _parts.decode(body)
        msgspec.json.decode(body)
    except RecursionError as error:
        raise InvalidArgument("the JSON body is nested too deeply") from error
    except MALFORMED as error:
        raise InvalidArgument(
            f"the body is no JSON ({error}); expected an object or an array, or JSON Lines with "
            "content-type: application/x-ndjson"
        ) from error
    return [body]


def _too_long() -> str:
    return f"the row is longer than {LONGEST_LINE} bytes"
