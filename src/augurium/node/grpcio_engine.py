"""A gRPC engine on grpc.aio, for machines where Envoy cannot start: `python -m
augurium.node.grpcio_engine CONFIG SLOT [LIFELINE]`.
"""

import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc

from augurium.core.errors import AuguriumError
from augurium.core.home import NodeConfig
from augurium.core.stopping import stop_requested
from augurium.node.engine_process import run_engine
from augurium.node.envoy import envoy_problem
from augurium.protocols.errors_grpc import GRPC_STATUS
from augurium.protocols.oip_grpc import GrpcApi
from augurium.serving.app import Engine

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class RawCalls(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Hands the bytes of every call to the API, which knows the messages."""

    def __init__(self, api: GrpcApi) -> None:
        self._api = api

    def service(self, handler_call_details: Any) -> Any:
        path: str = handler_call_details.method
        if path == self._api.watch_path:
            return grpc.unary_stream_rpc_method_handler(self._watch)

        async def call(message: bytes, context: Any) -> bytes:
            return await self._answer(path, message, context)

        return grpc.unary_unary_rpc_method_handler(call)

    async def _answer(self, path: str, message: bytes, context: Any) -> bytes:
        try:
            return await self._api.call(path, message, context.time_remaining())
        except AuguriumError as error:
            await context.abort(_CODES[int(GRPC_STATUS[error.kind])], str(error))
            raise

    async def _watch(self, message: bytes, _context: Any) -> AsyncIterator[bytes]:
        async for answer in self._api.watch(message):
            yield answer


async def run(config: NodeConfig, slot: str, lifeline: int) -> None:
    """Serves until told to stop, then finishes what was accepted."""
    stop = await stop_requested(lifeline)
    node, limits = config.settings.node, config.settings.limits
    engine = Engine(config, slot, "grpcio", notice=_notice(config))
    size = limits.max_body_bytes
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", size),
            ("grpc.max_send_message_length", -1),
        ]
    )
    server.add_generic_rpc_handlers((RawCalls(GrpcApi(engine.plane)),))
    server.add_insecure_port(f"{node.host}:{node.grpc_port}")
    await server.start()
    engine.start()
    await stop.wait()
    await engine.drain(node.drain_delay_s, node.drain_timeout_s)
    await server.stop(grace=1.0)
    await engine.stop()


def _notice(config: NodeConfig) -> str:
    if config.settings.node.grpc_host == "grpcio":
        return ""
    return f"gRPC runs on grpc.aio, several times slower than Envoy: {envoy_problem()}"


if __name__ == "__main__":
    sys.exit(run_engine(sys.argv[1:], run))
