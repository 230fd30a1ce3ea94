"""The headers of an answer that say where it comes from."""

from augurium.core.inference import DEGRADED, DEGRADED_STEP, InferenceResponse
from augurium.protocols.http import Headers


def origin(response: InferenceResponse) -> Headers:
    """Of a response; see `origin_of`. One that is not the answer of the version that was asked says
    why, and what it is instead.
    """
    headers = origin_of(response.version, response.answer.cache)
    if response.degraded:
        headers += [(DEGRADED, response.degraded), (DEGRADED_STEP, response.step)]
    return headers


def origin_of(version: int, cache: str) -> Headers:
    """The version that answered, and what the prediction cache had to do with it, if anything."""
    headers = [("augurium-version", str(version))]
    if cache:
        headers.append(("augurium-cache", cache))
    return headers
