import json

import pytest

from augurium.control.errors import error_response
from augurium.core.errors import ErrorKind


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_refusal_has_the_same_shape(kind: ErrorKind) -> None:
    response = error_response(kind, "no")

    assert 400 <= response.status_code < 600
    assert json.loads(bytes(response.body)) == {"error": "no", "kind": kind.value}


def test_who_comes_too_early_is_told_to_come_again() -> None:
    kinds = [kind for kind in ErrorKind if "retry-after" in error_response(kind, "no").headers]

    assert set(kinds) == {ErrorKind.NOT_READY, ErrorKind.OVERLOADED, ErrorKind.RATE_LIMITED}
