"""BYTES that are not UTF-8, through every protocol: as they are, or refused with the reason."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.protocols.generated import inference_pb2 as pb
from tests.fuzz.served import INFER, Served, image_message

JPEG = b"\xff\xd8\xff\xe0\0"
WRAPPED = {"b64": base64.b64encode(JPEG).decode()}
JSON = {"content-type": "application/json"}
LENGTH = "inference-header-content-length"
ARROW = "application/vnd.apache.arrow.stream"
EXAMPLES = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.close()


def posted(served: Served, path: str, content: object, **headers: str) -> Any:
    """The status and the content of an answer."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    answer = served.post(path, JSON | headers, body)
    return answer.status, b"".join([answer.body, *map(bytes, answer.blobs)])


def predicted(served: Served, path: str, content: object, **headers: str) -> Any:
    status, found = posted(served, path, content, **headers)
    assert status == 200, found
    return json.loads(found)


def tensor(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": [1], "datatype": "BYTES", **more}


def with_blob(head: dict[str, Any], blob: bytes) -> tuple[bytes, dict[str, str]]:
    encoded = json.dumps(head).encode()
    return encoded + blob, {LENGTH: str(len(encoded))}


def element(content: bytes) -> bytes:
    return len(content).to_bytes(4, "little") + content


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"instances": [WRAPPED, "a"]}, {"predictions": [WRAPPED, "a"]}),
        ({"instances": [{"image": WRAPPED}]}, {"predictions": [WRAPPED]}),
        ({"inputs": {"image": [WRAPPED]}}, {"outputs": [WRAPPED]}),
        ({"inputs": [WRAPPED]}, {"outputs": [WRAPPED]}),
    ],
)
def test_v1_takes_and_gives_them_in_base64(served: Served, body: Any, answer: Any) -> None:
    assert predicted(served, "/v1/models/image:predict", body) == answer


def test_json_lines_have_them_in_base64(served: Served) -> None:
    line = json.dumps(WRAPPED).encode()
    answer = served.post(
        "/v1/models/image:predict", {"content-type": "application/x-ndjson"}, line + b"\n" + line
    )
    assert answer.status == 200, answer
    assert [json.loads(found) for found in answer.body.splitlines()] == [WRAPPED] * 2


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(5)])
def test_arrow_has_them_as_binary(served: Served, kind: Any) -> None:
    for column in (pa.array([JPEG, b"abcde"], kind), pa.array([JPEG] * 2, kind)):
        sink = io.BytesIO()
        table = pa.table({"image": column})
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        headers = {"content-type": ARROW, "accept": ARROW}
        answer = served.post("/v1/models/image:predict", headers, sink.getvalue())
        assert answer.status == 200, answer
        found = pa.ipc.open_stream(b"".join([answer.body, *answer.blobs])).read_all()
        assert found.schema.field("same").type == pa.binary()
        assert found["same"].to_pylist() == column.to_pylist()


def test_generate_has_them_in_base64(served: Served) -> None:
    found = predicted(served, "/v2/models/image/generate", {"image": WRAPPED})
    assert found["same"] == WRAPPED


def test_mlflow_gives_them_as_a_text_in_base64(served: Served) -> None:
    found = predicted(served, "/v1/models/image/invocations", {"instances": [WRAPPED]})
    assert found == {"predictions": [WRAPPED["b64"]]}


def test_binary_tensors_are_the_bytes(served: Served) -> None:
    head = {
        "inputs": [tensor("image", parameters={"binary_data_size": 4 + len(JPEG)})],
        "parameters": {"binary_data_output": True},
    }
    body, headers = with_blob(head, element(JPEG))
    status, found = posted(served, "/v2/models/image/infer", body, **headers)
    assert status == 200, found
    assert found.endswith(element(JPEG))


def test_a_raw_request_is_the_picture_itself(served: Served) -> None:
    status, found = posted(served, "/v2/models/image/infer", JPEG, **{LENGTH: "0"})
    assert status == 200, found
    assert found.endswith(element(JPEG))


def test_v2_says_that_json_has_no_form_for_them(served: Served) -> None:
    head = {"inputs": [tensor("image", parameters={"binary_data_size": 4 + len(JPEG)})]}
    body, headers = with_blob(head, element(JPEG))
    status, found = posted(served, "/v2/models/image/infer", body, **headers)
    assert status == 400
    assert '"binary_data": true' in json.loads(found)["error"]


@pytest.mark.parametrize("raw", [True, False])
def test_grpc_has_them_as_they_are(served: Served, raw: bool) -> None:
    message = pb.ModelInferRequest.FromString(image_message())
    if raw:
        message.inputs[0].ClearField("contents")
        message.raw_input_contents.append(element(b"\xff\xd8") + element(b"a"))
    answer = pb.ModelInferResponse.FromString(served.call(INFER, message.SerializeToString()))
    if raw:
        assert list(answer.raw_output_contents) == [element(b"\xff\xd8") + element(b"a")]
    else:
        assert list(answer.outputs[0].contents.bytes_contents) == [b"\xff\xd8", b"a"]


REFUSED: dict[str, Callable[[Served], Any]] = {
    "v1": lambda served: posted(served, "/v1/models/text:predict", {"instances": [["a", WRAPPED]]}),
    "columns": lambda served: posted(
        served, "/v1/models/text:predict", {"inputs": {"text": [["a", WRAPPED]]}}
    ),
    "mlflow": lambda served: posted(
        served, "/v1/models/text/invocations", {"instances": [["a", WRAPPED]]}
    ),
    "generate": lambda served: posted(served, "/v2/models/text/generate", {"text": ["a", WRAPPED]}),
}


@pytest.mark.parametrize("how", REFUSED)
def test_a_model_of_texts_refuses_them_with_the_place(served: Served, how: str) -> None:
    status, found = REFUSED[how](served)
    assert status == 400
    said = json.loads(found)
    text = "BYTES element 1 of input 'text' is not UTF-8, and model 'text' takes texts"
    assert text in said.get("error", said.get("message"))


def test_a_model_of_texts_refuses_them_over_grpc(served: Served) -> None:
    message = pb.ModelInferRequest(model_name="text")
    message.inputs.add(name="text", datatype="BYTES", shape=[1, 2])
    message.raw_input_contents.append(element(b"a") + element(JPEG))
    with pytest.raises(InvalidArgument, match="BYTES element 1 of input 'text' is not UTF-8"):
        served.call(INFER, message.SerializeToString())


@EXAMPLES
@given(st.lists(st.binary(max_size=6), min_size=1, max_size=4))
def test_whatever_they_are_they_come_back(served: Served, contents: list[bytes]) -> None:
    rows = [{"b64": base64.b64encode(content).decode()} for content in contents]
    found = predicted(served, "/v1/models/image:predict", {"instances": rows})["predictions"]
    assert [
        base64.b64decode(one["b64"]) if isinstance(one, dict) else one.encode() for one in found
    ] == contents
    message = pb.ModelInferRequest(model_name="image")
    message.inputs.add(name="image", datatype="BYTES", shape=[len(contents)])
    message.raw_input_contents.append(b"".join(map(element, contents)))
    answer = pb.ModelInferResponse.FromString(served.call(INFER, message.SerializeToString()))
    assert list(answer.raw_output_contents) == [b"".join(map(element, contents))]
