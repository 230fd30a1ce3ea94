"""Errors in MLflow's words."""

import json

import pytest
from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS
from mlflow.protos.databricks_pb2 import ErrorCode

from augurium.core.errors import AuguriumError, ErrorKind, InvalidArgument, UnsupportedMedia
from augurium.protocols.errors_http import HTTP_STATUS
from augurium.protocols.mlflow_errors import ERROR_CODES, mlflow_error

# statuses for which MLflow has no code
WITHOUT_CODE = {405, 413, 415, 422, 507}


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_has_a_code_of_mlflow_with_the_same_status(kind: ErrorKind) -> None:
    code = ERROR_CODES[kind]
    assert code in ErrorCode.keys()  # noqa: SIM118 - an enumeration of protobuf
    if HTTP_STATUS[kind] not in WITHOUT_CODE:
        assert ERROR_CODE_TO_HTTP_STATUS.get(code, 500) == HTTP_STATUS[kind]


def test_the_body_is_an_object_but_for_content_types() -> None:
    refused = mlflow_error(InvalidArgument("no rows"))
    assert refused.status == 400
    assert json.loads(refused.body) == {"error_code": "BAD_REQUEST", "message": "no rows"}
    unspoken = mlflow_error(UnsupportedMedia("send JSON"))
    assert (unspoken.status, unspoken.body) == (415, b"send JSON")
    assert ("content-type", "text/plain; charset=utf-8") in unspoken.headers
    assert mlflow_error(AuguriumError("x")).status == 500
