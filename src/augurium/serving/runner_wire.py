"""What the processes of a data plane say to each other, an engine and a runner or two engines:
frames of a small header and raw tensors.

A connection to a runner begins with one byte from the engine, which says what it is for, and with
the memory both share, if they do. Then come frames: the length of the header (u32) and of the
payload (u64), little endian; the header in msgpack; and the payload, the bytes of one tensor after
another, each begun on a multiple of 16. The payload may lie in the shared memory instead. A BYTES
tensor is a msgpack list of strings, of binary values where these are not UTF-8. Nothing in a frame
can run code.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from augurium.core.device_policy import CPU, DevicePolicy
from augurium.core.errors import ErrorKind, InvalidArgument
from augurium.core.priority import Priority
from augurium.core.tensors import DATATYPES, Array, numpy_dtype

PREFIX = struct.Struct("<IQ")
MAX_HEADER_BYTES = 4 * 1024**2
MAX_PAYLOAD_BYTES = 4 * 1024**3
ALIGNMENT = 16
# connections that wait to be accepted
BACKLOG = 128
# frames up to this size go out as one piece and come in with one read
SMALL_BYTES = 64 * 1024
BYTES = np.dtype(np.object_)
# the first byte of a connection: one run or stream at a time, or many runs under way
ONE_AT_A_TIME, MANY = b"o", b"m"

Parameter = bool | int | float | str | list[bool | int | float | str]


class TensorHeader(msgspec.Struct, frozen=True, array_like=True):
    """One tensor of the payload; `size_bytes` without the padding behind it."""

    datatype: str
    shape: tuple[int, ...]
    size_bytes: int


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The runner's first word on each connection when the version has loaded; a `problem` says that
    it could not load. By `memory_bytes` the process grew when it did, and `base_bytes` it took
    before, for its framework; 0 where the version is alone in it. The version takes `device_bytes`
    of the memory of its device now.
    """

    problem: str = ""
    memory_bytes: int = 0
    base_bytes: int = 0
    device_bytes: int = 0


class Run(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """One batch, the inputs in the signature's order.

    With `ahead` above 0 the answer is a stream: that many answers may come before more are asked
    for. `parameters` are what the request says beside its tensors. `deadline` is when nobody waits
    for the answer any more, in seconds of the monotonic clock of this machine; 0 if there is none.
    `room` bytes of the shared memory from `place` on belong to this run until it is answered; the
    tensors are in there if they are `shared`, and so may the answer's be.
    """

    id: int
    tensors: tuple[TensorHeader, ...] = ()
    ahead: int = 0
    parameters: Mapping[str, Parameter] = {}
    deadline: float = 0.0
    place: int = 0
    room: int = 0
    shared: bool = False


class Ran(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The outputs of the batch `id`, in the signature's order.

    In a stream, every answer says that there may be `more`, and an end without tensors follows. An
    answer without tensors that says so too means that the stream waits for its turn. With `shared`
    they are in the place of their run.
    """

    id: int
    tensors: tuple[TensorHeader, ...] = ()
    more: bool = False
    shared: bool = False


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The model failed on the batch `id`."""

    id: int
    message: str


class Goodbye(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The engine leaves for good: a runner without another need not wait, and other engines ask it
    for nothing more.
    """


class More(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The engine has passed on `count` answers of the stream `id`: as many more may come."""

    id: int
    count: int


class Stop(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """The engine wants no more answers of the stream `id`, which ends as if it were complete."""

    id: int


class Ping(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """The engine wonders whether the runner is alive."""


class Pong(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """It is; and its oldest run has been going on for so long, 0 if there is none."""

    running_s: float = 0.0


class Want(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """The engine's first word on each connection: the version it is for, loaded if need be.

    `key` is one version's alone. Without a `path` the connection is for a version that is there
    already, and is closed if it is not. `inputs` and `outputs` are the signature's names,
    `datatypes` those of the outputs; without them the answers are not looked at. Runs of a version
    whose rows are independent (`batched`) are put together up to `max_rows`, and wait for
    others `delay_s` at most while one is under way. `device` is where it is to run.
    """

    key: str
    runtime: str
    path: str
    digest: str
    weights_path: str | None = None
    weights_digest: str | None = None
    options: dict[str, str] = {}
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    batched: bool = True
    max_rows: int = 1
    delay_s: float = 0.0
    datatypes: tuple[str, ...] = ()
    device: DevicePolicy = CPU


class Ask(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """One engine asks another for the answer to rows of a version, which has this file. `deadline`
    as in `Run`. The answer is a `Ran` or a `Refused`.
    """

    id: int
    model: str
    version: int
    digest: str
    tensors: tuple[TensorHeader, ...] = ()
    deadline: float = 0.0
    priority: Priority = Priority.NORMAL


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """The other engine's answer to `id` is an error; without a `kind`, it does not answer for that
    version, now or ever.
    """

    id: int
    kind: ErrorKind | None = None
    message: str = ""
    retry_after_s: float | None = None


class Loading(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """The version is being loaded from now on. Said on connections for one run at a time: what ends
    the process before its `Hello` was this version.
    """


class Begun(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """The stream `id` has its first turn: it is lost with the runner, and before it was not."""

    id: int


_RunnerWord = Hello | Ran | Failed | Pong | Loading | Begun
_EngineWord = Want | Run | Goodbye | More | Stop | Ping
Message = _RunnerWord | _EngineWord | Ask | Refused
Tensors = Run | Ran | Ask
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)
_texts = msgspec.msgpack.Decoder(list[str | None])
_elements = msgspec.msgpack.Decoder(list[Any])


class WireError(Exception):
    """The other side sent what no frame can be."""


def encoded(message: Message, parts: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """One frame in pieces, small ones in one; `parts` are its payload as `packed` made it.

    Raises InvalidArgument for a message that no frame has room for.
    """
    header = _encoder.encode(message)
    if len(header) > MAX_HEADER_BYTES:
        raise InvalidArgument(
            f"what the request says beside its tensors takes {len(header)} bytes, expected"
            f" {MAX_HEADER_BYTES} at most"
        )
    size = sum(len(part) + -len(part) % ALIGNMENT for part in parts)
    pieces: list[bytes | memoryview] = [PREFIX.pack(len(header), size), header]
    for part in parts:
        pieces.append(part)
        if len(part) % ALIGNMENT:
            pieces.append(bytes(-len(part) % ALIGNMENT))
    return pieces if size > SMALL_BYTES else [b"".join(pieces)]


def decoded(header: memoryview) -> tuple[Message, int]:
    """A message, and how many bytes of payload follow. Raises WireError."""
    try:
        message = _decoder.decode(header)
    except msgspec.MsgspecError as error:
        raise WireError(f"a header that cannot be read: {error}") from error
    if not isinstance(message, Tensors) or not message.tensors:
        return message, 0
    check_sizes(message.tensors)
    apart = not isinstance(message, Ask) and message.shared
    return message, 0 if apart else payload_bytes(message.tensors)


def payload_bytes(tensors: Sequence[TensorHeader]) -> int:
    """What the tensors take, one after another."""
    return sum(_padded(tensor.size_bytes) for tensor in tensors)


def packed(arrays: Sequence[Array]) -> tuple[tuple[TensorHeader, ...], list[bytes | memoryview]]:
    """The headers and the payload of tensors. Raises InvalidArgument for what cannot be sent."""
    headers, parts = [], []
    for array in arrays:
        part = _content(array)
        headers.append(TensorHeader(_datatype(array), array.shape, len(part)))
        parts.append(part)
    if sum(len(part) for part in parts) > MAX_PAYLOAD_BYTES:
        raise InvalidArgument(f"the tensors have more than {MAX_PAYLOAD_BYTES} bytes together")
    return tuple(headers), parts


def _datatype(array: Array) -> str:
    try:
        return DATATYPES[array.dtype]
    except KeyError:
        raise InvalidArgument(f"a tensor of {array.dtype} has no datatype here") from None


def _content(array: Array) -> bytes | memoryview:
    if array.dtype == BYTES:
        try:
            return _encoder.encode(array.ravel().tolist())
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"a BYTES tensor holds what is not text: {error}") from error
    contiguous = np.ascontiguousarray(array)
    return contiguous.reshape(-1).view(np.uint8).data


def check_sizes(tensors: Sequence[TensorHeader]) -> None:
    """Before anything is allocated: the other side may run a stranger's code."""
    if sum(tensor.size_bytes for tensor in tensors) > MAX_PAYLOAD_BYTES:
        raise WireError("a payload that is too large")
    for tensor in tensors:
        if min((*tensor.shape, tensor.size_bytes)) < 0:
            raise WireError("a negative size")
        try:
            dtype = numpy_dtype(tensor.datatype)
        except InvalidArgument as error:
            raise WireError(str(error)) from error
        if dtype != BYTES and math.prod(tensor.shape) * dtype.itemsize != tensor.size_bytes:
            raise WireError(f"{tensor.size_bytes} bytes for a shape of {list(tensor.shape)}")


def unpacked(tensors: Sequence[TensorHeader], payload: Array) -> list[Array]:
    """The arrays of a payload, most of them views of it. Raises WireError."""
    arrays: list[Array] = []
    position = 0
    for tensor in tensors:
        part = payload[position : position + tensor.size_bytes]
        position += _padded(tensor.size_bytes)
        if tensor.datatype == "BYTES":
            arrays.append(_text_array(part, tensor.shape))
        else:
            arrays.append(_numeric_array(part, tensor))
    return arrays


def _numeric_array(part: Array, tensor: TensorHeader) -> Array:
    try:
        return part.view(numpy_dtype(tensor.datatype)).reshape(tensor.shape)
    except (ValueError, OverflowError) as error:
        # no elements, and extents beyond what there is
        raise WireError(f"a shape of {list(tensor.shape)}") from error


def _text_array(part: Array, shape: tuple[int, ...]) -> Array:
    texts: list[Any]
    try:
        texts = _texts.decode(part.data)
    except msgspec.ValidationError:
        texts = _mixed(part)
    except msgspec.MsgspecError as error:
        raise WireError(f"a BYTES tensor that cannot be read: {error}") from error
    if len(texts) != math.prod(shape):
        raise WireError(f"{len(texts)} texts for a shape of {list(shape)}")
    array = np.empty(len(texts), np.object_)
    array[:] = texts
    return array.reshape(shape)


def _mixed(part: Array) -> list[Any]:
    """Texts and bytes."""
    try:
        found = _elements.decode(part.data)
    except msgspec.MsgspecError as error:
        raise WireError(f"a BYTES tensor that cannot be read: {error}") from error
    others = set(map(type, found)) - {str, bytes, type(None)}
    if others:
        raise WireError(f"a BYTES tensor with a {others.pop().__name__} among its texts")
    return found


def _padded(size: int) -> int:
    return size + -size % ALIGNMENT
