"""The gRPC data plane: every service's methods behind one door.

Hosts carry the frames; here a call is a path, the bytes of messages, and what is left of its time.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import structlog
from typing_extensions import Buffer

from augurium.access.gateway import Gateway
from augurium.access.principal import Principal
from augurium.core.errors import AuguriumError, Internal, Unauthenticated, Unimplemented
from augurium.core.identifiers import new_id
from augurium.core.inference import Header
from augurium.protocols.grpc_frames import Message
from augurium.protocols.grpc_health import Health
from augurium.protocols.grpc_methods import StreamCall, Streaming, Unary, wishes_of
from augurium.protocols.grpc_reflection import Reflection
from augurium.protocols.oip_grpc import OipGrpc
from augurium.protocols.oip_grpc_extensions import OipGrpcExtensions
from augurium.protocols.oip_grpc_node import OipGrpcNode
from augurium.protocols.oip_grpc_stream import OipGrpcStream
from augurium.serving.node_control import NodeControl
from augurium.serving.plane import DataPlane

log = structlog.get_logger()


class GrpcApi:
    """Answers every gRPC call of the data plane; raises AuguriumError and cancellation, nothing
    else.

    Without a `gateway` nobody is asked who they are.
    """

    def __init__(
        self,
        plane: DataPlane,
        gateway: Gateway | None = None,
        control: NodeControl | None = None,
    ) -> None:
        self._gateway = gateway
        methods: tuple[Unary | Streaming, ...] = (
            *OipGrpc(plane).methods(),
            *OipGrpcStream(plane).methods(),
            *OipGrpcExtensions().methods(),
            *OipGrpcNode(plane, control).methods(),
            *Health(plane).methods(),
            *Reflection().methods(),
        )
        self._unary = {method.path: method for method in methods if isinstance(method, Unary)}
        self._streams = {m.path: m for m in methods if isinstance(m, Streaming)}
        self.stream_paths = frozenset(self._streams)

    @property
    def methods(self) -> Mapping[str, str]:
        """Every method by its path, with its operation."""
        methods: tuple[Unary | Streaming, ...] = (*self._unary.values(), *self._streams.values())
        return {method.path: method.operation for method in methods}

    def knows(self, authorization: str | None, names: tuple[str, ...]) -> bool:
        """Whether a caller may send more than a little, before it is all there."""
        return self._gateway is None or self._gateway.knows(authorization, names)

    async def check_known(self, authorization: str | None, names: tuple[str, ...]) -> None:
        """Raises Unauthenticated for strangers."""
        if self._gateway is None or self._gateway.knows(authorization, names):
            return
        await self._gateway.patience.wait()
        self._gateway.authenticate(authorization, names)

    async def call(
        self,
        path: str,
        message: Buffer,
        timeout_s: float | None = None,
        authorization: str | None = None,
        certificate_names: tuple[str, ...] = (),
        header: Header | None = None,
    ) -> Message:
        """Answers one unary call; `timeout_s` is what is left of the caller's deadline.

        `authorization` is the header of that name, and `header` looks up the others.
        """
        method = self._unary.get(path)
        caller = None
        if self._gateway is not None:
            caller = await self._admitted(self._gateway, method, authorization, certificate_names)
        if method is None:
            raise Unimplemented(f"method {path[:128]} is not implemented")
        try:
            if header is not None and method.wishing is not None:
                return await method.wishing(message, timeout_s, caller, wishes_of(header))
            return await method.answer(message, timeout_s, caller)
        except AuguriumError:
            raise
        except (
            Exception
        ) as error:  # the edge of the process: a fault of ours must not take the engine down
            raise _fault(path) from error

    async def stream(
        self,
        path: str,
        messages: AsyncGenerator[Buffer, None],
        metadata: Mapping[str, str],
        certificate_names: tuple[str, ...] = (),
    ) -> AsyncGenerator[Message, None]:
        """Answers a call whose messages come and go one after another.

        `messages` are taken as they are needed; `metadata` are the call's headers. The time of the
        whole call is the host's to keep.
        """
        method = self._streams[path]
        authorization = metadata.get("authorization")
        if self._gateway is not None:
            await self._admitted(self._gateway, method, authorization, certificate_names)

        def admit() -> Principal | None:
            if self._gateway is None:
                return None
            found = self._gateway.admit(authorization, method.operation, certificate_names)
            return None if found is None else found.caller

        try:
            async with aclosing(method.answers(StreamCall(messages, metadata, admit))) as answers:
                async for answer in answers:
                    yield answer
        except AuguriumError:
            raise
        except Exception as error:  # as in `call`
            raise _fault(path) from error

    async def _admitted(
        self,
        gateway: Gateway,
        method: Unary | Streaming | None,
        authorization: str | None,
        names: tuple[str, ...],
    ) -> Principal | None:
        try:
            if method is None:
                return gateway.authenticate(authorization, names)
            if isinstance(method, Streaming):
                # its requests are counted one by one
                return gateway.check(authorization, method.operation, names)
            admission = gateway.admit(authorization, method.operation, names)
        except Unauthenticated:
            await gateway.patience.wait()
            raise
        return None if admission is None else admission.caller


def _fault(path: str) -> Internal:
    reference = new_id()
    log.exception("call failed", request_id=reference, path=path[:128])
    return Internal(f"internal error; the log has it under {reference}")
