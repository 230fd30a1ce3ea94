import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.inference import Answer, BatchOutputs, InferenceResponse
from augurium.core.tensors import Array, TensorSpec
from augurium.protocols import oip_messages
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_frames import Pieces


def response(request_id: str, rows: int, width: int) -> InferenceResponse:
    arrays: list[Array] = [
        np.arange(rows, dtype=np.int64),
        np.arange(rows * width, dtype=np.float32).reshape(rows, width),
        np.array([f"w{i}" for i in range(rows)], dtype=np.object_),
    ]
    specs = (
        TensorSpec("label", "INT64", (-1,)),
        TensorSpec("scores", "FP32", (-1, width)),
        TensorSpec("word", "BYTES", (-1,)),
    )
    return InferenceResponse("m", 7, request_id, specs, range(3), Answer(BatchOutputs(arrays)))


def encoded(answer: InferenceResponse, raw: bool) -> pb.ModelInferResponse:
    content = oip_messages.encode(answer, raw)
    joined = content.joined() if isinstance(content, Pieces) else content
    return pb.ModelInferResponse.FromString(joined)


@given(st.text(max_size=300), st.integers(0, 300), st.integers(0, 3))
def test_raw_answers_are_the_messages_the_protocol_describes(
    request_id: str, rows: int, width: int
) -> None:
    message = encoded(response(request_id, rows, width), raw=True)
    assert (message.model_name, message.model_version, message.id) == ("m", "7", request_id)
    shapes = [(o.name, o.datatype, list(o.shape)) for o in message.outputs]
    assert shapes == [
        ("label", "INT64", [rows]),
        ("scores", "FP32", [rows, width]),
        ("word", "BYTES", [rows]),
    ]
    labels, scores, words = message.raw_output_contents
    assert np.frombuffer(labels, np.int64).tolist() == list(range(rows))
    assert np.frombuffer(scores, np.float32).tolist() == list(range(rows * width))
    assert len(words) == sum(4 + len(f"w{i}") for i in range(rows))


def test_typed_answers_fill_the_field_of_their_datatype() -> None:
    message = encoded(response("r", 2, 1), raw=False)
    assert message.id == "r"
    assert not message.raw_output_contents
    label, scores, word = (output.contents for output in message.outputs)
    assert list(label.int64_contents) == [0, 1]
    assert list(scores.fp32_contents) == [0, 1]
    assert list(word.bytes_contents) == [b"w0", b"w1"]


def test_what_has_no_typed_field_makes_the_whole_answer_raw() -> None:
    array = np.array([1.5], np.float16)
    specs = (TensorSpec("x", "FP16", (-1,)),)
    answer = InferenceResponse("m", 1, "", specs, range(1), Answer(BatchOutputs([array])))
    message = encoded(answer, raw=False)
    assert message.raw_output_contents == [array.tobytes()]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300, 2**14, 2**21 + 1])
def test_lengths_of_every_size_are_read_back(size: int) -> None:
    array = np.zeros(size, np.bool_)
    specs = (TensorSpec("x", "BOOL", (-1,)),)
    answer = InferenceResponse("m", 1, "", specs, range(1), Answer(BatchOutputs([array])))
    # a large one comes in pieces, of which the array itself is one
    assert isinstance(oip_messages.encode(answer, raw=True), Pieces) == (size > 2**16)
    message = encoded(answer, raw=True)
    assert [len(content) for content in message.raw_output_contents] == [size]
