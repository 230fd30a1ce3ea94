"""A large body is received into one buffer, however it comes in pieces."""

import asyncio
import gc
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.node.body_receiver import BodyReceiver


class Owner(asyncio.Protocol):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def eof_received(self) -> bool:
        self.told.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(exc)

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class Wire(asyncio.Transport):
    """A transport that reads into whatever protocol it has, from bytes that are there."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.reads = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert not self.reads
        self.protocol = protocol

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def deliver(self, content: bytes) -> None:
        """Reads `content` as a transport does: no more at a time than there is room for."""
        while content:
            assert isinstance(self.protocol, BodyReceiver)
            room = self.protocol.get_buffer(len(content))
            size = min(len(room), len(content))
            assert size, "a buffer without room"
            room[:size] = content[:size]
            content = content[size:]
            self.protocol.buffer_updated(size)


@given(
    st.binary(min_size=1, max_size=2000),
    st.integers(0, 1999),
    st.lists(st.integers(1, 300), min_size=1, max_size=30),
)
def test_a_body_is_the_same_in_whatever_pieces_it_comes(
    body: bytes, early: int, sizes: list[int]
) -> None:
    early = min(early, len(body) - 1)
    owner, found = Owner(), list[memoryview]()
    receiver = BodyReceiver(len(body), owner, found.append)
    wire = Wire(owner)
    receiver.take(body[:early])
    receiver.begin(wire)
    at = early
    while at < len(body):
        assert not found
        assert wire.protocol is receiver
        size = sizes[at % len(sizes)]
        wire.deliver(body[at : at + size])
        at += size

    assert [bytes(one) for one in found] == [body]
    assert found[0].readonly
    assert wire.protocol is owner
    assert wire.reads


def test_a_body_that_came_with_its_head_is_whole_at_once() -> None:
    receiver = BodyReceiver(4, Owner(), lambda _: None)
    receiver.take(b"ab")
    receiver.take(b"cd")

    assert bytes(receiver.whole()) == b"abcd"
    assert receiver.whole().readonly


def test_more_than_was_announced_has_no_room() -> None:
    receiver = BodyReceiver(4, Owner(), lambda _: None)
    with pytest.raises(ValueError, match="assign"):
        receiver.take(b"abcde")


def test_the_owner_is_told_what_happens_to_the_connection() -> None:
    owner, lost = Owner(), ConnectionResetError()
    receiver = BodyReceiver(4, owner, lambda _: None)

    receiver.pause_writing()
    receiver.resume_writing()
    assert receiver.eof_received()
    receiver.connection_lost(lost)
    assert owner.told == ["pause", "resume", "eof", lost]


def test_a_receiver_that_is_done_holds_nothing_of_the_body() -> None:
    owner, found = Owner(), list[memoryview]()
    receiver = BodyReceiver(1000, owner, found.append)
    wire = Wire(owner)
    receiver.begin(wire)
    wire.deliver(bytes(1000))
    array = weakref.ref(found[0].obj)
    found.clear()
    gc.collect()

    assert array() is None
    assert receiver is not None
