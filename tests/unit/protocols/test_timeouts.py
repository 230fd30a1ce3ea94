"""Timeouts in the parameters of a request: whole microseconds, and the shortest one counts."""

from typing import Any

import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.settings import LimitSettings
from augurium.protocols.http import HttpRequest, HttpResponse
from augurium.protocols.oip import shorter_timeout_s, timeout_s
from augurium.protocols.rest import RestApi
from augurium.serving.plane import DataPlane
from augurium.serving.router import Router


@pytest.mark.parametrize("given", [-1, False, True, 0.0, 1.5, "5", [], {}])
def test_what_is_no_number_of_microseconds_is_refused(given: Any) -> None:
    for beside in (None, 3.0):
        with pytest.raises(InvalidArgument, match="number of microseconds"):
            shorter_timeout_s(beside, {"timeout": given})


def test_nothing_and_zero_are_no_timeout() -> None:
    assert timeout_s({}) is timeout_s({"timeout": None}) is timeout_s({"timeout": 0}) is None
    assert shorter_timeout_s(3.0, {"timeout": 0}) == 3.0


def test_the_shorter_timeout_counts() -> None:
    assert shorter_timeout_s(3.0, {"timeout": 2_000_000}) == 2.0
    assert shorter_timeout_s(1.0, {"timeout": 2_000_000}) == 1.0
    assert shorter_timeout_s(None, {"timeout": 2_000_000}) == 2.0


@pytest.mark.parametrize("text", ["", " ", "0", "-1", "x", "nan", "inf"])
async def test_a_header_that_is_no_timeout_is_refused(text: str) -> None:
    rest = RestApi(DataPlane(Router(), 10, 30.0), LimitSettings())
    headers = {"augurium-timeout-ms": text}
    answer = await rest.handle(HttpRequest("POST", "/v2/models/m/infer", headers.get, b"{}"))

    assert isinstance(answer, HttpResponse)
    assert answer.status == 400
    assert b"positive number of milliseconds" in answer.body
