"""The part of the client that says what became of predictions, and asks what was said."""

from collections.abc import Iterable
from datetime import datetime

from augurium.client.connection import Connection, api_url
from augurium.client.deadline import Deadline
from augurium.client.feedback_results import FeedbackList, FeedbackReceipt, FeedbackSummary
from augurium.client.feedback_rows import CHUNK_TIMEOUT_S, HEADERS, Chunk, Receipts, Row, chunks
from augurium.client.sender import Sender
from augurium.core.errors import AuguriumError


class FeedbackCalls:
    """Feedback: sent, listed and summed up."""

    _connection: Connection
    _sender: Sender
    _timeout_s: float

    def send_feedback(self, rows: Row | Iterable[Row]) -> FeedbackReceipt:
        """Says what became of predictions: one row, or any number of them from an iterator.

        A row has `model`, `prediction_id` or `unit`, `name`, `value`, and maybe `at` and `id`. Rows
        are sent in chunks; a chunk that fails is sent again, which counts nothing twice. Rows that
        do not fit are in the receipt. Raises InvalidArgument for what JSON has no form for.
        """
        receipts = Receipts()
        for chunk in chunks(rows):
            try:
                receipts.add(chunk, self._send_chunk(chunk))
            except AuguriumError as error:
                raise receipts.broken(error) from error
        return receipts.total()

    def feedback(
        self,
        name: str,
        start: datetime | None = None,
        end: datetime | None = None,
        metric: str | None = None,
        limit: int = 100,
    ) -> FeedbackList:
        """The last values of a model's outcomes, those received last first. Raises NotFound.

        `start` and `end` bound the time of the outcomes, the end excluded.
        """
        parameters = between(start, end) | {"limit": str(limit)}
        if metric is not None:
            parameters["name"] = metric
        url = api_url(self._connection.url, "models", name, "feedback")
        return self._connection.call("GET", url, FeedbackList, parameters=parameters)

    def feedback_summary(
        self, name: str, start: datetime | None = None, end: datetime | None = None
    ) -> FeedbackSummary:
        """How many outcomes of each metric there are, from when, their mean. Raises NotFound."""
        url = api_url(self._connection.url, "models", name, "feedback", "summary")
        return self._connection.call("GET", url, FeedbackSummary, parameters=between(start, end))

    def _send_chunk(self, chunk: Chunk) -> FeedbackReceipt:
        url = api_url(self._connection.url, "feedback")
        deadline = Deadline(max(self._timeout_s, CHUNK_TIMEOUT_S))
        return self._sender.run(
            deadline,
            lambda left: self._connection.call(
                "POST",
                url,
                FeedbackReceipt,
                content=chunk.content,
                headers=HEADERS,
                timeout_s=left.check(url),
            ),
        )


def between(start: datetime | None, end: datetime | None) -> dict[str, str]:
    """Two times as parameters of a request."""
    given = {"start": start, "end": end}
    return {key: value.isoformat() for key, value in given.items() if value is not None}
