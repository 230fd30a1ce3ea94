"""How each process of a node is started."""

import sys

from augurium.core.home import NodeConfig
from augurium.node.child import Command


class Commands:
    """The commands of one node."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config

    def control(self, lifeline: int) -> Command:
        """The control process."""
        return self._python("augurium.control", str(lifeline))

    def engine(self, slot: str, lifeline: int) -> Command:
        """The engine of a slot."""
        protocol = "rest" if slot in self._config.rest_engines else "grpc"
        return self._python(f"augurium.node.{protocol}_engine", slot, str(lifeline))

    def _python(self, module: str, *arguments: str) -> Command:
        config = str(self._config.home.config)
        return Command([sys.executable, "-m", module, config, *arguments], {})
