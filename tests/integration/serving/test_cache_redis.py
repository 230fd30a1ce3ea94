"""The shared cache in a real Redis: what is kept, and that its absence costs next to nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from augurium.core.clock import ManualClock
from augurium.core.errors import InvalidArgument
from augurium.serving.cache_redis import PREFIX, RedisCache
from tests.support.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]

TIMEOUT_S = 2.0
Open = Callable[[], RedisCache]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def open_cache(redis_server: RedisServer, clock: ManualClock) -> AsyncIterator[Open]:
    opened: list[RedisCache] = []

    def open_one() -> RedisCache:
        opened.append(RedisCache(redis_server.url, TIMEOUT_S, clock.monotonic))
        return opened[-1]

    yield open_one
    for cache in opened:
        await cache.close()


async def settled(cache: RedisCache, key: bytes) -> bytes | None:
    """What is known by a key when all that was put has been sent."""
    for _ in range(100):
        (found,) = await cache.find([key])
        if found is not None:
            return found
        await asyncio.sleep(0.01)
    return None


async def test_what_one_puts_another_finds(open_cache: Open) -> None:
    mine, theirs = open_cache(), open_cache()
    mine.put(b"a", b"1", 60)
    mine.put(b"b\x00\xff", b"\x00\xff", 60)
    assert await settled(theirs, b"b\x00\xff") == b"\x00\xff"
    assert await theirs.find([b"a", b"c", b"a"]) == [b"1", None, b"1"]
    assert (mine.failures, theirs.failures) == (0, 0)


async def test_a_content_ends_with_its_time(open_cache: Open, redis_server: RedisServer) -> None:
    cache = open_cache()
    cache.put(b"short", b"1", 0.05)
    cache.put(b"long", b"1", 60)
    assert await settled(cache, b"long") == b"1"
    await asyncio.sleep(0.1)
    assert await cache.find([b"short"]) == [None]
    (ttl_ms,) = [redis_server.ask("PTTL", (PREFIX + b"long").decode())]
    assert 50_000 < int(ttl_ms[1:]) <= 60_000


async def test_keys_of_one_turn_are_asked_for_together(
    open_cache: Open, redis_server: RedisServer
) -> None:
    cache = open_cache()
    cache.put(b"a", b"1", 60)
    assert await settled(cache, b"a") == b"1"
    redis_server.ask("CONFIG", "RESETSTAT")
    found = await asyncio.gather(*(cache.find([b"a", bytes([n])]) for n in range(50)))
    assert found == [[b"1", None]] * 50
    assert "cmdstat_mget:calls=1," in redis_server.whole("INFO", "commandstats")


async def test_a_server_that_is_gone_costs_a_moment_and_then_nothing(
    open_cache: Open, redis_server: RedisServer, clock: ManualClock
) -> None:
    cache = open_cache()
    cache.put(b"a", b"1", 60)
    assert await settled(cache, b"a") == b"1"
    redis_server.kill()
    assert await cache.find([b"a"]) == [None]
    assert cache.failures == 1
    began = time.monotonic()
    for _ in range(1000):
        cache.put(b"a", b"1", 60)
        assert await cache.find([b"a"]) == [None]
    assert time.monotonic() - began < TIMEOUT_S
    assert cache.failures == 1

    redis_server.start()
    clock.advance(0.6)
    cache.put(b"a", b"2", 60)
    assert await settled(cache, b"a") == b"2"


async def test_a_server_that_hangs_is_waited_for_no_longer_than_said(
    open_cache: Open, redis_server: RedisServer, clock: ManualClock
) -> None:
    cache = open_cache()
    assert await cache.find([b"a"]) == [None]
    redis_server.pause()
    began = time.monotonic()
    assert await cache.find([b"a"]) == [None]
    assert time.monotonic() - began < 4 * TIMEOUT_S
    # each time it is left alone for longer
    clock.advance(0.6)
    assert await cache.find([b"a"]) == [None]
    clock.advance(0.6)
    assert await cache.find([b"a"]) == [None]
    assert cache.failures == 2
    redis_server.resume()
    clock.advance(10)
    cache.put(b"a", b"1", 60)
    assert await settled(cache, b"a") == b"1"


async def test_who_leaves_takes_nobodys_answer_away(open_cache: Open) -> None:
    cache = open_cache()
    cache.put(b"a", b"1", 60)
    assert await settled(cache, b"a") == b"1"
    leaving = asyncio.ensure_future(cache.find([b"a"]))
    staying = asyncio.ensure_future(cache.find([b"a"]))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == [b"1"]


async def test_an_answer_of_another_kind_is_none(
    open_cache: Open, redis_server: RedisServer
) -> None:
    redis_server.ask("LPUSH", (PREFIX + b"list").decode(), "1")
    cache = open_cache()
    assert await cache.find([b"list"]) == [None]


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "redis://host:port"])
async def test_what_is_no_url_of_redis_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match=r"cache\.redis_url"):
        RedisCache(url, TIMEOUT_S)
