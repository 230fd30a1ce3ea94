"""Whole answers by the request they were written for: what comes again, byte by byte, is answered
without being read.

It stands before the prediction cache by row and holds only what came from there: the second answer
to the same request is the first that can be kept.
"""

import time
from typing import NamedTuple

from augurium.core.inference import HIT, InferenceResponse
from augurium.protocols.answer_headers import origin_of
from augurium.protocols.http import JSON_TYPE, HttpResponse
from augurium.protocols.routing import Call
from augurium.serving.plane import DataPlane
from augurium.serving.served_version import ServedVersion


class WrittenAnswer(NamedTuple):
    """The place of one request's answer."""

    plane: DataPlane
    version: ServedVersion
    key: bytes
    started: float

    def find(self) -> HttpResponse | None:
        """The answer, counted as given, if it is there and its rows are fresh."""
        content = self.version.written(self.key, self.started)
        if content is None:
            return None
        self.plane.count_written(self.version, self.started)
        headers = [JSON_TYPE, *origin_of(self.version.desired.version, HIT)]
        return HttpResponse(200, headers, content)

    def keep(self, answer: HttpResponse, response: InferenceResponse) -> None:
        """Remembers an answer that is JSON and was known already."""
        found = response.answer
        if response.degraded:
            # what another model knew is not this one's answer
            return
        if found.cache == HIT and answer.headers[0] == JSON_TYPE and not answer.blobs:
            rows = len(found.array(0)) if response.batched else 1
            self.version.keep_written(self.key, answer.body, rows, found.since)


def written_answer(plane: DataPlane, call: Call, *headers: str) -> WrittenAnswer | None:
    """The place of the answer to a call, which depends on its path, its body and `headers`.

    None where the model has no cache, or the caller wants nothing from one.
    """
    if not plane.caches or call.refresh or call.request.is_large:
        return None
    started = time.perf_counter()
    version = plane.caching_version(call.model)
    if version is None:
        return None
    header = call.request.header
    said = [(header(name) or "").encode() for name in headers]
    key = version.request_digest(call.request.path.encode(), *said, call.request.body or b"")
    return WrittenAnswer(plane, version, key, started)
