"""What schemathesis is told about requests before it sends them; it loads this file by itself."""

from typing import Any

import schemathesis

TIMEOUT = "augurium-timeout-ms"
ENOUGH_MS = "20000"
UNKNOWN_HEADER = "x-schemathesis-unknown-property"


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """A header that nobody knows is no mistake: proxies add what they like."""
    return UNKNOWN_HEADER not in (case.headers or {})


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """The smallest time that a schema allows is over at once, and all else would be hidden behind
    a 504. What is no time stays as it is.
    """
    headers = case.headers or {}
    timeout = headers.get(TIMEOUT)
    try:
        if not isinstance(timeout, bool) and 0 < float(timeout or "") < float(ENOUGH_MS):
            headers[TIMEOUT] = ENOUGH_MS
    except ValueError:
        return
