import pytest

from augurium.core import errors
from augurium.core.errors import AuguriumError, ErrorKind
from augurium.protocols.errors_grpc import GRPC_STATUS
from augurium.protocols.errors_http import HTTP_STATUS
from augurium.protocols.grpc_frames import status_trailers, timeout_s


def test_every_kind_has_a_class_and_a_code_in_every_transport() -> None:
    classes = [
        c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, AuguriumError)
    ]
    assert {c.kind for c in classes} == set(ErrorKind) == set(HTTP_STATUS) == set(GRPC_STATUS)
    assert len(classes) - 1 == len(ErrorKind)


def test_only_faults_of_the_server_are_5xx() -> None:
    theirs = {kind for kind, status in HTTP_STATUS.items() if status < 500}
    assert theirs == {
        ErrorKind.INVALID_ARGUMENT, ErrorKind.TOO_LARGE, ErrorKind.UNSUPPORTED_MEDIA,
        ErrorKind.METHOD_NOT_ALLOWED, ErrorKind.NOT_FOUND, ErrorKind.CONFLICT,
        ErrorKind.UNPROCESSABLE, ErrorKind.UNAUTHENTICATED, ErrorKind.PERMISSION_DENIED,
        ErrorKind.RATE_LIMITED, ErrorKind.CANCELLED,
    }  # fmt: skip


def test_timeouts_are_read_in_every_unit() -> None:
    texts = ["1H", "2M", "3S", "100m", "5u", "7n", "0S"]
    assert [timeout_s(text) for text in texts] == pytest.approx([3600, 120, 3, 0.1, 5e-6, 7e-9, 0])


@pytest.mark.parametrize("text", ["", "S", "1", "1x", "-1S", "1.5S", "123456789S", "\uff11S"])
def test_bad_timeouts_are_refused(text: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        timeout_s(text)


def test_status_text_stays_within_a_header() -> None:
    trailers = dict(status_trailers(errors.NotFound("päth\r\n" + "x" * 5000)))
    text = trailers[b"grpc-message"]
    assert trailers[b"grpc-status"] == b"5"
    assert b"\n" not in text
    assert text.startswith(b"p%C3%A4th%0D%0A")
    assert len(text) < 4096
