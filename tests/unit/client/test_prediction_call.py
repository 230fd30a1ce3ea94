"""Where a prediction goes and what its headers say."""

import pytest

from augurium.client.prediction_call import (
    CallOptions,
    call_headers,
    model_path,
    reply_fields,
    timeout_s,
)
from augurium.core.errors import InvalidArgument


@pytest.mark.parametrize(
    ("options", "path"),
    [
        (CallOptions(), "/models/churn"),
        (CallOptions(version=3), "/models/churn/versions/3"),
        (CallOptions(alias="champion"), "/models/churn@champion"),
        (CallOptions(version=None, alias=None), "/models/churn"),
    ],
)
def test_a_call_goes_to_a_model_a_version_or_an_alias(options: CallOptions, path: str) -> None:
    assert model_path("churn", options) == path


def test_a_name_cannot_leave_its_place_in_the_path() -> None:
    assert model_path("../v2 x", CallOptions()) == "/models/..%2Fv2%20x"


def test_a_version_and_an_alias_together_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="name one of them"):
        model_path("churn", CallOptions(version=3, alias="champion"))


def test_headers_say_only_what_was_asked() -> None:
    assert call_headers(CallOptions(timeout_ms=250.0, unit="user-7")) == {
        "augurium-unit": "user-7",
    }


@pytest.mark.parametrize("text", ["us\u00e9r", "a\r\nx: y", "\0"])
def test_what_no_header_can_carry_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="printable ASCII"):
        call_headers(CallOptions(unit=text))


def test_a_call_has_the_time_that_is_given_it() -> None:
    assert timeout_s(CallOptions(timeout_ms=60_000), 30.0) == 60.0
    assert timeout_s(CallOptions(timeout_ms=100), 30.0) == 0.1
    assert timeout_s(CallOptions(), 30.0) == 30.0


@pytest.mark.parametrize("timeout_ms", [0, -1, float("inf"), float("nan")])
def test_a_time_that_is_none_is_refused(timeout_ms: float) -> None:
    with pytest.raises(InvalidArgument, match="timeout_ms"):
        timeout_s(CallOptions(timeout_ms=timeout_ms), 30.0)


def test_reply_headers_tell_the_version_and_a_lesser_answer() -> None:
    headers = {
        "augurium-version": "3",
        "augurium-degraded": "stale cache",
        "augurium-cache": "stale",
        "x-request-id": "r1",
    }

    assert reply_fields(headers) == {
        "version": 3,
        "variant": None,
        "cache": "stale",
        "degraded": "stale cache",
        "degraded_step": None,
        "degraded_rows": None,
        "request_id": "r1",
    }


def test_absent_reply_headers_are_none() -> None:
    assert set(reply_fields({}).values()) == {None}
