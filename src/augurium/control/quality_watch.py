"""Readings of the quality of canaries, beside everything else: no tick waits for one."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from augurium.control.canary_quality import QualityQuestion
from augurium.core.clock import Clock
from augurium.core.errors import AuguriumError
from augurium.traffic.canary_evidence import Quality

# between two readings, and where nothing new was received here: another node may have taken it, or
# an engine not have told yet of what was answered
EVERY_S = 10.0
UNTOLD_EVERY_S = 60.0
# of the time, that readings may take
SHARE = 0.1
QualityOf = Callable[[QualityQuestion], Awaitable[Quality]]
# how much feedback of a model was received
Received = Callable[[str], int]
log = structlog.get_logger()


class _Reading:
    """What is known of one question, and when to ask again."""

    def __init__(self, question: QualityQuestion) -> None:
        self.question = question
        self.found: Quality | None = None
        self.received = -1
        self.next_at = self.latest_at = -1.0
        self.task: asyncio.Task[None] | None = None


class QualityWatch:
    """The newest quality of each canary. Belongs to one event loop."""

    def __init__(self, quality_of: QualityOf, received: Received, clock: Clock) -> None:
        self._quality_of = quality_of
        self._received = received
        self._clock = clock
        # by model, of which one rollout is active
        self._readings: dict[str, _Reading] = {}

    def newest(self, question: QualityQuestion) -> Quality | None:
        """The quality that was read last, None before the first; has it read anew if it is time.

        Never waits. A reading that fails changes nothing, and is tried again.
        """
        reading = self._readings.get(question.model)
        if reading is None or reading.question != question:
            reading = self._readings[question.model] = _Reading(question)
        if reading.task is None and self._due(reading):
            reading.task = asyncio.create_task(self._read(reading))
        return reading.found

    def _due(self, reading: _Reading) -> bool:
        now = self._clock.monotonic()
        if reading.received < 0 or now >= reading.latest_at:
            return now >= reading.next_at
        return now >= reading.next_at and self._received(reading.question.model) > reading.received

    async def _read(self, reading: _Reading) -> None:
        model, began = reading.question.model, self._clock.monotonic()
        received = self._received(model)
        try:
            reading.found = await self._quality_of(reading.question)
            reading.received = received
        except AuguriumError as error:
            log.warning("quality of a canary not read", model=model, reason=str(error))
        except Exception:  # the edge of a task: what was known before stays known
            log.exception("quality of a canary not read", model=model)
        finally:
            now = self._clock.monotonic()
            reading.next_at = began + max(EVERY_S, (now - began) / SHARE)
            reading.latest_at = max(began + UNTOLD_EVERY_S, reading.next_at)
            reading.task = None
