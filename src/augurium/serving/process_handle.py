"""A process that somebody else may have started, and its end."""

import os
import signal
from contextlib import suppress


class ProcessHandle:
    """Names one process for good where the kernel can (pidfd): never another of the same number."""

    def __init__(self, pid: int) -> None:
        """Take it while the process is known to live."""
        self._pid = pid
        self._descriptor = -1
        with suppress(OSError, AttributeError):
            self._descriptor = os.pidfd_open(pid)

    def kill(self) -> None:
        """Ends the process at once; one that has ended already is fine."""
        with suppress(OSError):
            if self._descriptor >= 0:
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            elif not hasattr(os, "pidfd_open"):
                os.kill(self._pid, signal.SIGKILL)

    def close(self) -> None:
        """The handle kills nothing any more."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
