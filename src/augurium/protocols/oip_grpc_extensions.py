"""What the protocol's extensions that are not here answer: shared memory and tracing."""

from typing import Any

from google.protobuf.message import Message as ProtocolMessage
from typing_extensions import Buffer

from augurium.access.principal import Principal
from augurium.core.errors import NotFound, Unimplemented
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_methods import Answer, Unary, parsed
from augurium.protocols.oip import GRPC_SERVICE
from augurium.protocols.oip_absent import NO_SHARED_MEMORY, NO_TRACES, no_region


class OipGrpcExtensions:
    """Nothing can be registered. That nothing is, may be asked, and it may be taken away."""

    def methods(self) -> tuple[Unary, ...]:
        """The methods of these extensions."""
        answers: dict[str, Answer] = {"TraceSetting": _refused(NO_TRACES)}
        for kind in ("System", "Cuda"):
            name = f"{kind}SharedMemory"
            answers[f"{name}Status"] = _status(
                getattr(pb, f"{name}StatusRequest"), getattr(pb, f"{name}StatusResponse")
            )
            answers[f"{name}Register"] = _refused(NO_SHARED_MEMORY)
            answers[f"{name}Unregister"] = _done
        return tuple(
            Unary(f"/{GRPC_SERVICE}/{name}", "server", answer) for name, answer in answers.items()
        )


def _refused(text: str) -> Answer:
    async def answer(_content: Buffer, _: float | None, __: Principal | None) -> bytes:
        raise Unimplemented(text)

    return answer


def _status(request: type[Any], response: type[ProtocolMessage]) -> Answer:
    async def answer(content: Buffer, _: float | None, __: Principal | None) -> bytes:
        name = parsed(request, content).name
        if name:
            raise NotFound(no_region(name))
        return response().SerializeToString()

    return answer


async def _done(_content: Buffer, _: float | None, __: Principal | None) -> bytes:
    """No region of any name is there afterwards; clients begin with this."""
    return b""
