"""A gRPC engine on grpc.aio, for machines where Envoy cannot start: `python -m
augurium.node.grpcio_engine CONFIG SLOT [LIFELINE]`.
"""

import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc

from augurium.core.errors import AuguriumError
from augurium.core.home import NodeConfig
from augurium.core.settings import Settings, TlsSettings
from augurium.core.stopping import stop_requested
from augurium.core.tls import ServerTls, names_in_certificate
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

        authorization = _authorization(handler_call_details.invocation_metadata or ())

        async def call(message: bytes, context: Any) -> bytes:
            return await self._answer(path, message, context, authorization)

        return grpc.unary_unary_rpc_method_handler(call)

    async def _answer(
        self, path: str, message: bytes, context: Any, authorization: str | None
    ) -> bytes:
        names = _certificate_names(context) if self._api.asks_who_calls else ()
        try:
            return await self._api.call(
                path, message, context.time_remaining(), authorization, names
            )
        except AuguriumError as error:
            await context.abort(_CODES[int(GRPC_STATUS[error.kind])], str(error))
            raise

    async def _watch(self, message: bytes, _context: Any) -> AsyncIterator[bytes]:
        async for answer in self._api.watch(message):
            yield answer


def _authorization(metadata: Iterable[tuple[str, str]]) -> str | None:
    found = [value for name, value in metadata if name == "authorization"]
    # several are one that opens nothing, as HTTP joins them (RFC 9110, section 5.3)
    return ", ".join(found) if found else None


def _certificate_names(context: Any) -> tuple[str, ...]:
    # not the names that gRPC reads out: it does not say of which kind they are
    found = context.auth_context().get("x509_pem_cert", ())
    return names_in_certificate(found[0]) if found else ()


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
    server.add_generic_rpc_handlers((RawCalls(GrpcApi(engine.plane, engine.gateway)),))
    address = f"{node.url_host}:{node.grpc_port}"
    if config.settings.tls.enabled:
        server.add_secure_port(address, _credentials(config.settings.tls))
    else:
        server.add_insecure_port(address)
    await server.start()
    engine.start()
    await stop.wait()
    await engine.drain(node.drain_delay_s, node.drain_timeout_s)
    await server.stop(grace=1.0)
    await engine.stop()


def _credentials(settings: TlsSettings) -> Any:
    """TLS; the certificate is read again for each new connection when its file was replaced.

    gRPC's server asks callers for a certificate always or never: `accepted` means never here.
    """
    required = settings.client_certificates == "required" and bool(settings.client_ca)
    tls = ServerTls(settings)

    def read() -> Any:
        return grpc.ssl_server_certificate_configuration(
            [(Path(settings.private_key).read_bytes(), Path(settings.certificate).read_bytes())],
            Path(settings.client_ca).read_bytes() if required else None,
        )

    return grpc.dynamic_ssl_server_credentials(
        read(), lambda: read() if tls.reload() else None, require_client_authentication=required
    )


def _notice(config: NodeConfig) -> str:
    if config.settings.node.grpc_host == "grpcio":
        return _unasked(config.settings)
    slow = f"gRPC runs on grpc.aio, several times slower than Envoy: {envoy_problem()}"
    return "; ".join(filter(None, (slow, _unasked(config.settings))))


def _unasked(settings: Settings) -> str:
    if settings.access.certificates and settings.tls.client_certificates != "required":
        return (
            "grpc.aio asks callers for a certificate only with tls.client_certificates = "
            '"required"; access.certificates opens nothing over gRPC here'
        )
    return ""


if __name__ == "__main__":
    sys.exit(run_engine(sys.argv[1:], run))
