"""What the server answers about feedback, typed."""

from datetime import datetime

import msgspec


class Rejection(msgspec.Struct, frozen=True):
    """A row that was not taken: its place among those sent, from 1, and the reason."""

    line: int
    reason: str


class FeedbackReceipt(msgspec.Struct, frozen=True):
    """What became of rows that were sent: those accepted are durable; the first hundred of those
    rejected say why.
    """

    accepted: int
    rejected: int
    rejections: tuple[Rejection, ...] = ()


class FeedbackValue(msgspec.Struct, frozen=True, kw_only=True):
    """The last value of an outcome; `seq` is its place in the order of receipt."""

    seq: int
    at: datetime
    received_at: datetime
    name: str
    value: float
    prediction_id: str = ""
    unit: str = ""
    id: str = ""


class FeedbackList(msgspec.Struct, frozen=True):
    """The values that were received last, the newest first; `more` if there are others."""

    model: str
    values: tuple[FeedbackValue, ...]
    more: bool = False


class MetricSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The outcomes of one metric: how many, their times and values, how many rows were received
    for them, and how many outcomes had different ones.
    """

    name: str
    outcomes: int
    received: int
    conflicting: int
    first_at: datetime
    last_at: datetime
    mean: float
    least: float
    most: float


class FeedbackSummary(msgspec.Struct, frozen=True):
    """What there is of each metric, by name."""

    model: str
    metrics: tuple[MetricSummary, ...]
