"""The cache in front of a real batcher, whose executor the tests hold in their hands."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import DeadlineExceeded, InvalidArgument, ModelFailed, Overloaded
from augurium.core.inference import HIT, MISS, STALE, Answer
from augurium.core.serving_policy import CachePolicy
from augurium.core.tensors import Array, TensorSpec
from augurium.serving import shared_rows
from augurium.serving.batcher import Batcher
from augurium.serving.cached_answers import CachedAnswers, Rows
from augurium.serving.metrics import VersionMetrics
from augurium.serving.prediction_cache import PredictionCache
from augurium.serving.row_digests import RowDigests
from augurium.serving.shared_cache import SharedCache
from augurium.serving.snapshot import BatchingPolicy

MINUTE = CachePolicy(ttl_s=60)
OUTPUTS = (TensorSpec("y", "FP64", (-1, 1)),)
FORGIVING = CachePolicy(ttl_s=60, stale_if_error_s=600)


class Doubling:
    """Doubles its input and remembers the rows it was given; fails while `broken`."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.broken: Exception | None = None

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        if self.broken is not None:
            raise self.broken
        self.seen += inputs[0][:, 0].tolist()
        return [inputs[0] * 2]

    def expected_s(self, rows: int) -> float:
        return 0.0


class Cached:
    """A version of its own, with a cache whose clock the test turns; of requests as a whole, or of
    rows.
    """

    def __init__(self, shared: SharedCache | None = None, whole: bool = False) -> None:
        self.now = 0.0
        self.executor = Doubling()
        self.metrics = VersionMetrics("m", 1)
        self.batcher = Batcher(
            self.executor,
            BatchingPolicy(max_batch_size=8),
            self.metrics,
            asyncio.get_running_loop(),
            ThreadPoolExecutor(1),
        )
        self.cache = PredictionCache(16 * 1024 * 1024, lambda: self.now, shared)
        self.answers = CachedAnswers(
            self.cache, RowDigests("m", 1), self.batcher.submit, self.metrics, OUTPUTS, whole
        )

    async def ask(
        self,
        *values: float,
        policy: CachePolicy = MINUTE,
        refresh: bool = False,
        timeout_s: float = 10,
    ) -> tuple[list[float], str]:
        inputs = [np.array(values, np.float64).reshape(-1, 1)]
        rows = Rows(inputs, len(values), None, time.monotonic() + timeout_s)
        answer = await self.answers.answer(rows, policy, refresh)
        assert answer.shape(0) == (len(values), 1)
        assert answer.flat_list(0) == answer.array(0).ravel().tolist()
        return answer.flat_list(0), answer.cache


@pytest.fixture
async def cached() -> Cached:
    return Cached()


async def test_a_row_runs_once_while_it_is_fresh(cached: Cached) -> None:
    assert await cached.ask(3) == ([6], MISS)
    assert await cached.ask(3) == ([6], HIT)
    cached.now += 61
    assert await cached.ask(3) == ([6], MISS)
    assert cached.executor.seen == [3, 3]
    found = cached.metrics
    assert (found.cache_hits, found.cache_misses, found.cache_hit_rows) == (1, 2, 1)
    assert found.inferred.count == 2


async def test_only_the_rows_that_are_not_known_run(cached: Cached) -> None:
    await cached.ask(1, 2)
    assert await cached.ask(2, 5, 1, 5, 6) == ([4, 10, 2, 10, 12], MISS)
    assert cached.executor.seen == [1, 2, 5, 6]
    assert await cached.ask(6, 1) == ([12, 2], HIT)
    assert (cached.metrics.cache_hit_rows, cached.metrics.cache_miss_rows) == (4, 5)


async def test_a_row_is_computed_once_for_all_who_ask_at_the_same_time(cached: Cached) -> None:
    found = await asyncio.gather(*(cached.ask(7) for _ in range(20)), cached.ask(1, 7, 2))
    assert found[:-1] == [([14], MISS)] * 20
    assert found[-1] == ([2, 14, 4], MISS)
    assert sorted(cached.executor.seen) == [1, 2, 7]


async def test_errors_reach_all_who_wait_and_are_not_remembered(cached: Cached) -> None:
    cached.executor.broken = ModelFailed("no")
    found = await asyncio.gather(*(cached.ask(7) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in found] == [ModelFailed] * 3
    cached.executor.broken = None
    assert await cached.ask(7) == ([14], MISS)


async def test_who_waits_computes_it_when_the_first_caller_leaves(cached: Cached) -> None:
    first = asyncio.ensure_future(cached.ask(7))
    await asyncio.sleep(0)
    others = [asyncio.ensure_future(cached.ask(7)) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.gather(*others) == [([14], MISS)] * 3
    assert cached.executor.seen == [7]


async def test_who_waits_does_not_share_the_haste_of_the_first(cached: Cached) -> None:
    hasty = asyncio.ensure_future(cached.ask(7, timeout_s=-1))
    await asyncio.sleep(0)
    patient = asyncio.ensure_future(cached.ask(7))
    with pytest.raises(DeadlineExceeded):
        await hasty
    assert await patient == ([14], MISS)


async def test_who_waits_has_a_deadline_of_his_own() -> None:
    cached = Cached()
    never: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    cached.answers = CachedAnswers(
        cached.cache, RowDigests("m", 1), lambda *_: never, cached.metrics
    )
    first = asyncio.ensure_future(cached.ask(7))
    await asyncio.sleep(0)
    with pytest.raises(DeadlineExceeded):
        await cached.ask(7, timeout_s=0.01)
    first.cancel()


@pytest.mark.parametrize("error", [ModelFailed("no"), Overloaded("full"), DeadlineExceeded("late")])
async def test_what_expired_is_better_than_an_error_if_the_policy_says_so(
    cached: Cached, error: Exception
) -> None:
    await cached.ask(1, 2, policy=FORGIVING)
    cached.now += 61
    cached.executor.broken = error
    assert await cached.ask(2, policy=FORGIVING) == ([4], STALE)
    assert await cached.ask(2, 1, policy=FORGIVING) == ([4, 2], STALE)
    assert cached.metrics.cache_stale == 2
    with pytest.raises(type(error)):
        await cached.ask(2, 9, policy=FORGIVING)
    cached.now += 600
    with pytest.raises(type(error)):
        await cached.ask(2, policy=FORGIVING)


async def test_a_mistake_of_the_caller_is_told_though_something_stale_is_known(
    cached: Cached,
) -> None:
    await cached.ask(1, policy=FORGIVING)
    cached.now += 61
    cached.executor.broken = InvalidArgument("no")
    with pytest.raises(InvalidArgument):
        await cached.ask(1, policy=FORGIVING)


async def test_a_refresh_runs_and_is_remembered(cached: Cached) -> None:
    await cached.ask(1)
    assert await cached.ask(1, refresh=True) == ([2], MISS)
    assert await cached.ask(1) == ([2], HIT)
    assert cached.executor.seen == [1, 1]


async def test_rows_of_a_request_that_is_too_large_are_refused_as_without_a_cache(
    cached: Cached,
) -> None:
    with pytest.raises(InvalidArgument, match="batch-size must be <= 8"):
        await cached.ask(*range(9))
    # what is known need not run
    await cached.ask(*range(8))
    assert await cached.ask(*range(9)) == ([2 * n for n in range(9)], MISS)


requests = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=5), min_size=1, max_size=12)


@given(requests, st.sets(st.integers(0, 11)), st.lists(st.integers(0, 40), max_size=12))
def test_answers_are_right_whoever_leaves_and_whatever_expires(
    asked: list[list[int]], leaving: set[int], passed: list[int]
) -> None:
    async def run() -> None:
        cached = Cached()
        waits: list[Callable[[], Any]] = []
        for number, values in enumerate(asked):
            task = asyncio.ensure_future(cached.ask(*values))
            if number % 3 == 2:
                await asyncio.sleep(0)
                cached.now += sum(passed[number : number + 1])
            if number in leaving:
                task.cancel()
            else:
                waits.append(lambda task=task, values=values: (task, values))  # type: ignore[misc]
        for task, values in (wait() for wait in waits):
            assert (await task)[0] == [2 * value for value in values]
        await cached.batcher.drain()

    asyncio.run(run())


class Elsewhere:
    """A shared cache in memory."""

    def __init__(self) -> None:
        self.contents: dict[bytes, bytes] = {}
        self.asked = 0
        self.failures = 0

    async def find(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self.asked += len(keys)
        await asyncio.sleep(0)
        return [self.contents.get(key) for key in keys]

    def put(self, key: bytes, content: bytes, ttl_s: float) -> None:
        self.contents[key] = content

    async def close(self) -> None:
        return None


async def test_what_another_engine_computed_need_not_run_here() -> None:
    elsewhere = Elsewhere()
    first, second = Cached(elsewhere), Cached(elsewhere)
    await first.ask(1, 2)
    assert await second.ask(2, 3, 1) == ([4, 6, 2], MISS)
    assert await second.ask(1, 2, 3) == ([2, 4, 6], HIT)
    assert second.executor.seen == [3]
    assert second.metrics.cache_shared_rows == 2
    # what is known here is not asked for elsewhere
    assert elsewhere.asked == 2 + 3


async def test_a_row_from_elsewhere_ends_when_it_would_end_there() -> None:
    elsewhere = Elsewhere()
    await Cached(elsewhere).ask(1)
    ((key, content),) = elsewhere.contents.items()
    (outputs, at) = shared_rows.decode(content, OUTPUTS) or pytest.fail("not a row")
    for age_s, word in ((50, HIT), (61, MISS)):
        elsewhere.contents[key] = shared_rows.encode(outputs, at - age_s)
        assert await Cached(elsewhere).ask(1) == ([2], word)
    elsewhere.contents[key] = shared_rows.encode(outputs, at - 50)
    late = Cached(elsewhere)
    assert await late.ask(1) == ([2], HIT)
    elsewhere.contents.clear()
    late.now += 11
    assert await late.ask(1) == ([2], MISS)


async def test_a_damaged_row_from_elsewhere_is_computed() -> None:
    elsewhere = Elsewhere()
    await Cached(elsewhere).ask(1)
    elsewhere.contents = dict.fromkeys(elsewhere.contents, b"damaged")
    other = Cached(elsewhere)
    assert await other.ask(1) == ([2], MISS)
    assert other.executor.seen == [1]


async def test_rows_of_different_shapes_that_miss_do_not_share_a_run() -> None:
    cached = Cached()

    def ask(*row: float) -> Any:
        inputs = [np.array([row], np.float64)]
        rows = Rows(inputs, 1, ((len(row),),), time.monotonic() + 10)
        return cached.answers.answer(rows, MINUTE)

    found = await asyncio.gather(ask(1, 2), ask(1, 2, 3))
    assert [answer.array(0).tolist() for answer in found] == [[[2, 4]], [[2, 4, 6]]]


async def whole(cached: Cached, *values: float, policy: CachePolicy = MINUTE) -> tuple[Any, str]:
    """The answer to a request whose tensors are no rows."""
    inputs = [np.array(values, np.float64).reshape(-1, 1)]
    rows = Rows(inputs, 1, object(), time.monotonic() + 10)
    answer = await cached.answers.answer(rows, policy)
    return answer.array(0).ravel().tolist(), answer.cache


async def test_a_request_that_is_no_rows_is_known_as_a_whole() -> None:
    cached = Cached(whole=True)
    assert await whole(cached, 1, 2, 3) == ([2, 4, 6], MISS)
    assert await whole(cached, 1, 2, 3) == ([2, 4, 6], HIT)
    # its parts are not
    assert await whole(cached, 1, 2) == ([2, 4], MISS)
    assert await whole(cached, 1) == ([2], MISS)
    assert await whole(cached) == ([], MISS)
    assert await whole(cached) == ([], HIT)
    cached.now += 61
    assert await whole(cached, 1, 2, 3) == ([2, 4, 6], MISS)
    found = cached.metrics
    assert (found.cache_hits, found.cache_misses, found.cache_hit_rows) == (2, 5, 2)


async def test_a_whole_is_computed_once_for_all_who_ask_at_the_same_time() -> None:
    cached = Cached(whole=True)
    found = await asyncio.gather(*(whole(cached, 7, 8) for _ in range(20)), whole(cached, 7))
    assert found == [([14, 16], MISS)] * 20 + [([14], MISS)]
    assert cached.executor.seen == [7, 8, 7]


async def test_a_whole_that_expired_is_better_than_an_error_if_the_policy_says_so() -> None:
    cached = Cached(whole=True)
    await whole(cached, 1, 2, policy=FORGIVING)
    cached.now += 61
    cached.executor.broken = ModelFailed("no")
    assert await whole(cached, 1, 2, policy=FORGIVING) == ([2, 4], STALE)
    with pytest.raises(ModelFailed):
        await whole(cached, 1, policy=FORGIVING)
    cached.executor.broken = None
    assert await whole(cached, 1) == ([2], MISS)


async def test_a_large_whole_is_known_too() -> None:
    cached = Cached(whole=True)
    large = range(100_000)
    assert (await whole(cached, *large))[1] == MISS
    assert (await whole(cached, *large))[1] == HIT
    assert (await whole(cached, *large, 1))[1] == MISS


async def test_a_whole_that_another_engine_computed_need_not_run_here() -> None:
    elsewhere = Elsewhere()
    first, second = (Cached(elsewhere, whole=True) for _ in range(2))
    await whole(first, 1, 2)
    assert await whole(second, 1, 2) == ([2, 4], HIT)
    assert second.executor.seen == []
