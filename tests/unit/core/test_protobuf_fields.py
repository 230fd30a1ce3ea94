"""Raw contents taken out of a message without copying them."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.core.protobuf_fields import MOST_FIELDS, split, varint
from augurium.protocols.generated import inference_pb2 as pb

RAW_TAG = 7 << 3 | 2


@given(st.integers(0, 2**64 - 1))
def test_a_number_is_written_as_protobuf_writes_it(number: int) -> None:
    message = pb.InferParameter(uint64_param=number).SerializeToString()

    assert message == b"\x28" + varint(number)


@given(st.text(max_size=20), st.lists(st.binary(max_size=300), max_size=5), st.integers(0, 5))
def test_raw_contents_and_the_rest_add_up_to_the_message(
    name: str, contents: list[bytes], inputs: int
) -> None:
    message = pb.ModelInferRequest(model_name=name, id="7", raw_input_contents=contents)
    for number in range(inputs):
        message.inputs.add(name=f"x{number}", datatype="FP32", shape=[1, number])
    rest, raw = split(memoryview(message.SerializeToString()), RAW_TAG)

    assert raw is not None
    assert [bytes(content) for content in raw] == contents
    message.ClearField("raw_input_contents")
    assert pb.ModelInferRequest.FromString(bytes(rest)) == message


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_protobuf_reads_them(content: bytes) -> None:
    try:
        rest, raw = split(memoryview(content), RAW_TAG)
        found = pb.ModelInferRequest.FromString(bytes(rest))
    except (InvalidArgument, DecodeError):
        return
    try:
        expected = pb.ModelInferRequest.FromString(content)
    except DecodeError:
        # it also knows what may not be inside a field; nothing of that is in the raw contents
        return
    assert [bytes(part) for part in raw or []] == list(expected.raw_input_contents)
    assert found.model_name == expected.model_name


def test_the_contents_are_views_of_the_message() -> None:
    content = bytearray(pb.ModelInferRequest(raw_input_contents=[b"abc"]).SerializeToString())
    _, raw = split(memoryview(content), RAW_TAG)

    assert raw is not None
    assert raw[0].obj is content


def test_a_message_of_very_many_fields_is_left_to_the_library() -> None:
    content = varint(RAW_TAG) + b"\0"
    rest, raw = split(memoryview(content * (MOST_FIELDS + 1)), RAW_TAG)

    assert raw is None
    assert bytes(rest) == content * (MOST_FIELDS + 1)


@pytest.mark.parametrize(
    "content", [b"\x3a", b"\x3a\x05abc", b"\x3b", b"\xff" * 11, b"\x3a" + b"\xff" * 9 + b"\x7f"]
)
def test_what_is_no_message_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidArgument):
        split(memoryview(content), RAW_TAG)
