"""Messages of any kind to every gRPC method: random bytes, and good ones that were damaged.

They are answered in time, never with a fault of the server, and never change a neighbour's answer.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augurium.core.tensors import NUMPY_DTYPES
from augurium.protocols.generated import inference_pb2 as pb
from tests.fuzz.seeds import GRPC_SEEDS
from tests.fuzz.served import INFER, Served

STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
EXAMPLES = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, 16, -1, 2**31, 2**62, -(2**63)]), st.integers(-(2**63), 2**63 - 1)
)
WORDS = st.one_of(
    st.sampled_from(["", "simple", "text", "simple@best", "simple@1", "1", "INPUT0", "same"]),
    st.text(max_size=8),
)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.close()


def damaged() -> st.SearchStrategy[bytes]:
    """A good message in which bytes were replaced, cut out or put in."""

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        content = bytearray(draw(st.sampled_from(GRPC_SEEDS)))
        for _ in range(draw(st.integers(1, 4))):
            start = draw(st.integers(0, len(content)))
            stop = min(len(content), start + draw(st.integers(0, 4)))
            content[start:stop] = draw(st.binary(max_size=6))
        return bytes(content)

    return build()


@st.composite
def parameters(draw: st.DrawFn) -> pb.InferParameter:
    choices: dict[str, st.SearchStrategy[Any]] = {
        "bool_param": st.booleans(),
        "int64_param": NUMBERS,
        "string_param": WORDS,
        "double_param": st.floats(),
        "uint64_param": st.integers(0, 2**64 - 1),
    }
    name = draw(st.sampled_from([*choices, ""]))
    return pb.InferParameter(**{name: draw(choices[name])} if name else {})


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A `ModelInferRequest` whose parts need not fit together."""
    names = st.one_of(
        WORDS,
        st.sampled_from(["timeout", "priority", "sequence_id", "classification", "triton_x",
                         "triton_enable_empty_final_response", "shared_memory_region"]),
    )  # fmt: skip
    found = pb.ModelInferRequest(
        model_name=draw(WORDS), model_version=draw(st.sampled_from(["", "1", "0", "x"])),
        id=draw(WORDS), raw_input_contents=draw(st.lists(st.binary(max_size=130), max_size=3)),
    )  # fmt: skip
    for tensor in (found.inputs.add() for _ in range(draw(st.integers(0, 3)))):
        tensor.name = draw(WORDS)
        tensor.datatype = draw(st.sampled_from([*NUMPY_DTYPES, "BF16", "", "FP8"]))
        tensor.shape.extend(draw(st.lists(NUMBERS, max_size=4)))
        tensor.contents.int_contents.extend(draw(st.lists(st.integers(-5, 5), max_size=3)))
        tensor.contents.bytes_contents.extend(draw(st.lists(st.binary(max_size=5), max_size=2)))
        tensor.contents.fp32_contents.extend(draw(st.lists(st.floats(width=32), max_size=2)))
        if draw(st.booleans()):
            tensor.ClearField("contents")
        if draw(st.booleans()):
            tensor.parameters[draw(names)].CopyFrom(draw(parameters()))
    for output in (found.outputs.add() for _ in range(draw(st.integers(0, 2)))):
        output.name = draw(WORDS)
        if draw(st.booleans()):
            output.parameters[draw(names)].CopyFrom(draw(parameters()))
    for _ in range(draw(st.integers(0, 2))):
        found.parameters[draw(names)].CopyFrom(draw(parameters()))
    return found.SerializeToString()


@EXAMPLES
@given(st.data(), st.one_of(st.binary(max_size=300), damaged()))
def test_any_bytes_to_any_method(served: Served, data: st.DataObject, message: bytes) -> None:
    served.ask_grpc(data.draw(st.sampled_from(served.grpc_methods)), message)


@EXAMPLES
@given(st.sampled_from([INFER, STREAM]), requests())
def test_any_request(served: Served, path: str, message: bytes) -> None:
    served.ask_grpc(path, message)


@EXAMPLES
@given(damaged())
def test_any_damage_to_a_large_message(served: Served, message: bytes) -> None:
    """Whose raw contents are read by hand."""
    unknown = b"\xa2\x06" + b"\x80\x80\x08" + bytes(128 * 1024)
    for path in (INFER, STREAM):
        served.ask_grpc(path, unknown + message)
