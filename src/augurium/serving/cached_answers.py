"""The prediction cache in front of one version's batcher.

Each row of a request is looked up by itself, or the request as a whole where its tensors are not
rows; those that are not known run, together, and are known afterwards. A row that is being computed
for somebody else is waited for, not computed twice. Errors are never remembered. Where a run fails
and every row is known from before it expired, the stale answers are given, if the policy says so,
and are marked.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from augurium.core.errors import AuguriumError, DeadlineExceeded, ErrorKind, ModelFailed
from augurium.core.inference import HIT, MISS, STALE, Answer, BatchOutputs
from augurium.core.priority import Priority
from augurium.core.serving_policy import CachePolicy
from augurium.core.tensors import Array, TensorSpec
from augurium.serving import shared_rows
from augurium.serving.metrics import VersionMetrics
from augurium.serving.prediction_cache import CachedContent, PredictionCache
from augurium.serving.row_digests import RowDigests
from augurium.serving.shared_cache import SharedCache

# of tensors that are not rows: larger ones keep the loop for more than a quarter of a millisecond
MOST_DIGESTED_HERE = 256 * 1024
Run = asyncio.Future[Answer]
# rows that are being computed, and the place of one among them
Flight = tuple[Run, int]
# what a stale answer is better than; a caller's own mistake is not among them
FAILURES = frozenset(
    {
        ErrorKind.MODEL_FAILED,
        ErrorKind.OVERLOADED,
        ErrorKind.NOT_READY,
        ErrorKind.DEADLINE_EXCEEDED,
        ErrorKind.INTERNAL,
    }
)


class Rows(NamedTuple):
    """The rows of a request, `size` of them: tensors in the signature's order, the shapes of one
    row where the signature leaves them open, until when they must be answered, and how much they
    matter.
    """

    inputs: Sequence[Array]
    size: int
    shapes: object
    deadline: float
    priority: Priority = Priority.NORMAL


class CachedAnswers:
    """Answers the rows of one version. Lives on one event loop.

    `submit(inputs, rows, deadline, shapes, priority)` makes the version compute some; `outputs` are
    its outputs. With `whole` a request is one row, whatever its tensors look like.
    """

    def __init__(
        self,
        cache: PredictionCache,
        digests: RowDigests,
        submit: Callable[[Sequence[Array], int, float, object, Priority], Run],
        metrics: VersionMetrics,
        outputs: Sequence[TensorSpec] = (),
        whole: bool = False,
    ) -> None:
        self._whole = whole
        self._cache = cache
        self._outputs = outputs
        self._digests = digests
        self._submit = submit
        self._metrics = metrics
        self._flights: dict[bytes, Flight] = {}

    async def answer(self, rows: Rows, policy: CachePolicy, refresh: bool = False) -> Answer:
        """The answer to all rows. With `refresh` none is taken from the cache, but what is computed
        goes into it.

        Raises what the version raises.
        """
        started = time.perf_counter()
        if self._whole and sum(array.nbytes for array in rows.inputs) > MOST_DIGESTED_HERE:
            keys = await asyncio.to_thread(self._keys, rows)
        else:
            keys = self._keys(rows)
        known = [None if refresh else self._cache.row(key) for key in keys]
        fresh_since = self._cache.now() - policy.ttl_s
        fresh = _younger(known, fresh_since)
        if self._cache.shared is not None and not refresh and None in fresh:
            await self._find_shared(self._cache.shared, keys, known, policy)
            fresh = _younger(known, fresh_since)
        missing = fresh.count(None)
        self._metrics.looked_up(rows.size - missing, missing, time.perf_counter() - started)
        if not missing:
            return self._joined([(answer, 0) for answer in fresh if answer is not None], HIT)
        try:
            return await self._completed(rows, policy, keys, fresh, refresh)
        except AuguriumError as error:
            stale_since = self._cache.now() - policy.ttl_s - policy.stale_if_error_s
            stale = [(row, 0) for row in _younger(known, stale_since) if row is not None]
            if error.kind not in FAILURES or len(stale) < rows.size:
                raise
            self._metrics.answered_stale()
            return self._joined(stale, STALE)

    def _keys(self, rows: Rows) -> list[bytes]:
        if self._whole:
            return [self._digests.of_whole(rows.inputs, rows.shapes)]
        return self._digests.of(rows.inputs, rows.size, rows.shapes)

    def stale(self, rows: Rows, max_age_s: float) -> Answer | None:
        """What is known of all rows, if none of it is older."""
        keys = self._keys(rows)
        known = _younger([self._cache.row(key) for key in keys], self._cache.now() - max_age_s)
        found = [(row, 0) for row in known if row is not None]
        if len(found) < rows.size:
            return None
        self._metrics.answered_stale()
        return self._joined(found, STALE)

    def written(self, digest: bytes, policy: CachePolicy, started: float) -> bytes | None:
        """A whole answer, if all of its rows are fresh; `started` is when it was looked for."""
        found = self._cache.content(digest)
        if found is None or found.since <= self._cache.now() - policy.ttl_s:
            return None
        self._metrics.looked_up(found.rows, 0, time.perf_counter() - started)
        return found.content

    def keep_written(self, digest: bytes, content: CachedContent) -> None:
        """Remembers a whole answer."""
        self._cache.put_content(digest, content)

    async def _completed(
        self,
        rows: Rows,
        policy: CachePolicy,
        keys: list[bytes],
        fresh: list[Answer | None],
        refresh: bool,
    ) -> Answer:
        """The answer to rows of which some have to be computed, or are being computed."""
        own: dict[bytes, int] = {}
        others: dict[bytes, Flight] = {}
        for place, (key, answer) in enumerate(zip(keys, fresh, strict=True)):
            if answer is not None:
                continue
            if not refresh and key in self._flights:
                others[key] = self._flights[key]
            else:
                own.setdefault(key, place)
        run = self._started(rows, policy, own) if own else None
        if run is not None and len(own) == rows.size:
            answer = await run
            answer.cache = MISS
            return answer
        numbers = {key: number for number, key in enumerate(own)}
        found: list[tuple[Answer, int]] = []
        for place, (key, answer) in enumerate(zip(keys, fresh, strict=True)):
            if answer is not None:
                found.append((answer, 0))
            elif run is not None and key in numbers:
                found.append((await run, numbers[key]))
            else:
                found.append(await self._awaited(others[key], rows, policy, key, place))
        return self._joined(found, MISS)

    def _started(self, rows: Rows, policy: CachePolicy, own: dict[bytes, int]) -> Run:
        """Computes the rows at some places; they are in the cache when that has ended."""
        inputs = rows.inputs
        if len(own) < rows.size:
            places = list(own.values())
            inputs = [array[places] for array in inputs]
        run = self._submit(inputs, len(own), rows.deadline, rows.shapes, rows.priority)
        for number, key in enumerate(own):
            self._flights[key] = run, number
        run.add_done_callback(lambda run: self._ended(run, policy, own))
        return run

    def _ended(self, run: Run, policy: CachePolicy, own: dict[bytes, int]) -> None:
        for key in own:
            if self._flights.get(key, (None,))[0] is run:
                del self._flights[key]
        if run.cancelled() or run.exception() is not None:
            return
        answer = run.result()
        outputs = [answer.array(index) for index in range(answer.size)]
        if self._whole:
            for key in own:
                self._remember(key, outputs, policy)
            return
        if any(output.shape[:1] != (len(own),) for output in outputs):
            return
        for number, key in enumerate(own):
            self._remember(key, [output[number : number + 1] for output in outputs], policy)

    def _remember(self, key: bytes, outputs: list[Array], policy: CachePolicy) -> None:
        self._cache.put_row(key, outputs)
        if self._cache.shared is not None:
            ttl_s = policy.ttl_s + policy.stale_if_error_s
            content = shared_rows.encode(outputs, time.time(), self._whole)
            self._cache.shared.put(key, content, ttl_s)

    async def _find_shared(
        self,
        shared: SharedCache,
        keys: list[bytes],
        known: list[Answer | None],
        policy: CachePolicy,
    ) -> None:
        """Fills in what is known elsewhere, and more recently than here."""
        fresh_since = self._cache.now() - policy.ttl_s
        places = [n for n, row in enumerate(known) if row is None or row.since <= fresh_since]
        found = await shared.find([keys[place] for place in places])
        for place, content in zip(places, found, strict=True):
            row = None
            if content is not None:
                row = shared_rows.decode(content, self._outputs, self._whole)
            if row is None:
                continue
            outputs, at = row
            since = self._cache.now() - max(0.0, time.time() - at)
            before = known[place]
            if before is None or before.since < since:
                self._cache.put_row(keys[place], outputs, since)
                known[place] = self._cache.row(keys[place])
                self._metrics.found_shared()

    async def _awaited(
        self, flight: Flight | None, rows: Rows, policy: CachePolicy, key: bytes, place: int
    ) -> tuple[Answer, int]:
        """A row that somebody else computes; computed here if they leave before it is there."""
        while flight is not None:
            run, number = flight
            await asyncio.wait([run], timeout=max(0.0, rows.deadline - time.monotonic()))
            if not run.done():
                raise DeadlineExceeded("Request timeout expired")
            if run.cancelled() or isinstance(run.exception(), DeadlineExceeded):
                # their caller left, or had less time than ours
                flight = self._flights.get(key)
                continue
            return run.result(), number
        return await self._started(rows, policy, {key: place}), 0

    def _joined(self, rows: list[tuple[Answer, int]], cache: str) -> Answer:
        if self._whole:
            return rows[0][0].marked(cache)
        return _joined(rows, cache)


def _younger(known: list[Answer | None], since: float) -> list[Answer | None]:
    """The rows that were computed after a time, None for the others."""
    return [row if row is not None and row.since > since else None for row in known]


def _joined(rows: list[tuple[Answer, int]], cache: str) -> Answer:
    """One answer of single rows, each the n-th of another."""
    if len(rows) == 1:
        answer, number = rows[0]
        if cache == HIT:
            return answer
        return answer.row(number, cache)
    outputs = []
    for index in range(rows[0][0].size):
        pieces = [answer.array(index)[number : number + 1] for answer, number in rows]
        if any(piece.shape != (1, *pieces[0].shape[1:]) for piece in pieces):
            raise ModelFailed(
                "the model's answers differ in shape from row to row; take its cache away"
            )
        outputs.append(np.concatenate(pieces))
    since = min(answer.since for answer, _ in rows)
    return Answer(BatchOutputs(outputs), cache=cache, since=since)
