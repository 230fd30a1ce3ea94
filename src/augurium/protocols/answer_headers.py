"""The headers of an answer that say where it comes from."""

from collections.abc import Sequence

from augurium.core.inference import DEGRADED, DEGRADED_ROWS, DEGRADED_STEP, InferenceResponse
from augurium.core.traffic_policy import VARIANT
from augurium.protocols.http import Headers

# with more the last one reaches to the last row that is marked: rather too many than too few
MOST_RANGES = 64


def origin(response: InferenceResponse) -> Headers:
    """Of a response; see `origin_of`. One that is not the answer of the version that was asked says
    why, and what it is instead; one that a traffic policy led to its version, under which name.
    """
    headers = origin_of(response.version, response.answer.cache)
    if response.variant:
        headers.append((VARIANT, response.variant))
    if response.degraded:
        headers += [(DEGRADED, response.degraded), (DEGRADED_STEP, response.step)]
    return headers


def origin_of_parts(responses: Sequence[InferenceResponse]) -> Headers:
    """Of an answer in parts, at least one: where some of them are not the answer of the version
    that was asked, which rows these are as well, such as `0-255,512-600`, counted from 0.
    """
    first = responses[0]
    if len(responses) == 1 or not any(response.degraded for response in responses):
        return origin(first)
    own = next((response for response in responses if not response.degraded), first)
    marked = [response for response in responses if response.degraded]
    steps = dict.fromkeys(response.step for response in marked)
    return [
        *origin_of(own.version, own.answer.cache),
        *([(VARIANT, own.variant)] if own.variant else ()),
        (DEGRADED, marked[0].degraded),
        (DEGRADED_STEP, ",".join(steps)),
        (DEGRADED_ROWS, _ranges(responses)),
    ]


def origin_of(version: int, cache: str) -> Headers:
    """The version that answered, and what the prediction cache had to do with it, if anything."""
    headers = [("augurium-version", str(version))]
    if cache:
        headers.append(("augurium-cache", cache))
    return headers


def _ranges(responses: Sequence[InferenceResponse]) -> str:
    found: list[tuple[int, int]] = []
    start = 0
    for response in responses:
        stop = start + response.answer.shape(response.indices[0])[0]
        if response.degraded:
            joins = found and (found[-1][1] == start or len(found) >= MOST_RANGES)
            found.append((found.pop()[0] if joins else start, stop))
        start = stop
    return ",".join(f"{first}-{stop - 1}" for first, stop in found)
