"""What a gRPC service brings: its methods, by path, each with what it asks of its caller."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import NamedTuple, TypeVar

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtocolMessage
from typing_extensions import Buffer

from augurium.access.principal import Principal
from augurium.core.errors import InvalidArgument
from augurium.core.inference import Header
from augurium.core.priority import HEADER as PRIORITY_HEADER
from augurium.core.priority import Priority, priority_of
from augurium.protocols.grpc_frames import Message
from augurium.serving.router import unknown_model

M = TypeVar("M", bound=ProtocolMessage)

# a message, what is left of the caller's time in seconds, and who the caller is
Answer = Callable[[Buffer, float | None, Principal | None], Awaitable[Message]]


class Wishes(NamedTuple):
    """How a call wants to be answered: its priority, and with nothing from a cache (`refresh`).
    `header` looks its metadata up, for who else has a question.
    """

    priority: Priority = Priority.NORMAL
    refresh: bool = False
    header: Header | None = None


NO_WISHES = Wishes()
WishingAnswer = Callable[[Buffer, float | None, Principal | None, Wishes], Awaitable[Message]]


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

    `wishing` answers a call whose metadata say how it wants to be answered, where that matters.
    """

    path: str
    operation: str
    answer: Answer
    wishing: WishingAnswer | None = None


class Streaming(NamedTuple):
    """A method with any number of messages."""

    path: str
    operation: str
    answers: Callable[[StreamCall], AsyncGenerator[Message, None]]


def wishes_of(header: Header) -> Wishes:
    """What the metadata of a call say, `augurium-priority` and `cache-control` among them.

    `no-cache` has the meaning of RFC 9111, section 5.2.1.4. Raises InvalidArgument.
    """
    priority, cache_control = header(PRIORITY_HEADER), header("cache-control")
    ranked = Priority.NORMAL if priority is None else priority_of(priority)
    refresh = cache_control is not None and "no-cache" in cache_control.lower()
    return Wishes(ranked, refresh, header)


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
