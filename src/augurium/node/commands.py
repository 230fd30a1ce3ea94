"""How each process of a node is started."""

import sys

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.core.home import NodeConfig, short_socket_path
from augurium.node import envoy_tls
from augurium.node.child import Command
from augurium.node.engine_start import ENGINE_VARIABLE, EngineStart
from augurium.node.envoy import envoy_command, envoy_environment, envoy_problem


class Commands:
    """The commands of one node; decides once whether Envoy or grpc.aio carries gRPC.

    `notice` says why Envoy does not, where it was wanted. Raises InvalidArgument if only Envoy
    would do.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        wanted = config.settings.node.grpc_host
        problem = None if wanted == "grpcio" else envoy_problem()
        if problem and wanted == "envoy":
            raise InvalidArgument(f"grpc_host is 'envoy', but Envoy cannot start: {problem}")
        self.notice = problem
        self._envoy = wanted != "grpcio" and problem is None

    def control(self, lifeline: int) -> Command:
        """The control process."""
        return self._python("augurium.control", str(lifeline))

    def engine(self, slot: str, lifeline: int) -> Command:
        """The engine of a slot."""
        if slot in self._config.rest_engines:
            return self._python("augurium.node.rest_engine", slot, str(lifeline))
        if not self._envoy:
            return self._python("augurium.node.grpcio_engine", slot, str(lifeline))
        admin_socket = short_socket_path(self._config.home.run / f"{slot}.admin")
        admin_socket.unlink(missing_ok=True)
        tls = self._config.home.envoy_tls.absolute()
        if self._config.settings.tls.enabled:
            envoy_tls.prepare(self._config.settings.tls, tls)
        start = EngineStart(str(self._config.home.config), slot, lifeline, str(admin_socket))
        return Command(
            envoy_command(self._config.settings, admin_socket, tls),
            {**envoy_environment(), ENGINE_VARIABLE: msgspec.json.encode(start).decode()},
        )

    def _python(self, module: str, *arguments: str) -> Command:
        config = str(self._config.home.config)
        return Command([sys.executable, "-m", module, config, *arguments], {})
