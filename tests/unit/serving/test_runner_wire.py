"""Frames between an engine and a runner: what goes in comes out, and junk is told from frames."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import BFLOAT16, NUMPY_DTYPES
from augurium.serving import runner_wire as wire
from augurium.serving.runner_channel import Channel

Pair = tuple[Channel, socket.socket]


def soon() -> float:
    return time.monotonic() + 5


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A channel and the bare socket at its other side."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


def there_and_back(tensors: list[Any]) -> list[Any]:
    ours, theirs = (Channel(end) for end in socket.socketpair())
    headers, parts = wire.packed(tensors)
    sending = threading.Thread(target=ours.send, args=(wire.Run(7, headers), parts, soon()))
    sending.start()
    message, found = theirs.receive(soon())
    sending.join()
    ours.close()
    theirs.close()
    assert isinstance(message, wire.Run)
    assert message.id == 7
    return found


NUMERIC = [dtype for name, dtype in NUMPY_DTYPES.items() if name != "BYTES"]
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
TENSORS = st.one_of(
    st.sampled_from(NUMERIC).flatmap(
        # hypothesis knows no bfloat16: any bits are one
        lambda dtype: arrays.arrays(np.uint16 if dtype == BFLOAT16 else dtype, SHAPES).map(
            lambda array: array.view(dtype)
        )
    ),
    arrays.arrays(
        np.object_, SHAPES, elements=st.none() | st.text(max_size=5) | st.binary(max_size=5)
    ),
)


@given(st.lists(TENSORS, max_size=4))
@settings(max_examples=200)
def test_tensors_come_back_as_they_went(tensors: list[Any]) -> None:
    found = there_and_back(tensors)
    assert len(found) == len(tensors)
    for before, after in zip(tensors, found, strict=True):
        assert (after.dtype, after.shape) == (before.dtype, before.shape)
        if after.dtype == object:
            assert after.tolist() == before.tolist()
        else:
            assert after.tobytes() == before.tobytes()


@pytest.mark.parametrize("size", [16_384 - 30, 16_384, 70_000, 3_000_000])
def test_tensors_of_every_size_come_back(size: int) -> None:
    values = np.arange(size, dtype=np.float32)
    first, second = there_and_back([values, values[::-1]])
    np.testing.assert_array_equal(first, values)
    np.testing.assert_array_equal(second, values[::-1])


def test_a_received_tensor_may_be_written(pair: Pair) -> None:
    found = there_and_back([np.zeros(3)])[0]
    found += 1
    assert found.tolist() == [1, 1, 1]


def test_frames_that_arrive_together_are_told_apart() -> None:
    ours, theirs = (Channel(end) for end in socket.socketpair())
    for number in range(20):
        headers, parts = wire.packed([np.full(number, number, np.int64)])
        ours.send(wire.Ran(number, headers), parts, soon())
    for number in range(20):
        message, (values,) = theirs.receive(soon())
        assert isinstance(message, wire.Ran)
        assert (message.id, values.tolist()) == (number, [number] * number)
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    "value",
    [np.zeros(2, complex), np.array([object()]), np.array(["a"]), np.zeros(1, "datetime64[s]")],
)
def test_what_is_no_tensor_is_not_sent(value: Any) -> None:
    with pytest.raises(InvalidArgument):
        wire.packed([value])


def frame(header: bytes, payload: bytes = b"", claimed: int | None = None) -> bytes:
    return struct.pack("<IQ", len(header) if claimed is None else claimed, len(payload)) + (
        header + payload
    )


def run_header(*tensors: tuple[str, tuple[int, ...], int]) -> bytes:
    return msgspec.msgpack.encode([2, 1, list(tensors)])


@pytest.mark.parametrize(
    "content",
    [
        frame(b"junk"),
        frame(b"", claimed=2**31),
        frame(msgspec.msgpack.encode([99])),
        frame(run_header(("FP32", (2,), 4)), bytes(16)),
        frame(run_header(("FP32", (-1,), -4)), bytes(16)),
        frame(run_header(("FP32", (2**40, 2**40), 2**62)), bytes(16)),
        frame(run_header(("FP99", (1,), 4)), bytes(16)),
        frame(run_header(("BYTES", (2,), 1)), b"\x91" + bytes(15)),
        frame(run_header(("BYTES", (1,), 2)), b"\x91\x01" + bytes(14)),
        frame(run_header(("BYTES", (1,), 2)), b"\x91\xc4" + bytes(14)),
        frame(run_header(("BYTES", (2,), 5)), b"\x92\xc4\x01\xff\x01" + bytes(11)),
        frame(run_header(*[("UINT8", (2**32,), 2**32)] * 2)),
    ],
)
def test_junk_is_told_from_a_frame(content: bytes, pair: Pair) -> None:
    channel, theirs = pair
    theirs.sendall(content)
    with pytest.raises(wire.WireError):
        channel.receive(soon())


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_no_junk_causes_anything_but_an_end(content: bytes) -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    theirs.sendall(content)
    theirs.close()

    def receive_all() -> None:
        while True:
            channel.receive(soon())

    with pytest.raises((wire.WireError, ConnectionError)):
        receive_all()
    channel.close()


def test_waiting_ends_at_the_deadline(pair: Pair) -> None:
    channel, theirs = pair
    theirs.sendall(b"half")
    with pytest.raises(TimeoutError):
        channel.receive(time.monotonic() + 0.05)
    headers, parts = wire.packed([np.zeros(10**6)])
    with pytest.raises(TimeoutError):
        channel.send(wire.Run(1, headers), parts, time.monotonic() + 0.05)


def test_an_end_is_an_end(pair: Pair) -> None:
    channel, theirs = pair
    assert channel.silent
    theirs.close()
    assert not channel.silent
    with pytest.raises(ConnectionError):
        channel.receive(soon())
