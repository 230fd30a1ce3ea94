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
        return self._python("augurium.node.engine", slot, str(lifeline))

    def _python(self, module: str, *arguments: str) -> Command:
        config = str(self._config.home.config)
        return Command([sys.executable, "-m", module, config, *arguments], {})
