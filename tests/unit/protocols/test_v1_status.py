"""What v1 says of models that cannot answer: KServe's readiness and TensorFlow Serving's states."""

import json
from typing import Any

import pytest

from augurium.core.settings import LimitSettings
from augurium.protocols.http import HttpRequest, HttpResponse
from augurium.protocols.rest import RestApi
from augurium.serving.plane import DataPlane
from augurium.serving.router import BEING_LOADED, ModelRoutes, Router


@pytest.fixture
def api() -> RestApi:
    router: Router[Any] = Router()
    unready = {1: BEING_LOADED, 2: "the file is damaged"}
    router.replace({"m": ModelRoutes({3: object()}, unready, 1, {"best": 3, "next": 2})})
    return RestApi(DataPlane(router, 10, 30.0), LimitSettings())


async def ask(api: RestApi, path: str) -> tuple[int, Any]:
    headers: dict[str, str] = {}
    answer = await api.handle(HttpRequest("GET", f"/v1/models/{path}", headers.get, b""))
    assert isinstance(answer, HttpResponse)
    return answer.status, json.loads(answer.body)


def states(content: Any) -> list[tuple[str, str, str]]:
    return [
        (one["version"], one["state"], one["status"]["error_code"])
        for one in content["model_version_status"]
    ]


async def test_all_versions_are_listed_with_their_states(api: RestApi) -> None:
    status, content = await ask(api, "m")
    assert (status, content["ready"]) == (503, False)
    assert "version 1 of model 'm' is not ready: it is being loaded" in content["error"]
    assert states(content) == [
        ("1", "LOADING", "OK"),
        ("2", "END", "UNKNOWN"),
        ("3", "AVAILABLE", "OK"),
    ]


@pytest.mark.parametrize("path", ["m/versions/2", "m/labels/next", "m@next"])
async def test_a_version_that_failed_to_load_says_why(api: RestApi, path: str) -> None:
    status, content = await ask(api, path)
    assert (status, content["ready"]) == (503, False)
    assert states(content) == [("2", "END", "UNKNOWN")]
    assert content["model_version_status"][0]["status"]["error_message"] == "the file is damaged"


@pytest.mark.parametrize("path", ["m/versions/3", "m/labels/best"])
async def test_a_version_that_is_ready_is_shown_alone(api: RestApi, path: str) -> None:
    status, content = await ask(api, path)
    assert (status, states(content)) == (200, [("3", "AVAILABLE", "OK")])


@pytest.mark.parametrize("path", ["m/versions/4", "m/labels/none", "m/labels/3", "M"])
async def test_what_is_not_there_is_a_404(api: RestApi, path: str) -> None:
    status, content = await ask(api, path)
    assert status == 404
    assert "Request for unknown model" in content["error"]
