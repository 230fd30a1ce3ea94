"""Every status of gRPC becomes the error that callers can act upon."""

import grpc
import pytest

from augurium.client.errors import NoServer
from augurium.client.grpc_errors import error_of_status
from augurium.core import errors
from augurium.core.errors import AuguriumError, ErrorKind
from augurium.protocols.errors_grpc import GRPC_STATUS

SHARED: dict[ErrorKind, type[AuguriumError]] = {
    ErrorKind.TOO_LARGE: errors.RateLimited,
    ErrorKind.INSUFFICIENT_STORAGE: errors.RateLimited,
    ErrorKind.UNSUPPORTED_MEDIA: errors.Unimplemented,
    ErrorKind.METHOD_NOT_ALLOWED: errors.Unimplemented,
    ErrorKind.OVERLOADED: errors.NotReady,
    ErrorKind.MODEL_FAILED: errors.Internal,
}


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_a_kind_comes_back_or_the_one_it_shares_a_status_with(kind: ErrorKind) -> None:
    error = error_of_status(GRPC_STATUS[kind].name, "why", {}, "node:8001")

    assert error.kind == (SHARED[kind].kind if kind in SHARED else kind)
    assert str(error) == "why"


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_a_kind_that_is_told_comes_back(kind: ErrorKind) -> None:
    trailers = {"augurium-error": kind.value}

    assert error_of_status(GRPC_STATUS[kind].name, "why", trailers, "node:8001").kind == kind


def test_a_kind_of_a_newer_server_is_left_to_the_status() -> None:
    error = error_of_status("NOT_FOUND", "why", {"augurium-error": "melted"}, "node:8001")

    assert type(error) is errors.NotFound


@pytest.mark.parametrize("status", [code.name for code in grpc.StatusCode])
def test_every_status_is_an_error_with_a_text(status: str) -> None:
    error = error_of_status(status, "", {}, "node:8001")

    assert isinstance(error, AuguriumError)
    assert status in str(error)


@pytest.mark.parametrize(
    "details",
    [
        "failed to connect to all addresses; last error: refused",
        "errors resolving node:8001: Domain name not found",
        "DNS resolution failed for node:8001",
    ],
)
def test_silence_says_how_to_start_a_server(details: str) -> None:
    error = error_of_status("UNAVAILABLE", details, {}, "node:8001")

    assert type(error) is NoServer
    assert "no Augurium server answers at node:8001" in str(error)


def test_a_certificate_that_is_not_trusted_is_called_that() -> None:
    details = "failed to connect to all addresses; last error: CERTIFICATE_VERIFY_FAILED"

    error = error_of_status("UNAVAILABLE", details, {}, "node:8001")

    assert type(error) is errors.InvalidArgument
    assert "AUGURIUM_CA" in str(error)


@pytest.mark.parametrize(
    ("trailers", "seconds"),
    [({"retry-after": "2"}, 2.0), ({"grpc-retry-pushback-ms": "250"}, 0.25), ({}, None)],
)
def test_trailers_say_when_to_try_again(trailers: dict[str, str], seconds: float | None) -> None:
    error = error_of_status("UNAVAILABLE", "later", trailers, "node:8001")

    assert error.retry_after_s == seconds
