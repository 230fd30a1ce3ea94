"""The link between control and an engine: msgpack messages with a 4-byte length over a Unix socket.

The engine connects and says `Hello`, and what of its counters was `Heard` before. Control answers
with a `Push` and sends an `Update` whenever the desired state changes; the engine answers each with
`Applied` as its versions load. `Collect` asks for `Counters`, which an engine also sends by itself.
The other way round an engine may `Ask`, and is `Told`; it sends `Predictions` that are to be
recorded.
"""

import asyncio
import struct

import msgspec

from augurium.core.errors import AuguriumError, ErrorKind
from augurium.serving.metrics import EngineMetrics
from augurium.serving.questions import Answer, Question
from augurium.serving.snapshot import Snapshot, SnapshotChange, VersionState, changed

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_length = struct.Struct(">I")


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """An engine's first message. `engine` is its stable slot, such as `engine-0`; a restarted
    engine has another `pid`. With `heard` the next message is `Heard`.
    """

    engine: str
    pid: int
    heard: bool = False


class Heard(msgspec.Struct, frozen=True, tag="heard"):
    """The sums of variants as they were when the last connection ended: what control was told on
    it, or nearly so. This control may be another one, which has not to count them again.
    """

    metrics: EngineMetrics


class Applied(msgspec.Struct, frozen=True, tag="applied"):
    """Where the engine stands with revision `revision`; sent again whenever a version changes its
    state.
    """

    revision: int
    states: tuple[VersionState, ...]


class Counters(msgspec.Struct, frozen=True, tag="counters"):
    """All counters since the engine started, of the versions of which something was counted since
    the last ones on this connection; `request` is that of the `Collect` they answer, 0 if sent
    unasked.
    """

    metrics: EngineMetrics
    request: int = 0


class Predictions(msgspec.Struct, frozen=True, tag="predictions"):
    """Requests that ended, `count` of them as `encode_predictions` writes them, and how many more
    were dropped since the last ones because there was no room for them.
    """

    content: bytes
    count: int
    dropped: int = 0


class Push(msgspec.Struct, frozen=True, tag="push"):
    """The desired state, whole."""

    snapshot: Snapshot


class Update(msgspec.Struct, frozen=True, tag="update"):
    """What has changed in the desired state since it was told last on this connection."""

    change: SnapshotChange


class Collect(msgspec.Struct, frozen=True, tag="collect"):
    """Asks for `Counters` with the same `request` number."""

    request: int


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A question of an engine; `request` is its own number for it."""

    request: int
    question: Question


class Fault(msgspec.Struct, frozen=True):
    """Why a question has no answer."""

    kind: ErrorKind
    text: str


class Told(msgspec.Struct, frozen=True, tag="told"):
    """What control says to the question `request`: an answer, or a fault."""

    request: int
    answer: Answer | None = None
    fault: Fault | None = None


Message = Hello | Heard | Applied | Counters | Predictions | Push | Update | Collect | Ask | Told
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def desired(before: Snapshot | None, message: Push | Update) -> Snapshot:
    """The desired state after a message; `before` is what the one before it said.

    Raises AuguriumError for a change to what was never told.
    """
    if isinstance(message, Push):
        return message.snapshot
    if before is None:
        raise AuguriumError("a change came before the first snapshot")
    return changed(before, message.change)


def send(writer: asyncio.StreamWriter, message: Message) -> None:
    """Queues one message; await `writer.drain()` to wait for a slow reader."""
    content = _encoder.encode(message)
    writer.write(_length.pack(len(content)) + content)


async def receive(reader: asyncio.StreamReader) -> Message | None:
    """The next message; None when the other side has closed. Raises AuguriumError for what is not a
    message.
    """
    try:
        (length,) = _length.unpack(await reader.readexactly(_length.size))
        if length > MAX_MESSAGE_BYTES:
            raise AuguriumError(
                f"link message of {length} bytes; at most {MAX_MESSAGE_BYTES} are allowed"
            )
        return _decoder.decode(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except msgspec.MsgspecError as error:
        raise AuguriumError(f"link message cannot be read: {error}") from error
