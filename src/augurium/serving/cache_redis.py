"""The second level of the prediction cache in Redis or Valkey.

Keys that are wanted in one turn of the loop are asked for together, and what is put in one turn is
sent together. A server that does not answer in time is left alone for a while, and for longer each
time: an outage costs a moment, then nothing.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from augurium.core.errors import InvalidArgument

PREFIX = b"augurium:row:"
MOST_WAITING = 10_000
FIRST_REST_S = 0.5
LONGEST_REST_S = 10.0

log = structlog.get_logger()


class RedisCache:
    """A `SharedCache`. Lives on one event loop, and connects when it is first used.

    `url` is such as `redis://:password@host:6379/0`, `rediss://` for TLS. Raises InvalidArgument
    for what is no such URL.
    """

    def __init__(
        self, url: str, timeout_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        try:
            self._redis = Redis.from_url(
                url,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                # a connection that was closed meanwhile is no outage
                retry=Retry(NoBackoff(), 1),
            )
        except ValueError as error:
            raise InvalidArgument(f"cache.redis_url cannot be read: {error}") from error
        self.failures = 0
        self._timeout_s = timeout_s
        self._now = now
        self._asked: dict[bytes, asyncio.Future[bytes | None]] = {}
        self._put: dict[bytes, tuple[bytes, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._due = False
        self._rest_s = FIRST_REST_S
        self._rests_until = 0.0

    async def find(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """What is known by each key; nothing while the server is away."""
        if self._resting:
            return [None] * len(keys)
        loop = asyncio.get_running_loop()
        waiting = []
        for key in keys:
            if key not in self._asked:
                self._asked[key] = loop.create_future()
            waiting.append(self._asked[key])
        self._soon()
        # one for all who ask: it must not end with one of them
        await asyncio.wait(waiting)
        return [found.result() for found in waiting]

    def put(self, key: bytes, content: bytes, ttl_s: float) -> None:
        """Keeps a content; forgets it when too much waits, or the server is away."""
        if len(self._put) < MOST_WAITING and not self._resting:
            self._put[key] = content, ttl_s
            self._soon()

    async def close(self) -> None:
        """Sends what was put, if it can, and lets go."""
        while self._tasks or self._due:
            await asyncio.sleep(0)
            await asyncio.gather(*self._tasks)
        await self._redis.aclose()

    @property
    def _resting(self) -> bool:
        return self._now() < self._rests_until

    def _soon(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._due = False
        asked, self._asked = self._asked, {}
        put, self._put = self._put, {}
        if asked:
            self._start(self._fetch(asked))
        if put:
            self._start(self._store(put))

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, asked: "dict[bytes, asyncio.Future[bytes | None]]") -> None:
        found: list[bytes | None] = [None] * len(asked)
        try:
            async with asyncio.timeout(self._timeout_s):
                found = [
                    content if isinstance(content, bytes) else None
                    for content in await self._redis.mget([PREFIX + key for key in asked])
                ]
        except (RedisError, OSError) as error:
            await self._failed(error)
        else:
            self._rest_s = FIRST_REST_S
        finally:
            for future, content in zip(asked.values(), found, strict=True):
                future.set_result(content)

    async def _store(self, put: dict[bytes, tuple[bytes, float]]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s), self._redis.pipeline(False) as pipeline:
                for key, (content, ttl_s) in put.items():
                    pipeline.set(PREFIX + key, content, px=max(1, round(ttl_s * 1000)))
                await pipeline.execute()
        except (RedisError, OSError) as error:
            await self._failed(error)

    async def _failed(self, error: Exception) -> None:
        """Leaves the server alone for a while, and begins anew then."""
        self.failures += 1
        with suppress(RedisError, OSError):
            await self._redis.connection_pool.disconnect(inuse_connections=False)
        if self._resting:
            return
        self._rests_until = self._now() + self._rest_s
        reason = str(error) or type(error).__name__
        log.warning("shared cache is away", reason=reason, asked_again_in_s=self._rest_s)
        self._rest_s = min(LONGEST_REST_S, 2 * self._rest_s)
