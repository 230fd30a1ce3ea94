"""How each process of a node is started."""

import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

from augurium.core.home import NodeConfig
from augurium.node.child import Command

# large blocks of memory come and go with large payloads: huge pages make taking one five times as
# fast (measured: an identity of 38 MB in 3.8 instead of 20 ms). Source: GNU C Library manual,
# "Memory Allocation Tunables". Other C libraries ignore it.
TUNABLES = "GLIBC_TUNABLES"
HUGE_PAGES = "glibc.malloc.hugetlb=1"


class Commands:
    """The commands of one node. `jobs_lifeline` ends batch jobs, which control starts and which go
    on when control dies.
    """

    def __init__(self, config: NodeConfig, jobs_lifeline: int) -> None:
        self._config = config
        self._jobs_lifeline = jobs_lifeline

    def control(self, lifeline: int) -> Command:
        """The control process."""
        command = self._python("augurium.control", str(lifeline), str(self._jobs_lifeline))
        return command._replace(descriptors=(self._jobs_lifeline,))

    def engine(self, slot: str, lifeline: int) -> Command:
        """The engine of a slot."""
        tunables = {} if TUNABLES in os.environ else {TUNABLES: HUGE_PAGES}
        return self._python("augurium.node.engine", slot, str(lifeline), environment=tunables)

    def _python(
        self, module: str, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
    ) -> Command:
        config = str(self._config.home.config)
        return Command([sys.executable, "-m", module, config, *arguments], environment)
