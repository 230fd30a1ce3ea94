"""What an object store's failure becomes: an error that says what to do and shows no secrets."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from augurium.core.errors import AuguriumError, NotReady
from augurium.core.store_credentials import lacking_credentials

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_REFUSED = ("401", "403")
_TIMEOUT = re.compile(r"kind: Timeout|TimedOut|timed out")
CHECK_CREDENTIALS = "check the credentials in the environment of the server, and what they may do"


@contextmanager
def remote_errors(place: str) -> Iterator[None]:
    """Translates what obstore and httpx raise; `place` is the store's URL."""
    try:
        yield
    except (BaseError, FileNotFoundError, PermissionError, httpx.HTTPError) as error:
        raise translated(error, place) from error


def translated(error: Exception, place: str) -> AuguriumError:
    """NotReady with the reason, of which only status and error code are the store's own words."""
    text = str(error)
    lacking = lacking_credentials(place, text)
    if lacking is not None:
        return NotReady(f"{place} cannot be used: {lacking}")
    status, code = _STATUS.search(text), _CODE.search(text)
    said = " ".join(found.group(1) for found in (status, code) if found)
    if _refuses(error) or (status is not None and status[1] in _REFUSED):
        return NotReady(f"{place} refused access ({said or 'no reason'}); {CHECK_CREDENTIALS}")
    if isinstance(error, NotFoundError | FileNotFoundError):
        return NotReady(
            f"{place} does not exist ({said or 'not found'}); create the bucket, or correct "
            "its name where it was given"
        )
    if said:
        return NotReady(f"{place} answered {said}, repeatedly; try again later")
    if isinstance(error, httpx.TimeoutException) or _TIMEOUT.search(text):
        return NotReady(f"{place} did not answer in time; try again later")
    if isinstance(error, httpx.ReadError | httpx.RemoteProtocolError) or "response body" in text:
        return NotReady(f"{place} broke off an answer, repeatedly; try again later")
    return NotReady(f"{place} cannot be reached; check its address and that it runs")


def _refuses(error: Exception) -> bool:
    return isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError)
