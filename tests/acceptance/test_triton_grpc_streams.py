"""`ModelStreamInfer` as the published `tritonclient[grpc]` and bare stubs use it."""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from tests.support.node import Node

WAIT_S = 30
Answers = queue.Queue[tuple[Any, Any]]


@pytest.fixture
def client(node: Node) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(node.grpc) as client:
        yield client
        client.stop_stream(cancel_requests=True)


@pytest.fixture
def answers() -> Answers:
    return queue.Queue()


@pytest.fixture
def talk(client: triton.InferenceServerClient, answers: Answers) -> Callable[..., None]:
    def talk(**options: Any) -> None:
        client.start_stream(lambda result, error: answers.put((result, error)), **options)

    return talk


@pytest.fixture
def stub(node: Node) -> Iterator[service_pb2_grpc.GRPCInferenceServiceStub]:
    with grpc.insecure_channel(node.grpc) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def tensor(name: str, array: Any, datatype: str) -> triton.InferInput:
    return triton.InferInput(name, array.shape, datatype).set_data_from_numpy(array)


def vectors(start: int = 0) -> list[triton.InferInput]:
    """Inputs of `simple`, whose first sum is `start + 1`."""
    first = np.arange(start, start + 16, dtype=np.int32)[None]
    return [tensor("INPUT0", first, "INT32"), tensor("INPUT1", np.ones_like(first), "INT32")]


def message(start: int = 0, model: str = "simple", **fields: Any) -> service_pb2.ModelInferRequest:
    """The same as a message."""
    first = np.arange(start, start + 16, dtype=np.int32)
    found = service_pb2.ModelInferRequest(
        model_name=model,
        raw_input_contents=[first.tobytes(), np.ones_like(first).tobytes()],
        **fields,
    )
    for name in ("INPUT0", "INPUT1"):
        found.inputs.add(name=name, datatype="INT32", shape=[1, 16])
    return found


def slow_message(rows: int, request_id: str = "slow") -> service_pb2.ModelInferRequest:
    found = service_pb2.ModelInferRequest(model_name="slow", id=request_id)
    found.raw_input_contents.append(np.ones(rows, np.float32).tobytes())
    found.inputs.add(name="x", datatype="FP32", shape=[rows, 1, 1])
    return found


def first_sum(response: service_pb2.ModelInferResponse) -> int:
    return int(np.frombuffer(response.raw_output_contents[0], np.int32)[0])


def test_answers_come_in_the_order_of_their_requests(
    client: triton.InferenceServerClient, talk: Callable[..., None], answers: Answers
) -> None:
    talk()
    for number in range(200):
        client.async_stream_infer("simple", vectors(number), request_id=str(number))
    for number in range(200):
        result, error = answers.get(timeout=WAIT_S)
        assert error is None
        response = result.get_response()
        assert (response.id, first_sum(response)) == (str(number), number + 1)
        assert response.parameters["triton_final_response"].bool_param


def test_a_quick_answer_waits_for_the_slow_one_before_it(
    stub: service_pb2_grpc.GRPCInferenceServiceStub,
) -> None:
    asked = [slow_message(64), message(id="a"), message(id="b")]
    found = [answer.infer_response.id for answer in stub.ModelStreamInfer(iter(asked))]
    assert found == ["slow", "a", "b"]


def test_an_error_is_the_answer_to_its_request_and_the_stream_goes_on(
    client: triton.InferenceServerClient, talk: Callable[..., None], answers: Answers
) -> None:
    talk()
    client.async_stream_infer("nobody", vectors(), request_id="a")
    client.async_stream_infer("simple", vectors()[:1], request_id="b")
    client.async_stream_infer("simple", vectors(), request_id="c")
    texts = [answers.get(timeout=WAIT_S)[1].message() for _ in range(2)]
    assert texts[0] == "Request for unknown model: 'nobody' is not found"
    assert texts[1].startswith("[request id: b] expected 2 inputs but got 1 inputs")
    result, error = answers.get(timeout=WAIT_S)
    assert (error, result.get_response().id) == (None, "c")


def test_an_error_names_its_request(stub: service_pb2_grpc.GRPCInferenceServiceStub) -> None:
    wrong = message(id="wrong")
    wrong.raw_input_contents.pop()
    bad_shape = message(id="shape")
    bad_shape.inputs[0].shape[:] = [16, 1]
    asked = [message(model="nobody", id="unknown"), wrong, bad_shape, message(id="good")]
    found = list(stub.ModelStreamInfer(iter(asked)))
    ids = [answer.infer_response.id for answer in found]
    assert ids == ["unknown", "wrong", "shape", "good"]
    assert [bool(answer.error_message) for answer in found] == [True, True, True, False]


def test_with_the_metadata_an_error_ends_the_stream_with_its_status(
    client: triton.InferenceServerClient, talk: Callable[..., None], answers: Answers
) -> None:
    talk(headers={"triton_grpc_error": "true"})
    client.async_stream_infer("simple", vectors(4))
    result, error = answers.get(timeout=WAIT_S)
    assert (error, first_sum(result.get_response())) == (None, 5)
    client.async_stream_infer("nobody", vectors())
    result, error = answers.get(timeout=WAIT_S)
    assert result is None
    assert error.status() == "StatusCode.NOT_FOUND"
    assert "Request for unknown model: 'nobody'" in error.message()


def test_half_close_answers_what_was_asked(
    stub: service_pb2_grpc.GRPCInferenceServiceStub,
) -> None:
    call = stub.ModelStreamInfer(message(number) for number in range(100))
    assert [first_sum(answer.infer_response) for answer in call] == list(range(1, 101))
    assert call.code() is grpc.StatusCode.OK


def test_a_stream_without_requests_ends(stub: service_pb2_grpc.GRPCInferenceServiceStub) -> None:
    assert list(stub.ModelStreamInfer(iter(()))) == []


def test_typed_requests_get_typed_answers(stub: service_pb2_grpc.GRPCInferenceServiceStub) -> None:
    asked = service_pb2.ModelInferRequest(model_name="simple")
    for name in ("INPUT0", "INPUT1"):
        added = asked.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        added.contents.int_contents.extend(range(16))
    typed, raw = stub.ModelStreamInfer(iter([asked, message()]))
    assert list(typed.infer_response.outputs[0].contents.int_contents) == list(range(0, 32, 2))
    assert raw.infer_response.raw_output_contents


def test_a_final_answer_that_was_asked_for_is_the_answer_of_an_ordinary_model(
    client: triton.InferenceServerClient, talk: Callable[..., None], answers: Answers
) -> None:
    talk()
    for number in range(2):
        client.async_stream_infer(
            "simple", vectors(number), enable_empty_final_response=True, request_id=str(number)
        )
    for number in range(2):
        response = answers.get(timeout=WAIT_S)[0].get_response()
        assert (response.id, len(response.outputs)) == (str(number), 2)
        assert response.parameters["triton_final_response"].bool_param


def test_a_parameter_of_the_stream_is_accepted_on_a_single_call(
    stub: service_pb2_grpc.GRPCInferenceServiceStub,
) -> None:
    asked = message()
    asked.parameters["triton_enable_empty_final_response"].bool_param = True
    assert first_sum(stub.ModelInfer(asked)) == 1
    asked.parameters["triton_other"].bool_param = True
    with pytest.raises(grpc.RpcError, match="parameter 'triton_other' is reserved"):
        stub.ModelInfer(asked)
    (answer,) = stub.ModelStreamInfer(iter([asked]))
    assert "parameter 'triton_other' is reserved" in answer.error_message


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_streams(
    client: triton.InferenceServerClient,
    talk: Callable[..., None],
    answers: Answers,
    encoding: str,
) -> None:
    talk(compression_algorithm=encoding)
    words = np.array([["a" * 3000, "b"]] * 50, np.object_)
    client.async_stream_infer("text", [tensor("text", words, "BYTES")])
    result, error = answers.get(timeout=WAIT_S)
    assert error is None
    assert result.as_numpy("same").tolist() == [[b"a" * 3000, b"b"]] * 50


def test_the_deadline_of_a_stream_ends_it(
    client: triton.InferenceServerClient, talk: Callable[..., None], answers: Answers
) -> None:
    # long enough for the first answer
    talk(stream_timeout=3)
    client.async_stream_infer("simple", vectors())
    assert answers.get(timeout=WAIT_S)[1] is None
    began = time.monotonic()
    result, error = answers.get(timeout=WAIT_S)
    assert (result, error.status()) == (None, "StatusCode.DEADLINE_EXCEEDED")
    assert time.monotonic() - began < 15


def test_the_timeout_of_one_request_costs_that_one(
    client: triton.InferenceServerClient, talk: Callable[..., None], answers: Answers
) -> None:
    talk()
    rows = np.ones((256, 1, 1), np.float32)
    client.async_stream_infer("slow", [tensor("x", rows, "FP32")], timeout=5000)
    client.async_stream_infer("simple", vectors())
    assert answers.get(timeout=WAIT_S)[1].message() == "Request timeout expired"
    assert first_sum(answers.get(timeout=WAIT_S)[0].get_response()) == 1


def test_a_cancelled_stream_ends(
    client: triton.InferenceServerClient, talk: Callable[..., None], answers: Answers
) -> None:
    talk()
    for _ in range(10):
        client.async_stream_infer("slow", [tensor("x", np.ones((200, 1, 1), np.float32), "FP32")])
    client.stop_stream(cancel_requests=True)
    found = []
    while not answers.empty():
        found.append(answers.get())
    assert "CANCELLED" in str(found[-1][1].status())


def test_requests_beyond_those_in_flight_wait_for_room(
    stub: service_pb2_grpc.GRPCInferenceServiceStub,
) -> None:
    """A caller that sends without reading is held up, and loses nothing."""
    sent = 0
    big = np.ones((100, 16), np.int32)

    def requests() -> Iterator[service_pb2.ModelInferRequest]:
        nonlocal sent
        for number in range(2000):
            asked = message(id=str(number))
            for tensor, index in zip(asked.inputs, range(2), strict=True):
                tensor.shape[:] = [100, 16]
                asked.raw_input_contents[index] = big.tobytes()
            sent += 1
            yield asked

    call = stub.ModelStreamInfer(requests())
    before = -1
    while sent != before or not sent:
        before = sent
        time.sleep(0.5)
    assert sent < 2000
    assert [answer.infer_response.id for answer in call] == [str(n) for n in range(2000)]


def test_many_streams_at_once_get_their_own_answers(
    stub: service_pb2_grpc.GRPCInferenceServiceStub,
) -> None:
    found: dict[int, list[int]] = {}

    def ask(place: int) -> None:
        calls = stub.ModelStreamInfer(message(place * 1000 + n) for n in range(50))
        found[place] = [first_sum(answer.infer_response) for answer in calls]

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert found == {p: [p * 1000 + n + 1 for n in range(50)] for p in range(20)}


# aio


@pytest.fixture
async def aio(node: Node) -> AsyncIterator[triton_aio.InferenceServerClient]:
    async with triton_aio.InferenceServerClient(node.grpc) as client:
        yield client


async def test_the_aio_client_streams(aio: triton_aio.InferenceServerClient) -> None:
    async def requests() -> AsyncIterator[dict[str, Any]]:
        for number in range(50):
            model = "nobody" if number == 20 else "simple"
            yield {"model_name": model, "inputs": vectors(number), "request_id": str(number)}
            await asyncio.sleep(0)

    found: list[Any] = []
    async for result, error in aio.stream_infer(requests()):
        found.append(error.message() if error else first_sum(result.get_response()))
    assert found[20] == "Request for unknown model: 'nobody' is not found"
    del found[20]
    assert found == [n + 1 for n in range(50) if n != 20]


async def test_an_aio_stream_is_cancelled(aio: triton_aio.InferenceServerClient) -> None:
    async def requests() -> AsyncIterator[dict[str, Any]]:
        while True:
            yield {"model_name": "simple", "inputs": vectors()}
            await asyncio.sleep(0.01)

    answers = aio.stream_infer(requests())
    async for _, error in answers:
        assert error is None
        assert answers.cancel()
        break
    with pytest.raises((asyncio.CancelledError, InferenceServerException)):
        async for _ in answers:
            pass
