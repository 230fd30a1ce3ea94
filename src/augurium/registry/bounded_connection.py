"""A connection to PostgreSQL that gives up on a server that is frozen or cut off."""

import time
from typing import Any

import psycopg


class BoundedConnection(psycopg.Connection[Any]):
    """No wait for the server is longer than `limit_s`; a connection that waited so long is closed.

    The server's own limits end what is slow. They end nothing when the server is stopped or the
    network is gone: the kernel at the other end, or none, keeps such a connection open for hours.
    """

    limit_s = 10.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg's own, with the limit."""
        limit_s = self.limit_s if timeout is None else min(timeout, self.limit_s)
        started = time.monotonic()
        try:
            return super().wait(gen, interval, limit_s)
        except psycopg.OperationalError as error:
            if error.sqlstate is None and time.monotonic() - started >= limit_s:
                self.pgconn.finish()
                raise psycopg.OperationalError(f"no answer in {limit_s:g} seconds") from error
            raise
