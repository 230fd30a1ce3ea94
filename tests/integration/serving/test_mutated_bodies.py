"""Good v1 and MLflow bodies with one thing changed: an answer or a 400, from a real model."""

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augurium.core.settings import LimitSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.protocols.http import HttpRequest, HttpResponse
from augurium.protocols.rest import RestApi
from augurium.serving.snapshot import BatchingPolicy
from tests.support.bodies import encoded, values
from tests.support.models import simple_model, text_model
from tests.support.planes import plane_of

ROW, WORDS = [1] * 16, ["a", "b"]
PAIR = {"INPUT0": ROW, "INPUT1": ROW}
SIGNATURES = {
    "simple": Signature(
        tuple(TensorSpec(f"INPUT{i}", "INT32", (-1, 16)) for i in range(2)),
        tuple(TensorSpec(f"OUTPUT{i}", "INT32", (-1, 16)) for i in range(2)),
    ),
    "text": Signature(
        (TensorSpec("text", "BYTES", (-1, 2)),), (TensorSpec("same", "BYTES", (-1, 2)),)
    ),
}
TENSOR = {"name": "text", "shape": [1, 2], "datatype": "BYTES", "data": WORDS}
BODIES: list[tuple[str, dict[str, Any]]] = [
    ("simple:predict", {"instances": [PAIR] * 5, "signature_name": "serving_default"}),
    ("simple:predict", {"instances": [[ROW, ROW]]}),
    ("simple:predict", {"inputs": {"INPUT0": [ROW] * 5, "INPUT1": [ROW] * 5}}),
    ("text:predict", {"instances": [WORDS, [{"b64": "YQ=="}, "b"]]}),
    ("text:predict", {"inputs": [WORDS]}),
    ("text:classify", {"examples": [{"text": WORDS}], "context": {"more": 1}}),
    ("simple/invocations", {"dataframe_records": [PAIR, PAIR], "params": {"a": 1}}),
    ("simple/invocations", {"inputs": {"INPUT0": [ROW], "INPUT1": [ROW]}}),
    (
        "text/invocations",
        {"dataframe_split": {"columns": ["p", "q"], "index": [0], "data": [WORDS]}},
    ),
    ("text/invocations", {"inputs": [TENSOR]}),
]


class Api:
    """Two models behind the REST API; batches are of three rows at most."""

    def __init__(self, runner: asyncio.Runner, files: dict[str, Any]) -> None:
        self._runner = runner
        self._api = runner.run(self._made(files))

    async def _made(self, files: dict[str, Any]) -> RestApi:
        return RestApi(plane_of(files, BatchingPolicy(max_batch_size=3)), LimitSettings())

    def ask(self, path: str, body: Any) -> HttpResponse:
        headers = {"content-type": "application/json"}
        request = HttpRequest("POST", f"/v1/models/{path}", headers.get, encoded(body))
        answer = self._runner.run(self._api.handle(request))
        assert isinstance(answer, HttpResponse)
        return answer


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("models")
    files = {}
    for name, content in (("simple", simple_model()), ("text", text_model())):
        file = folder / f"{name}.onnx"
        file.write_bytes(content)
        files[name] = (file, SIGNATURES[name])
    with asyncio.Runner() as runner:
        yield Api(runner, files)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all that a body holds."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield (*path, key)
        yield from places(value[key], (*path, key))


@pytest.mark.parametrize(("path", "body"), BODIES)
def test_as_they_are_they_are_good(api: Api, path: str, body: dict[str, Any]) -> None:
    answer = api.ask(path, body)
    assert answer.status == 200, answer.body


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(BODIES), st.integers(0, 1000), st.none() | st.builds(list, st.tuples(values))
)
def test_with_one_thing_changed_they_are_good_or_refused(
    api: Api, good: tuple[str, dict[str, Any]], place: int, value: list[Any] | None
) -> None:
    path, body = copy.deepcopy(good)
    found = list(places(body))
    *way, last = found[place % len(found)]
    holder: Any = body
    for key in way:
        holder = holder[key]
    if value is None:
        del holder[last]
    else:
        holder[last] = value[0]
    answer = api.ask(path, body)
    assert answer.status in (200, 400), (body, answer)
