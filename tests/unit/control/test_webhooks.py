"""Webhooks against receivers in memory: what they are sent, and what happens when they fail."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from augurium.control.webhook_signature import read_secret
from augurium.control.webhooks import Webhooks
from augurium.core.clock import ManualClock
from augurium.core.errors import InvalidArgument
from augurium.core.rollout_settings import WebhookSettings
from augurium.core.settings import Settings
from augurium.registry.rollout_records import RolloutEvent

URL = "http://receiver.test/hook"
Answer = Callable[[httpx.Request], httpx.Response]


def an_event(number: int = 1, kind: str = "rolled_back") -> RolloutEvent:
    return RolloutEvent(
        number=number,
        rollout="ab12",
        model="fraud",
        seq=number,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        actor="rollouts",
        kind=kind,
        text="too many errors",
        numbers={"errors": 7},
    )


class Receiver:
    """Answers with these statuses, the last one for ever; None breaks the connection."""

    def __init__(self, *statuses: int | None) -> None:
        self.requests: list[httpx.Request] = []
        self._statuses = list(statuses)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        if status is None:
            raise httpx.ConnectError("nobody there")
        return httpx.Response(status)


async def sent(
    receiver: Answer, *events: RolloutEvent, **fields: Any
) -> tuple[Webhooks, list[float]]:
    """Webhooks that have done with these events, and how long they paused in between."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    secret = fields.pop("secret", b"")
    settings = WebhookSettings(**({"urls": (URL,)} | fields))
    transport = httpx.MockTransport(receiver)
    hooks = Webhooks(settings, ManualClock(), secret, transport, sleep)
    for event in events:
        hooks.offer(event)
    hooks.start()
    async with asyncio.timeout(10):
        await hooks.drained()
    await hooks.stop()
    return hooks, pauses


async def test_an_event_arrives_signed_as_the_standard_says() -> None:
    receiver = Receiver(204)
    secret = b"0123456789abcdef"
    await sent(receiver, an_event(), secret=secret)

    (request,) = receiver.requests
    content = b".".join(
        (
            request.headers["webhook-id"].encode(),
            request.headers["webhook-timestamp"].encode(),
            request.content,
        )
    )
    digest = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{digest}"
    body = msgspec.json.decode(request.content)
    assert (body["type"], body["timestamp"]) == ("rollout.rolled_back", "2026-01-01T00:00:00Z")
    assert (body["data"]["model"], body["data"]["numbers"]) == ("fraud", {"errors": 7})


async def test_an_event_is_sent_again_under_the_same_id_until_it_is_taken() -> None:
    receiver = Receiver(500, None, 429, 200)
    hooks, pauses = await sent(receiver, an_event())

    assert {request.headers["webhook-id"] for request in receiver.requests} == {"ab12.1"}
    assert pauses == [1, 2, 4]
    assert hooks.counts == {"delivered": 1, "failed_attempts": 3}


async def test_a_receiver_that_never_answers_is_given_up_after_its_attempts() -> None:
    receiver = Receiver(None)
    hooks, pauses = await sent(receiver, an_event(), attempts=9)

    assert hooks.counts["given_up"] == 1
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_it_is_known_when_every_receiver_took_an_event_or_was_given_up() -> None:
    answered = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        if request.url.host == "slow.test":
            await answered.wait()
        return httpx.Response(204 if request.url.host == "slow.test" else 410)

    settings = WebhookSettings(urls=(URL, "http://slow.test/"), kinds=("rolled_back",))
    hooks = Webhooks(settings, ManualClock(), transport=httpx.MockTransport(slow))
    hooks.start()
    sent = hooks.offer(an_event())
    assert hooks.offer(an_event(kind="step")).done()
    for _ in range(50):
        await asyncio.sleep(0)
    assert not sent.done()
    answered.set()
    async with asyncio.timeout(10):
        await sent
    await hooks.stop()


async def test_a_redirect_is_not_followed() -> None:
    def elsewhere(request: httpx.Request) -> httpx.Response:
        assert request.url == URL
        return httpx.Response(307, headers={"location": "http://169.254.169.254/latest"})

    hooks, _ = await sent(elsewhere, an_event(), attempts=2)

    assert hooks.counts["given_up"] == 1


async def test_a_receiver_that_is_gone_is_asked_once() -> None:
    receiver = Receiver(410)
    hooks, pauses = await sent(receiver, an_event())

    assert (len(receiver.requests), pauses, hooks.counts["refused"]) == (1, [], 1)


async def test_only_the_kinds_that_are_asked_for_are_sent_and_in_order() -> None:
    receiver = Receiver(200)
    events = [an_event(n, "step" if n % 2 else "verdict") for n in range(1, 7)]
    await sent(receiver, *events, kinds=("step",))

    assert [request.headers["webhook-id"] for request in receiver.requests] == [
        "ab12.1",
        "ab12.3",
        "ab12.5",
    ]


async def test_what_finds_the_queue_full_is_dropped_and_counted() -> None:
    receiver = Receiver(200)
    hooks, _ = await sent(receiver, *map(an_event, range(1, 6)), queue_size=3)

    assert (hooks.counts["delivered"], hooks.counts["dropped"]) == (3, 2)


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "file:///etc/passwd", "gopher://x", "hook", "http://", "http://a@b/"]
)
def test_only_http_urls_without_credentials_are_taken(url: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"webhooks": {"urls": [url]}}, Settings)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("0123456789abcdef\n", b"0123456789abcdef"),
        ("whsec_MDEyMzQ1Njc4OWFiY2RlZg==", b"0123456789abcdef"),
    ],
)
def test_a_secret_is_text_or_base64_behind_its_prefix(
    tmp_path: Path, text: str, secret: bytes
) -> None:
    file = tmp_path / "secret"
    file.write_text(text)

    assert read_secret(str(file)) == secret
    assert read_secret("") == b""


@pytest.mark.parametrize("text", ["short", "whsec_!!!", None])
def test_a_secret_that_is_none_is_refused(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "secret"
    if text is not None:
        file.write_text(text)

    with pytest.raises(InvalidArgument, match="expected"):
        read_secret(str(file))
