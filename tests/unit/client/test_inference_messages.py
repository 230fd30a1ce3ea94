"""The gRPC wire of the client, held against the generated messages of the same protocol."""

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from augurium.client.inference_messages import (
    decode_infer,
    decode_stream,
    encode_head,
    encode_tensors,
)
from augurium.client.tensor_codec import blob_of_array
from augurium.core.errors import AuguriumError, InvalidArgument
from augurium.core.tensors import BFLOAT16, DATATYPES, Array
from augurium.protocols.generated import inference_pb2 as pb

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
numbers = st.sampled_from([dtype for dtype in DATATYPES if dtype != np.dtype(object)]).flatmap(
    # hypothesis knows no bfloat16: any bits are one
    lambda dtype: arrays.arrays(np.uint16 if dtype == BFLOAT16 else dtype, shapes).map(
        lambda array: array.view(dtype)
    )
)
tensors = st.one_of(numbers, arrays.arrays(np.object_, shapes, elements=texts))


def answer(outputs: dict[str, Array], **fields: Any) -> bytes:
    """A `ModelInferResponse` as a server makes it."""
    message = pb.ModelInferResponse(**fields)
    for name, values in outputs.items():
        datatype, shape, blob = blob_of_array(name, values)
        message.outputs.add(name=name, datatype=datatype, shape=shape)
        message.raw_output_contents.append(blob)
    return message.SerializeToString()


@given(inputs=st.dictionaries(texts, tensors, max_size=3), wanted=st.lists(texts, max_size=3))
def test_a_request_reads_as_the_protocol_says(inputs: dict[str, Array], wanted: list[str]) -> None:
    content = encode_head("churn@best", 7, "r1", {}) + b"".join(encode_tensors(inputs, wanted))

    message = pb.ModelInferRequest.FromString(content)

    assert (message.model_name, message.model_version, message.id) == ("churn@best", "7", "r1")
    assert [output.name for output in message.outputs] == wanted
    assert {
        tensor.name: (tensor.datatype, tuple(tensor.shape), blob)
        for tensor, blob in zip(message.inputs, message.raw_input_contents, strict=True)
    } == {name: blob_of_array(name, values) for name, values in inputs.items()}


@given(
    st.dictionaries(
        texts,
        st.one_of(
            st.booleans(), st.integers(-(2**63), 2**63 - 1), texts, st.floats(allow_nan=False)
        ),
        max_size=4,
    )
)
def test_parameters_read_as_the_protocol_says(parameters: dict[str, Any]) -> None:
    message = pb.ModelInferRequest.FromString(encode_head("m", None, None, parameters))

    found = {
        name: getattr(value, value.WhichOneof("parameter_choice") or "")
        for name, value in message.parameters.items()
    }
    assert found == parameters
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in parameters.items()
    }


@pytest.mark.parametrize("value", [None, [1], 2**63])
def test_a_parameter_the_protocol_lacks_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument, match="parameter 'depth'"):
        encode_head("m", None, None, {"depth": value})


@given(outputs=st.dictionaries(texts, tensors, max_size=3), version=st.integers(0, 10**9))
def test_an_answer_comes_back_as_it_was(outputs: dict[str, Array], version: int) -> None:
    found = decode_infer(answer(outputs, model_name="m", model_version=str(version), id="r1"))

    assert (found.version, found.request_id) == (version, "r1")
    assert found.outputs.keys() == outputs.keys()
    for name, values in outputs.items():
        assert (found.outputs[name].dtype, found.outputs[name].shape) == (
            values.dtype,
            values.shape,
        )
        # NaN is itself by its bits
        assert found.outputs[name].dtype == object or (
            found.outputs[name].tobytes() == values.tobytes()
        )
        assert values.dtype != object or found.outputs[name].tolist() == values.tolist()


def test_outputs_may_be_written_to() -> None:
    found = decode_infer(answer({"y": np.zeros(2)})).outputs["y"]
    found[0] = 7.0

    assert found.tolist() == [7.0, 0.0]


def test_fields_of_a_newer_server_are_passed_over() -> None:
    content = answer({"y": np.ones(1)}, parameters={"later": pb.InferParameter(bool_param=True)})

    # a varint, 8 bytes, some bytes and 4 bytes under numbers that nobody has yet
    unknown = b"\xa0\x06\x01" + b"\xa9\x06" + bytes(8) + b"\xb2\x06\x02hi" + b"\xbd\x06" + bytes(4)
    assert decode_infer(unknown + content).outputs["y"].tolist() == [1.0]


def test_a_stream_carries_answers_and_errors() -> None:
    carried = answer({"y": np.ones(1)}, model_version="2")
    # `ModelStreamInferResponse`: error_message is field 1, infer_response field 2
    framed = b"\x12" + bytes([len(carried)]) + carried

    found = decode_stream(framed)

    assert not isinstance(found, str)
    assert (found.version, found.outputs["y"].tolist()) == (2, [1.0])
    assert decode_stream(b"\x0a\x06failed") == "failed"
    assert decode_stream(b"") == decode_infer(b"")


@given(st.binary(max_size=64))
def test_anything_else_is_an_answer_or_an_error(content: bytes) -> None:
    for decode in (decode_infer, decode_stream):
        with suppress(AuguriumError):
            decode(content)


@given(cut=st.integers(0, 200), place=st.integers(0, 200), byte=st.integers(0, 255))
def test_a_damaged_answer_is_an_answer_or_an_error(cut: int, place: int, byte: int) -> None:
    content = bytearray(answer({"y": np.ones((2, 2)), "s": np.array(["a", "b"], object)}))
    content[place % len(content)] = byte
    with suppress(AuguriumError):
        decode_infer(bytes(content[: max(0, len(content) - cut)]))


@pytest.mark.parametrize(
    "damaged",
    [
        answer({"y": np.ones(4)})[:-1],
        pb.ModelInferResponse(
            outputs=[pb.ModelInferResponse.InferOutputTensor(name="y", datatype="FP32", shape=[3])],
            raw_output_contents=[b"\0" * 8],
        ).SerializeToString(),
        pb.ModelInferResponse(
            outputs=[
                pb.ModelInferResponse.InferOutputTensor(name="y", datatype="FP32", shape=[-9])
            ],
            raw_output_contents=[b"\0" * 8],
        ).SerializeToString(),
        pb.ModelInferResponse(
            outputs=[pb.ModelInferResponse.InferOutputTensor(name="y", datatype="FP32", shape=[1])]
        ).SerializeToString(),
        b"\xff" * 12,
        b"\x2b",
    ],
    ids=["cut", "wrong shape", "negative shape", "no contents", "endless number", "wire type"],
)
def test_damage_is_named(damaged: bytes) -> None:
    with pytest.raises(AuguriumError, match="inference answer cannot be read"):
        decode_infer(damaged)
