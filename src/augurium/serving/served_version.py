"""One loaded version: its checks, its batcher and its counters."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from concurrent.futures import Executor as ThreadPool
from contextlib import aclosing, asynccontextmanager

import msgspec
from typing_extensions import Buffer

from augurium.core.errors import AuguriumError, DeadlineExceeded, Overloaded
from augurium.core.inference import Answer, InferenceRequest, InferenceResponse
from augurium.core.priority import Priority
from augurium.core.serving_policy import CachePolicy, ServingPolicy
from augurium.core.signature import Signature
from augurium.core.tensors import Array
from augurium.serving.batcher import Batcher
from augurium.serving.bulk import Block, BulkRequest, answers
from augurium.serving.bulk_fallback import BulkFallback
from augurium.serving.bulk_runs import BulkRuns, bulk_runs
from augurium.serving.cached_answers import CachedAnswers, Rows
from augurium.serving.copied_runs import CopiedRuns
from augurium.serving.degradable import Find
from augurium.serving.described_version import DescribedVersion
from augurium.serving.elsewhere import Elsewhere
from augurium.serving.executor import ExitCounter, Replicated, VersionExecutor
from augurium.serving.guard import Guard, reason_of
from augurium.serving.memory_budget import Residence
from augurium.serving.metrics import VersionMetrics, state_of
from augurium.serving.prediction_cache import CachedContent, PredictionCache
from augurium.serving.row_digests import RowDigests
from augurium.serving.run_parameters import alone
from augurium.serving.snapshot import BatchingPolicy, DesiredVersion
from augurium.serving.validation import Prepared


class ServedVersion(DescribedVersion):
    """Answers requests for one version. Lives on one event loop."""

    def __init__(
        self,
        desired: DesiredVersion,
        executor: VersionExecutor,
        metrics: VersionMetrics,
        loop: asyncio.AbstractEventLoop,
        threads: ThreadPool,
        cache: PredictionCache | None = None,
    ) -> None:
        super().__init__(desired, metrics)
        policy = desired.batching
        if not self.signature.batched:
            policy = msgspec.structs.replace(policy, max_batch_size=1)
        self._executor = executor
        if isinstance(executor, ExitCounter):
            executor.count_exits_in(metrics.runner_exits)
        run_threads = executor.threads or threads
        self._batcher = Batcher(executor, policy, metrics, loop, run_threads)
        # rows of a request of many stand in a queue of their own: nobody waits behind them
        self._bulk_runs = bulk_runs(executor, policy.max_batch_size)
        self._bulk_batcher = Batcher(
            self._bulk_runs, _bulk_policy(policy, self._bulk_runs), metrics, loop, run_threads
        )
        self._copies: CopiedRuns | None = None
        self._batching, self._loop = policy, loop
        self._digests = RowDigests(desired.model, desired.version, desired.digest)
        self._cached = None
        if cache is not None and _cacheable(self.signature):
            self._cached = CachedAnswers(
                cache,
                self._digests,
                self._submit,
                metrics,
                self.signature.outputs,
                whole=not self.signature.batched,
            )
        self._caching: CachePolicy | None = None
        # None where the model has no limit and no fallback of its own
        self.guard: Guard | None = None
        self._policy = ServingPolicy()
        # its place in memory, if it has one of its own; and the same if it may have to leave it
        self.residence: Residence | None = None
        self._tenancy: Residence | None = None
        self._elsewhere: Elsewhere | None = None
        # how many runners it shall have, if it has any
        self.replicas = 1
        self._waking_rows = 0
        # requests of many rows: between two of their batches the batchers are empty
        self._bulk = 0
        # that either of them became less
        self._ended = asyncio.Event()
        # the changes and restarts that `note_state` has seen
        self._noted = (-1, -1)

    @property
    def pending(self) -> int:
        """Requests that wait or run."""
        waiting = self._bulk + (self._waking_rows > 0)
        return self._batcher.pending + self._bulk_batcher.pending + waiting

    @property
    def changed(self) -> bool:
        """Whether anything was counted since `note_state`, or was still going on then."""
        return self._noted != (self.metrics.changes, self._executor.restarts)

    def note_state(self, earlier_restarts: int, warm_up_s: float) -> None:
        """Brings what is now up to date in the counters; its runners before this one were started
        again so often, and its warm-up took so long.
        """
        metrics = self.metrics
        before = state_of(metrics)
        metrics.pending = self.pending
        self._note_residency()
        self._note_load()
        metrics.warm_up_s = warm_up_s
        metrics.runner_restarts = earlier_restarts + self.restarts
        if state_of(metrics) != before:
            metrics.changes += 1
        # what goes on has not been counted yet
        self._noted = (-1 if metrics.pending else metrics.changes, self.restarts)

    def _note_residency(self) -> None:
        metrics, place = self.metrics, self.residence.resident if self.residence else None
        metrics.resident = int(place is None or place.awake)
        metrics.resident_bytes = place.size_bytes if place is not None and place.awake else 0
        metrics.pinned = place is not None and place.pinned
        metrics.problem = str(place.failure) if place is not None and place.failure else ""

    @property
    def restarts(self) -> int:
        """How often its runner had to be started again."""
        return self._executor.restarts

    def submit(self, request: InferenceRequest) -> Awaitable[Answer]:
        """Checks and queues a request. Raises InvalidArgument and Overloaded at once."""
        prepared = self.prepare(request)
        if self._caching is not None and self._cached is not None:
            rows = Rows(
                prepared.inputs, prepared.rows, prepared.key, request.deadline, request.priority
            )
            return self._cached.answer(rows, self._caching, request.refresh)
        return self._submit(
            prepared.inputs, prepared.rows, request.deadline, prepared.key, request.priority
        )

    def _submit(
        self,
        inputs: Sequence[Array],
        rows: int,
        deadline: float,
        key: object,
        priority: Priority,
        pass_on: bool = True,
    ) -> "asyncio.Future[Answer]":
        """Queues rows; those of a version that is not in memory wait until it is, or until an
        engine that has it has answered them.
        """
        if self._tenancy is None or self._tenancy.use():
            return self._batcher.submit(inputs, rows, deadline, key, priority)
        if self._waking_rows + rows > self.desired.batching.max_queue_rows:
            raise Overloaded("Exceeds maximum queue size")
        return asyncio.ensure_future(
            self._woken(inputs, rows, deadline, key, priority, self._elsewhere if pass_on else None)
        )

    async def _woken(
        self,
        inputs: Sequence[Array],
        rows: int,
        deadline: float,
        key: object,
        priority: Priority,
        elsewhere: Elsewhere | None,
    ) -> Answer:
        self._waking_rows += rows
        try:
            if elsewhere is not None:
                async with _until(deadline):
                    found = await elsewhere.answer(inputs, deadline, priority)
                if found is not None:
                    return found
            await self._wake(deadline)
            answer = self._batcher.submit(inputs, rows, deadline, key, priority)
        finally:
            self._waking_rows -= rows
            self._ended.set()
        return await answer

    async def _wake(self, deadline: float) -> None:
        """Returns when the version is in memory. Raises NotReady, Overloaded, DeadlineExceeded."""
        if self._tenancy is None:
            return
        async with _until(deadline):
            if not self._tenancy.use():
                await self._tenancy.wake()

    def answer_here(
        self, inputs: Sequence[Array], deadline: float, priority: Priority
    ) -> "asyncio.Future[Answer]":
        """The answer to rows that another engine has checked, inputs in the signature's order; they
        are not passed on. Raises Overloaded at once.
        """
        prepared = self._validator.arranged(inputs)
        return self._submit(
            prepared.inputs, prepared.rows, deadline, prepared.key, priority, pass_on=False
        )

    @property
    def awake(self) -> bool:
        """Whether the model is in memory."""
        return self.residence is None or self.residence.resident.awake

    def copy(self, request: InferenceRequest, threads: ThreadPool) -> "asyncio.Future[Answer]":
        """Answers the copy of a request that somebody else answered: it is in no count of the
        version, asks no cache, and runs on `threads` if the model is in this process.

        Only while it is `awake`. Raises InvalidArgument and Overloaded at once.
        """
        if self._copies is None:
            self._copies = CopiedRuns(
                self._executor, self._batching, self.metrics, self._loop, threads
            )
        return self._copies.submit(self.prepare(request), request.deadline)

    @property
    def caches(self) -> bool:
        """Whether answers are remembered."""
        return self._caching is not None and self._cached is not None

    def request_digest(self, *parts: Buffer) -> bytes:
        """What the answer to a request is remembered by, as it is written."""
        return self._digests.of_request(*parts)

    def written(self, digest: bytes, started: float) -> bytes | None:
        """The written answer to a request, if all of its rows are fresh; counts it as a hit."""
        if self._cached is None or self._caching is None:
            return None
        return self._cached.written(digest, self._caching, started)

    def keep_written(self, digest: bytes, content: bytes, rows: int, since: float) -> None:
        """Remembers how the answer to a request is written; its oldest row is from `since`."""
        if self._cached is not None:
            self._cached.keep_written(digest, CachedContent(content, rows, since))

    def move_in(self, residence: Residence, elsewhere: Elsewhere | None = None) -> None:
        """Has this place in memory from now on; while it is asleep, it may be had `elsewhere`."""
        residence.resident.in_use = self._in_use
        self._elsewhere = elsewhere
        self.residence = residence
        self.may_be_asleep(True)

    def may_be_asleep(self, may: bool) -> None:
        """Whether its place may be left; each request asks for it then, and as long as it is."""
        needed = self.residence is not None and (may or not self.residence.resident.awake)
        self._tenancy = self.residence if needed else None

    def _in_use(self) -> bool:
        """Whether anything was accepted that needs the model; not what waits to be woken."""
        copies = self._copies is not None and self._copies.pending
        return bool(self._batcher.pending or self._bulk_batcher.pending or self._bulk or copies)

    def stale(self, prepared: Prepared, deadline: float, max_age_s: float) -> Answer | None:
        """What the cache remembers of these rows, if it knows all and none is older."""
        if self._cached is None:
            return None
        rows = Rows(prepared.inputs, prepared.rows, prepared.key, deadline)
        return self._cached.stale(rows, max_age_s)

    def take_policy(self, policy: ServingPolicy, find: Find) -> None:
        """Serves by this policy from now on; `find` gives the version of another model."""
        before, self._policy = self._policy, policy
        self.metrics.take_objective(policy.slo)
        if (before.overload, before.fallback) != (policy.overload, policy.fallback):
            self._take_guard(policy, find)
        self._caching = policy.cache if policy.cache.ttl_s else None
        own, batching = policy.overload, self.desired.batching
        target_ms, interval_ms = own.target_queue_delay_ms, own.interval_ms
        self._batcher.set_overload(
            (batching.target_queue_delay_ms if target_ms is None else target_ms) / 1000,
            (batching.overload_interval_ms if interval_ms is None else interval_ms) / 1000,
        )

    def _take_guard(self, policy: ServingPolicy, find: Find) -> None:
        """What was learnt under another policy is forgotten with it."""
        if self.guard is not None:
            self.guard.close()
        own, fallback = policy.overload, policy.fallback
        limited = own.max_concurrency or own.adaptive_concurrency
        self.guard = Guard(self, own, fallback, find) if limited or fallback.steps else None

    def set_replicas(self, number: int) -> None:
        """Begins to bring its runners, if it has any, to so many."""
        if isinstance(self._executor, Replicated):
            self._executor.set_replicas(number)

    def _note_load(self) -> None:
        metrics, guard = self.metrics, self.guard
        if isinstance(self._executor, Replicated):
            pids = self._executor.pids
            if len(pids) != len(metrics.runner_pids) and self.residence is not None:
                self.residence.measure()
            metrics.runner_pids = pids
            self._batcher.look_ahead()
            self._bulk_batcher.look_ahead()
        metrics.overloaded = int(self.overloaded)
        metrics.concurrency_limit = guard.limit.limit if guard and guard.limit else 0
        metrics.breakers_open = int(guard is not None and guard.is_open)

    @property
    def overloaded(self) -> bool:
        """Whether more is asked than can be answered in time, and has been for a while."""
        return self._batcher.admission.overloaded and self._batcher.pending > 0

    async def answers(self, request: InferenceRequest) -> AsyncGenerator[Answer, None]:
        """The only answer. Raises as `submit`."""
        yield await self.submit(request)

    async def batches(self, request: BulkRequest) -> AsyncGenerator[InferenceResponse, None]:
        """The answers to a request of many rows, batch by batch in their order; those of batches
        that fail are the fallback's, where there is one.

        Raises InvalidArgument for a version that takes no rows, and what `bulk.answers` raises.
        """
        self.check_rows()
        guard, deadline = self.guard, request.deadline
        rescue = None
        if guard is not None and guard.degrades:
            rescue = self._bulk_fallback(guard, request).answers
            deadline = guard.bulk_deadline(deadline)

        def prepare(block: Block) -> Prepared:
            return self.prepare(
                InferenceRequest(
                    request.model,
                    block,
                    request.deadline,
                    outputs=request.outputs,
                    parameters=request.parameters,
                )
            )

        least = self.desired.batching.max_batch_size
        small = request.small
        batcher = self._batcher if small else self._bulk_batcher

        def submit(inputs: Sequence[Array], rows: int, key: object) -> "asyncio.Future[Answer]":
            # one of many is large enough for a run of its own, which needs no copy
            shared = key if small else alone(key)
            if guard is None:
                return batcher.submit(inputs, rows, deadline, shared, request.priority)
            return guard.batch(
                lambda: batcher.submit(inputs, rows, deadline, shared, request.priority)
            )

        def batch_rows() -> int:
            return least if small else self._bulk_runs.rows

        blocks = request.source.blocks(self.signature, least)
        self._waking_rows += least
        try:
            await self._wake(deadline)
            self._bulk += 1
        finally:
            self._waking_rows -= least
            self._ended.set()
        try:
            found = answers(blocks, prepare, submit, batch_rows, small, rescue)
            async with aclosing(found):
                async for one in found:
                    yield self.response(request, one) if isinstance(one, Answer) else one
        finally:
            self._bulk -= 1
            self._ended.set()

    def batches_instead(
        self, request: BulkRequest, error: AuguriumError
    ) -> AsyncGenerator[InferenceResponse, None]:
        """The answers of the fallback to a request of many rows. Raises the error where there are
        none.
        """
        if self.guard is None or not self.guard.degrades or reason_of(error) is None:
            raise error
        return self._bulk_fallback(self.guard, request).all_answers(self.signature, error)

    def _bulk_fallback(self, guard: Guard, request: BulkRequest) -> BulkFallback:
        return BulkFallback(guard.instead, request, self.max_batch_size)

    async def drain(self) -> None:
        """Returns when every accepted request has its answer."""
        while self.pending:
            await self._batcher.drain()
            await self._bulk_batcher.drain()
            if self._bulk or self._waking_rows:
                self._ended.clear()
                await self._ended.wait()
        if self._copies is not None:
            await self._copies.drain()

    def close(self) -> None:
        """Frees what the version holds; call it when no request can come any more."""
        if self.guard is not None:
            self.guard.close()
        if self.residence is not None:
            self.residence.leave()
        self._executor.close()


@asynccontextmanager
async def _until(deadline: float) -> AsyncGenerator[None, None]:
    """Raises DeadlineExceeded when that comes first."""
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            yield
    except TimeoutError as error:
        raise DeadlineExceeded("Request timeout expired") from error


def _bulk_policy(policy: BatchingPolicy, runs: BulkRuns) -> BatchingPolicy:
    """Every batch runs when there is a thread for it; as many may wait as otherwise, and as long:
    a request has only a few of its batches in the queue.
    """
    most = runs.most_rows
    waiting = policy.max_queue_rows * (most // policy.max_batch_size)
    return BatchingPolicy(
        most, max_queue_delay_ms=0.0, max_queue_rows=waiting, target_queue_delay_ms=0.0
    )


def _cacheable(signature: Signature) -> bool:
    """Whether there is one answer to a request as a whole, or one to each row, of the same
    shapes.
    """
    if signature.streamed:
        return False
    return not signature.batched or not any(-1 in spec.shape[1:] for spec in signature.outputs)
