"""The prediction log of an engine: what ended requests leave, until it is handed to control.

A request leaves a tuple, and one that is sampled a copy of its values besides; text is made of them
on a thread. Nothing waits for the log: what it has no room for is dropped, and counted.
"""

import itertools
import secrets
import time
from collections import deque
from collections.abc import Callable
from zlib import crc32

from augurium.core.identifiers import REQUEST_ID, is_request_id
from augurium.core.inference import InferenceRequest, InferenceResponse
from augurium.core.rollout_settings import PredictionLogSettings
from augurium.core.serving_policy import LogPolicy
from augurium.core.signature import Signature
from augurium.serving.bulk import BulkRequest
from augurium.serving.logged_prediction import INPUTS_AND_OUTPUTS, encode_predictions
from augurium.serving.logged_values import Captured, captured_inputs, captured_outputs
from augurium.serving.redaction import Redaction
from augurium.serving.score import score_of

ROW_BYTES = 512
HASHES = 2**32

Row = tuple[object, ...]


class PredictionLog:
    """A bounded number of rows and bytes. Lives on one event loop, but for `encoded`."""

    def __init__(self, settings: PredictionLogSettings, wall: Callable[[], float] = time.time):
        self.dropped = 0
        # seconds since 1970
        self.now = wall
        self._settings = settings
        self._most_rows = settings.ring_records
        self._most_bytes = settings.ring_bytes
        self._rows: deque[Row] = deque()
        self._bytes = 0
        self._id_prefix = secrets.token_hex(8)
        self._id_counter = itertools.count(1)

    def of(
        self, model: str, version: int, policy: LogPolicy, signature: Signature
    ) -> "VersionLog | None":
        """What logs for a version; None where nothing is logged, which costs a request nothing."""
        if not self._settings.enabled:
            return None
        sample = self._settings.sample if policy.sample is None else policy.sample
        if not sample and not policy.exposures:
            return None
        redaction = Redaction(policy.redact, signature)
        hides_score = any(redaction.hides(output.name) for output in signature.outputs[:1])
        return VersionLog(self, (model, version), sample, policy.exposures, redaction, hides_score)

    @property
    def waiting(self) -> int:
        """Rows that were not taken yet."""
        return len(self._rows)

    @property
    def record_bytes(self) -> int:
        """What the inputs of one prediction may take, and its outputs."""
        return self._settings.record_bytes

    def new_id(self) -> str:
        """An id that nothing else has."""
        return f"{self._id_prefix}-{next(self._id_counter):x}"

    def add(self, row: Row, size_bytes: int) -> None:
        """Keeps a row, or drops it where there is no room."""
        if len(self._rows) >= self._most_rows or self._bytes > self._most_bytes:
            self.dropped += 1
            return
        self._bytes += size_bytes
        self._rows.append(row)

    def take(self, most: int) -> list[Row]:
        """The oldest rows, which are the caller's now."""
        rows = [self._rows.popleft() for _ in range(min(most, len(self._rows)))]
        self._bytes = 0 if not self._rows else self._bytes - sum(map(_size, rows))
        return rows

    def encoded(self, rows: list[Row]) -> bytes:
        """Rows as they cross to control. May be called on another thread."""
        most = self._settings.record_bytes
        return encode_predictions([_written(row, most) for row in rows])


class VersionLog:
    """Logs the requests for one version."""

    __slots__ = (
        "_exposures",
        "_hides_score",
        "_log",
        "_redaction",
        "_sampled_below",
        "_version",
    )

    def __init__(
        self,
        log: PredictionLog,
        version: tuple[str, int],
        sample: float,
        exposures: bool,
        redaction: Redaction,
        hides_score: bool,
    ) -> None:
        self._log = log
        self._version = version
        self._sampled_below = int(sample * HASHES)
        self._exposures = exposures
        self._redaction = redaction
        self._hides_score = hides_score

    @property
    def exposures(self) -> bool:
        """Whether every request is logged."""
        return self._exposures

    def ended(
        self,
        request: InferenceRequest | BulkRequest,
        response: InferenceResponse | None,
        outcome: str,
        seconds: float,
        told: tuple[str, str],
    ) -> None:
        """Logs a request if it has to be, with its first response; `told` are the variant and unit
        that the traffic policy chose.

        A response whose request has no id is given one.
        """
        id_ = request.prediction_id or _id_of(request)
        issued = not id_
        if issued:
            id_ = self._log.new_id()
        # the same in every engine and node: all that is known of a prediction is kept, or nothing
        sampled = crc32(id_.encode()) < self._sampled_below
        if not sampled and not self._exposures:
            return
        if issued and response is not None:
            response.prediction_id = id_
        inputs, outputs, size = None, None, ROW_BYTES
        if sampled:
            inputs, outputs = self._captured(request, response)
            size += sum(part.size_bytes for part in (inputs, outputs) if part is not None)
        log, (model, version), (variant, unit) = self._log, self._version, told
        score = None if response is None or self._hides_score else score_of(response)
        # one tuple, made once: 2 us for a request of which nothing else is kept
        log.add(
            (
                log.now(),
                id_,
                model,
                version,
                variant,
                unit,
                score,
                seconds,
                outcome,
                sampled,
                inputs,
                outputs,
            ),
            size,
        )

    def _captured(
        self, request: InferenceRequest | BulkRequest, response: InferenceResponse | None
    ) -> tuple[Captured | None, Captured | None]:
        # JSON of numbers is about as long as they are in memory, or two or three times
        most = self._log.record_bytes
        inputs = outputs = None
        if isinstance(request, InferenceRequest):
            inputs = captured_inputs(request.inputs, self._redaction, most)
        if response is not None:
            outputs = captured_outputs(response, self._redaction, most)
        return inputs, outputs


def _id_of(request: InferenceRequest | BulkRequest) -> str:
    """What the caller calls the request: over gRPC in its metadata, or in the message."""
    said = request.header(REQUEST_ID) if request.header is not None else None
    return said if said and is_request_id(said) else request.id


def _size(row: Row) -> int:
    return ROW_BYTES + sum(
        part.size_bytes for part in row[INPUTS_AND_OUTPUTS] if isinstance(part, Captured)
    )


def _written(row: Row, most_bytes: int) -> Row:
    parts = row[INPUTS_AND_OUTPUTS]
    if parts == (None, None):
        return row
    texts = (part.json(most_bytes) if isinstance(part, Captured) else None for part in parts)
    return (*row[: INPUTS_AND_OUTPUTS.start], *texts)
