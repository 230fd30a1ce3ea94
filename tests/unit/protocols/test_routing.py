"""Which route a path leads to."""

import pytest

from augurium.core.errors import InvalidArgument, MethodNotAllowed, NotFound
from augurium.core.identifiers import ModelRef
from augurium.protocols.http import HttpResponse, error_response
from augurium.protocols.routing import Call, Route, RouteTable


async def answer(_call: Call) -> HttpResponse:
    return HttpResponse(200, [], b"")


TABLE = RouteTable(
    (
        Route("GET", "/v2/models/stats", "statistics", answer),
        Route("GET", "/v2/models/{model}", "metadata", answer),
        Route("POST", "/v2/models/{model}/infer", "infer", answer),
        Route("GET", "/v2/models/{model}/trace/setting", "trace", answer),
        Route("POST", "/v2/models/{model}/trace/setting", "set_trace", answer),
        Route("POST", "/v1/models/{model}:predict", "infer", answer),
        Route("POST", "/v1/models/{name}/labels/{label}:predict", "infer", answer),
        Route("GET", "/v2/systemsharedmemory/region/{region}/status", "memory", answer),
    )
)


@pytest.mark.parametrize(
    ("path", "template", "model"),
    [
        ("/v2/models/stats", "/v2/models/stats", ModelRef("")),
        ("/v2/models/m", "/v2/models/{model}", ModelRef("m")),
        ("/v2/models/m@best/infer", "/v2/models/{model}/infer", ModelRef("m", None, "best")),
        ("/v2/models/m/versions/3/infer", "/v2/models/{model}/infer", ModelRef("m", 3)),
        ("/v1/models/m:predict", "/v1/models/{model}:predict", ModelRef("m")),
        ("/V1/Models/M:Predict", "/v1/models/{model}:predict", ModelRef("M")),
        ("/v1/models/m/versions/2:predict", "/v1/models/{model}:predict", ModelRef("m", 2)),
        (
            "/v1/models/m/labels/best:predict",
            "/v1/models/{name}/labels/{label}:predict",
            ModelRef("m", None, "best"),
        ),
    ],
)
def test_a_path_leads_to_its_route_and_names_its_model(
    path: str, template: str, model: ModelRef
) -> None:
    for _ in ("first found", "remembered"):
        found = TABLE.find(path)

        assert {route.template for route in found.routes.values()} == {template}
        assert found.model == model


def test_other_variable_parts_are_values() -> None:
    assert TABLE.find("/v2/systemsharedmemory/region/r0/status").values == {"region": "r0"}


def test_a_path_with_two_methods_has_a_route_for_each() -> None:
    found = TABLE.find("/v2/models/m/trace/setting")

    assert found.route("GET").operation == "trace"
    assert found.route("POST").operation == "set_trace"
    with pytest.raises(MethodNotAllowed, match="use GET or POST") as refused:
        found.route("DELETE")
    assert error_response(refused.value).headers[-1] == ("allow", "GET, POST")


@pytest.mark.parametrize(
    "path",
    [
        "/", "/v2/models/", "/v2/models/m/", "/v2/models/m/n/infer", "/V2/models/m/infer",
        "/v1/models/m:", "/v1/models/m:predict/", "/v1/models/:predict",
        "/v1/models/m:predict:predict", "/v2/models/m/versions/1/versions/2/infer",
        "/v2/models/" + "m" * 3000,
    ],
)  # fmt: skip
def test_any_other_path_leads_nowhere(path: str) -> None:
    with pytest.raises(NotFound):
        TABLE.find(path)


@pytest.mark.parametrize("version", ["0", "01", "-1", "x", "99999999999"])
def test_a_version_that_can_be_none_is_refused(version: str) -> None:
    with pytest.raises(InvalidArgument):
        TABLE.find(f"/v2/models/m/versions/{version}/infer")


def test_the_paths_of_a_route_are_found_again() -> None:
    for route in TABLE.routes:
        for path in route.paths("fraud"):
            assert route in TABLE.find(path).routes.values(), path
