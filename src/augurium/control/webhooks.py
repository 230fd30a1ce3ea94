"""Webhooks: every event of a rollout, and how every run of a schedule ended, is sent to the URLs of
the settings, signed, and again until it is taken.

Nobody waits for a receiver: an event is put in a bounded queue of each, and dropped when that is
full. The URLs come from the settings alone, no caller of an API can name one; redirects are not
followed and no proxy of the environment is asked, so that a receiver cannot send us elsewhere.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx
import msgspec
import structlog

from augurium.control.webhook_signature import signature
from augurium.core.clock import Clock
from augurium.core.rollout_settings import WebhookSettings

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
# whoever answers this never wants the event
GONE = httpx.codes.GONE
Sleep = Callable[[float], Awaitable[None]]
log = structlog.get_logger()


class Told(Protocol):
    """Something that receivers are told: a struct that becomes the `data` of the request.

    `kind` is what settings choose by, `topic` the type of the event and `message_id` the same for
    every time that it is sent.
    """

    @property
    def kind(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def message_id(self) -> str: ...
    @property
    def at(self) -> datetime: ...


class _Sending:
    """An event on its way to so many receivers."""

    def __init__(self, event: Told, receivers: int) -> None:
        self.event = event
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = receivers + 1
        self.one_done()

    def one_done(self) -> None:
        """One more of them has it, or will not get it."""
        self._left -= 1
        if self._left == 0:
            self.done.set_result(None)


class Webhooks:
    """The receivers of this node. Belongs to one event loop."""

    def __init__(
        self,
        settings: WebhookSettings,
        clock: Clock,
        secret: bytes = b"",
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._clock = clock
        self._secret = secret
        self._transport = transport
        self._sleep = sleep
        self._queues = {url: asyncio.Queue[_Sending](settings.queue_size) for url in settings.urls}
        self._tasks: list[asyncio.Task[None]] = []
        self._client: httpx.AsyncClient | None = None

    def start(self) -> None:
        """Sends from now on."""
        if not self._queues:
            return
        self._client = httpx.AsyncClient(
            transport=self._transport,
            timeout=self._settings.timeout_s,
            trust_env=False,
            follow_redirects=False,
        )
        self._tasks = [
            asyncio.create_task(self._serve(url, queue, self._client))
            for url, queue in self._queues.items()
        ]

    async def stop(self) -> None:
        """Sends no more; what waits is lost, and stands in the events of its rollout."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._client is not None:
            await self._client.aclose()

    async def drained(self) -> None:
        """Returns when every event was sent or given up."""
        for queue in self._queues.values():
            await queue.join()

    def offer(self, event: Told) -> "asyncio.Future[None]":
        """Puts an event in every queue that has room; never waits.

        What it returns is done when every receiver has taken the event or was given up.
        """
        wanted = not self._settings.kinds or event.kind in self._settings.kinds
        queues = self._queues if wanted else {}
        sending = _Sending(event, len(queues))
        for url, queue in queues.items():
            try:
                queue.put_nowait(sending)
            except asyncio.QueueFull:
                self.counts["dropped"] += 1
                log.warning("webhook dropped", host=_host(url), message=event.message_id)
                sending.one_done()
        return sending.done

    async def _serve(
        self, url: str, queue: "asyncio.Queue[_Sending]", client: httpx.AsyncClient
    ) -> None:
        """Sends in order: a receiver sees the events of a rollout as they happened."""
        while True:
            sending = await queue.get()
            event = sending.event
            outcome = await self._deliver(url, event, client)
            self.counts[outcome] += 1
            if outcome != "delivered":
                log.warning("webhook given up", host=_host(url), message=event.message_id)
            queue.task_done()
            sending.one_done()

    async def _deliver(self, url: str, event: Told, client: httpx.AsyncClient) -> str:
        pause = FIRST_PAUSE_S
        for attempt in range(1, self._settings.attempts + 1):
            status = await self._post(url, event, client)
            if status is not None and httpx.codes.is_success(status):
                return "delivered"
            if status == GONE:
                return "refused"
            self.counts["failed_attempts"] += 1
            if attempt < self._settings.attempts:
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
        return "given_up"

    async def _post(self, url: str, event: Told, client: httpx.AsyncClient) -> int | None:
        """The status of the answer; None if there was none."""
        body, now = _body(event), int(self._clock.now().timestamp())
        # the same for every attempt, so that a receiver knows what it has seen
        message_id = event.message_id
        headers = {
            "content-type": "application/json",
            "user-agent": "augurium",
            "webhook-id": message_id,
            "webhook-timestamp": str(now),
        }
        if self._secret:
            headers["webhook-signature"] = signature(self._secret, message_id, now, body)
        try:
            async with client.stream("POST", url, content=body, headers=headers) as response:
                # the answer's body is not read: it may have no end
                return response.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = type(error).__name__
            log.info("webhook failed", host=_host(url), reason=reason, message=event.message_id)
            return None


def _body(event: Told) -> bytes:
    content: dict[str, Any] = {
        "type": event.topic,
        "timestamp": event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": event,
    }
    return msgspec.json.encode(content)


def _host(url: str) -> str:
    """What may be logged of a URL: its path may be a secret."""
    return httpx.URL(url).host
