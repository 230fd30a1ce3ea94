"""A row of feedback: the outcome of one prediction, as it is sent and as it is kept."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import NAME_PATTERN

LONGEST_TEXT = 256
# the last second of the year 9999, UTC
LAST_SECOND = 253_402_300_799.0
MOST_REMEMBERED = 10_000


class FeedbackLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """A row as it is sent: of which prediction or unit, the name of the metric, and its value.

    `at` is when the outcome was, now if it is not said: RFC 3339 with a zone, or seconds since
    1970. `id` tells apart several outcomes of the same name, such as two purchases.
    """

    model: str
    name: str
    value: bool | float
    prediction_id: str = ""
    unit: str = ""
    at: Annotated[datetime, msgspec.Meta(tz=True)] | float | None = None
    id: str = ""


class FeedbackRow(NamedTuple):
    """A row that was checked; `at` is in seconds since 1970. One of the two ids is empty."""

    at: float
    model: str
    prediction_id: str
    unit: str
    name: str
    feedback_id: str
    value: float


class StoredRow(NamedTuple):
    """A row with its place in the order of receipt; `received_at` is in seconds since 1970."""

    seq: int
    received_at: float
    row: FeedbackRow


def stored(rows: Sequence[FeedbackRow], first_seq: int, received_at: float) -> list[StoredRow]:
    """Rows in the order they were received in."""
    return [StoredRow(first_seq + place, received_at, row) for place, row in enumerate(rows)]


class RowCheck:
    """Checks the rows of one request; `known` says which models there are for its caller.

    `now` is the time of an outcome that names none.
    """

    def __init__(self, known: Callable[[str], bool], now: float) -> None:
        self._known = known
        self._now = now
        self._models: dict[str, bool] = {}
        self._names: set[str] = set()

    def __call__(self, line: FeedbackLine) -> FeedbackRow:
        """The row. Raises InvalidArgument with what is wrong with it."""
        if not self._models.get(line.model):
            self._check_model(line.model)
        if line.name not in self._names:
            self._check_name(line.name)
        if bool(line.prediction_id) == bool(line.unit):
            raise InvalidArgument(
                "expected either prediction_id or unit, which say whose outcome it is"
            )
        _check_text("prediction_id", line.prediction_id)
        _check_text("unit", line.unit)
        _check_text("id", line.id)
        return FeedbackRow(
            self._seconds(line.at),
            line.model,
            line.prediction_id,
            line.unit,
            line.name,
            line.id,
            float(line.value),
        )

    def _check_model(self, model: str) -> None:
        if len(self._models) >= MOST_REMEMBERED:
            self._models.clear()
        # what no model may be called is not even asked for
        found = self._models.get(model)
        if found is None:
            found = bool(NAME_PATTERN.fullmatch(model)) and self._known(model)
            self._models[model[: LONGEST_TEXT + 1]] = found
        if not found:
            raise InvalidArgument(f"model {model[:64]!r} is not known; expected a registered one")

    def _check_name(self, name: str) -> None:
        if not NAME_PATTERN.fullmatch(name):
            raise InvalidArgument(
                f"name {name[:64]!r} is not allowed: expected 1 to 128 of the characters A-Z a-z "
                "0-9 _ . -, beginning with a letter or a digit, such as 'converted'"
            )
        if len(self._names) >= MOST_REMEMBERED:
            self._names.clear()
        self._names.add(name)

    def _seconds(self, at: datetime | float | None) -> float:
        if at is None:
            return self._now
        seconds = at if isinstance(at, float) else at.timestamp()
        if not 0.0 <= seconds <= LAST_SECOND:
            raise InvalidArgument(
                "at is outside the years 1970 to 9999; expected the time of the outcome, such as "
                "2026-01-31T12:00:00Z, or seconds since 1970"
            )
        return seconds


def _check_text(field: str, text: str) -> None:
    if text and (len(text) > LONGEST_TEXT or not text.isprintable()):
        raise InvalidArgument(
            f"{field} {text[:32]!r} is not allowed: expected at most {LONGEST_TEXT} letters that "
            "can be printed"
        )
