"""What a gRPC service brings: its methods, by path, each with what it asks of its caller."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import NamedTuple, TypeVar

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtocolMessage
from typing_extensions import Buffer

from augurium.access.principal import Principal
from augurium.core.errors import InvalidArgument
from augurium.core.priority import Priority
from augurium.protocols.grpc_frames import Message
from augurium.serving.router import unknown_model

M = TypeVar("M", bound=ProtocolMessage)

# a message, what is left of the caller's time in seconds, and who the caller is
Answer = Callable[[Buffer, float | None, Principal | None], Awaitable[Message]]
RankedAnswer = Callable[[Buffer, float | None, Principal | None, Priority], Awaitable[Message]]


class StreamCall(NamedTuple):
    """A call whose messages come and go one after another.

    `messages` are taken as they are needed; `admit` lets the caller in once more, for another
    request of the same call, and gives who that is; `metadata` are the call's headers.
    """

    messages: AsyncGenerator[Buffer, None]
    metadata: Mapping[str, str]
    admit: Callable[[], Principal | None]


class Unary(NamedTuple):
    """A method with one message each way; `operation` is what `access/rights.py` calls it.

    `ranked` answers a call whose metadata name a priority, where that matters.
    """

    path: str
    operation: str
    answer: Answer
    ranked: RankedAnswer | None = None


class Streaming(NamedTuple):
    """A method with any number of messages."""

    path: str
    operation: str
    answers: Callable[[StreamCall], AsyncGenerator[Message, None]]


def parsed(kind: type[M], content: Buffer) -> M:
    """Raises InvalidArgument for bytes that are not such a message."""
    try:
        return kind.FromString(content)  # type: ignore[arg-type]
    except DecodeError as error:
        raise InvalidArgument(f"the message is not a valid {kind.DESCRIPTOR.name}") from error


def check_seen(caller: Principal | None, model: str) -> None:
    """A model the caller may not see is one that is not there."""
    name = model.partition("@")[0]
    if caller is not None and not caller.sees(name):
        raise unknown_model(name)
