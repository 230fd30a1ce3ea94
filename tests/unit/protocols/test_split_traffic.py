"""Every protocol shows a traffic policy what a request says, and tells which variant answered."""

import io
import json
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pyarrow as pa
import pytest

from augurium.core.settings import LimitSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.core.traffic_policy import TrafficPolicy, TrafficRule, Variant
from augurium.core.traffic_slots import rearranged
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_api import GrpcApi
from augurium.protocols.grpc_frames import Pieces
from augurium.protocols.http import HttpRequest, HttpResponse, StreamedResponse
from augurium.protocols.rest import RestApi
from augurium.serving.plane import DataPlane
from augurium.serving.snapshot import BatchingPolicy
from augurium.traffic.assignment import Assignment
from tests.support.models import table_model
from tests.support.planes import split_plane

SIGNATURE = Signature(
    (TensorSpec("place", "INT64", (-1, 1)),), (TensorSpec("found", "FP32", (-1, 1)),)
)
SPLIT = (Variant(1, 50), Variant(2, 50, name="challenger"))
VALUES = {"v1": 1.0, "challenger": 2.0}
UNITS = [f"unit-{number}" for number in range(12)]
MOST_ROWS = 4
LARGE = 64
SERVICE = "/inference.GRPCInferenceService/"


def _tensor(place: int) -> dict[str, object]:
    tensor = {"name": "place", "datatype": "INT64", "shape": [1, 1], "data": [place]}
    return {"inputs": [tensor]}


def _arrow(place: int) -> bytes:
    sink = io.BytesIO()
    table = pa.table({"place": pa.array([place] * LARGE, pa.int64())})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


ARROW, LINES = "application/vnd.apache.arrow.stream", "application/x-ndjson"
REST = {
    "v2": ("/v2/models/m/infer", "", _tensor),
    "v1": ("/v1/models/m:predict", "", lambda place: {"instances": [[place]]}),
    "v1 objects": ("/v1/models/m:predict", "", lambda place: {"instances": [{"place": place}]}),
    "v1 columns": ("/v1/models/m:predict", "", lambda place: {"inputs": [[place]]}),
    "v1 many": ("/v1/models/m:predict", "", lambda place: {"instances": [[place]] * LARGE}),
    "v1 many columns": ("/v1/models/m:predict", "", lambda place: {"inputs": [[place]] * LARGE}),
    "regress": ("/v1/models/m:regress", "", lambda place: {"examples": [{"place": place}]}),
    "mlflow": ("/invocations", "", lambda place: {"dataframe_records": [{"place": place}]}),
    "generate": ("/v2/models/m/generate", "", lambda place: {"place": place}),
    "generate stream": ("/v2/models/m/generate_stream", "", lambda place: {"place": place}),
    "lines": ("/v1/models/m:predict", LINES, lambda place: b"[%d]\n" % place * LARGE),
    "arrow": ("/v1/models/m:predict", ARROW, _arrow),
}


def _plane(
    tmp_path: Path, policy: TrafficPolicy, batching: Mapping[int, BatchingPolicy] | None = None
) -> DataPlane:
    files = {number: tmp_path / f"{number}.onnx" for number in (1, 2)}
    for number, file in files.items():
        file.write_bytes(table_model(number, 4096))
    small = BatchingPolicy(max_batch_size=MOST_ROWS)
    return split_plane(files, SIGNATURE, policy, batching or {1: small, 2: small})


async def _rest(plane: DataPlane, protocol: str, place: int, **said: str) -> str | None:
    """The variant that an answer names; its values are checked to be that one's."""
    path, media, body_of = REST[protocol]
    body = body_of(place)
    headers = {name.replace("_", "-"): value for name, value in said.items()}
    if media:
        headers |= {"content-type": media, "accept": LINES}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await RestApi(plane, LimitSettings()).handle(
        HttpRequest("POST", path, headers.get, content)
    )
    text = await _content(answer)
    assert answer.status == 200, text
    told = dict(answer.headers)
    variant = told.get("augurium-variant")
    value = VALUES[variant] if variant else 1.0
    assert str(value).encode() in text
    assert str(3 - value).encode() not in text
    assert told["augurium-version"] == str(int(value))
    return variant


async def _content(answer: HttpResponse | StreamedResponse) -> bytes:
    if isinstance(answer, StreamedResponse):
        return b"".join([chunk async for chunk in answer.chunks])
    return answer.body


def _message(place: int, version: str = "") -> bytes:
    request = pb.ModelInferRequest(model_name="m", model_version=version)
    tensor = request.inputs.add(name="place", datatype="INT64", shape=[1, 1])
    tensor.contents.int64_contents.append(place)
    return request.SerializeToString()


async def _once(plane: DataPlane, message: bytes, **said: str) -> str | None:
    headers = {name.replace("_", "-"): value for name, value in said.items()}
    answer = await GrpcApi(plane).call(f"{SERVICE}ModelInfer", message, header=headers.get)
    assert not isinstance(answer, Pieces)
    return _variant(pb.ModelInferResponse.FromString(bytes(answer)))


async def _streamed(plane: DataPlane, message: bytes, **said: str) -> str | None:
    async def messages() -> AsyncGenerator[bytes, None]:
        yield message

    headers = {name.replace("_", "-"): value for name, value in said.items()}
    answers = GrpcApi(plane).stream(f"{SERVICE}ModelStreamInfer", messages(), headers)
    (answer,) = [one async for one in answers]
    assert not isinstance(answer, Pieces)
    found = pb.ModelStreamInferResponse.FromString(bytes(answer))
    assert not found.error_message
    return _variant(found.infer_response)


def _variant(response: pb.ModelInferResponse) -> str | None:
    if "augurium-variant" not in response.parameters:
        return None
    variant = response.parameters["augurium-variant"].string_param
    assert response.outputs[0].contents.fp32_contents[0] == VALUES[variant]
    assert response.model_version == str(int(VALUES[variant]))
    return variant


EXPECTED = Assignment("m", rearranged((), {one.label: one.slots for one in SPLIT}))


@pytest.mark.parametrize("protocol", REST)
async def test_a_unit_in_a_header_has_its_variant_in_every_protocol(
    tmp_path: Path, protocol: str
) -> None:
    plane = _plane(tmp_path, TrafficPolicy(SPLIT))

    found = [await _rest(plane, protocol, 7, augurium_unit=unit) for unit in UNITS]

    assert found == [EXPECTED.variant(unit) for unit in UNITS]


@pytest.mark.parametrize("ask", [_once, _streamed])
async def test_a_unit_in_the_metadata_has_the_same_variant(tmp_path: Path, ask: type) -> None:
    plane = _plane(tmp_path, TrafficPolicy(SPLIT))

    found = [await ask(plane, _message(7), augurium_unit=unit) for unit in UNITS]

    assert found == [EXPECTED.variant(unit) for unit in UNITS]


@pytest.mark.parametrize("protocol", REST)
async def test_a_feature_of_the_first_row_is_the_unit_in_every_protocol(
    tmp_path: Path, protocol: str
) -> None:
    plane = _plane(tmp_path, TrafficPolicy(SPLIT, unit="feature:place"))

    found = [await _rest(plane, protocol, place) for place in range(12)]

    assert found == [EXPECTED.variant(str(place)) for place in range(12)]


async def test_a_feature_is_the_unit_over_grpc_as_well(tmp_path: Path) -> None:
    plane = _plane(tmp_path, TrafficPolicy(SPLIT, unit="feature:place"))

    found = [await _once(plane, _message(place)) for place in range(12)]

    assert found == [EXPECTED.variant(str(place)) for place in range(12)]


async def test_without_a_choice_the_default_answers_and_no_variant_is_told(tmp_path: Path) -> None:
    rules = (TrafficRule("header:x-country", 2, values=("DE",)),)
    plane = _plane(tmp_path, TrafficPolicy(rules=rules))

    for protocol in REST:
        assert await _rest(plane, protocol, 7, x_country="FR") is None
    assert await _once(plane, _message(7), x_country="FR") is None
    assert await _once(plane, _message(7, "2"), x_country="FR") is None


async def test_a_variant_that_is_not_there_is_answered_by_the_default(tmp_path: Path) -> None:
    plane = _plane(tmp_path, TrafficPolicy((Variant(9, 100),)))

    for protocol in REST:
        assert await _rest(plane, protocol, 7) is None
    assert await _once(plane, _message(7)) is None
    assert await _streamed(plane, _message(7)) is None
    assert not plane.unrouted


@pytest.mark.parametrize("smaller", [1, 2])
async def test_rows_that_one_of_the_versions_would_not_take_at_once_are_taken_by_both(
    tmp_path: Path, smaller: int
) -> None:
    batching = {smaller: BatchingPolicy(max_batch_size=MOST_ROWS)}
    plane = _plane(tmp_path, TrafficPolicy(SPLIT), batching)

    for protocol in ("v1 many", "v1 many columns"):
        found = [await _rest(plane, protocol, 7, augurium_unit=unit) for unit in UNITS]
        assert found == [EXPECTED.variant(unit) for unit in UNITS]


async def test_rows_that_cannot_be_read_are_told_so_by_who_reads_them(tmp_path: Path) -> None:
    plane = _plane(tmp_path, TrafficPolicy(SPLIT, unit="feature:place"))
    headers = {"content-type": LINES, "accept": LINES}
    request = HttpRequest("POST", "/v1/models/m:predict", headers.get, b"nonsense\n")

    answer = await RestApi(plane, LimitSettings()).handle(request)

    assert answer.status == 400
    assert b"line 1 is not JSON" in await _content(answer)
