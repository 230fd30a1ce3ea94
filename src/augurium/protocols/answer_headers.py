"""The headers of an answer that say where it comes from."""

from augurium.core.inference import InferenceResponse
from augurium.protocols.http import Headers


def origin(response: InferenceResponse) -> Headers:
    """Of a response; see `origin_of`."""
    return origin_of(response.version, response.answer.cache)


def origin_of(version: int, cache: str) -> Headers:
    """The version that answered, and what the prediction cache had to do with it, if anything."""
    headers = [("augurium-version", str(version))]
    if cache:
        headers.append(("augurium-cache", cache))
    return headers
