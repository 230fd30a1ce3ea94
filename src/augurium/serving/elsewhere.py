"""A version that is asleep in this engine, as other engines hold it."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from augurium.core.errors import AuguriumError
from augurium.core.inference import Answer
from augurium.core.priority import Priority
from augurium.core.tensors import Array
from augurium.serving.memory_budget import HOP_S, Residence
from augurium.serving.metrics import VersionMetrics
from augurium.serving.snapshot import DesiredVersion

# what was asked so long ago counts a third
MEMORY_S = 10.0
# of a version that was never loaded here
LOAD_S = 0.02
# after a copy that could not be had
REST_S = 5.0


class Homes(Protocol):
    """Who holds a version, and the way there; see `Neighbours`."""

    def is_home(self, desired: DesiredVersion) -> bool: ...

    async def answer(
        self,
        desired: DesiredVersion,
        inputs: Sequence[Array],
        deadline: float,
        priority: Priority,
    ) -> Answer | None: ...


class Elsewhere:
    """Asks the version's home, and has the version loaded here as well when that pays: when passing
    on what was asked lately has taken as long as a load takes.
    """

    def __init__(
        self,
        desired: DesiredVersion,
        residence: Residence,
        homes: Homes,
        metrics: VersionMetrics,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desired = desired
        self._residence = residence
        self._homes = homes
        self._metrics = metrics
        self._now = now
        # requests, each for less the longer ago it came
        self._asked = 0.0
        self._asked_at = 0.0
        self._rests_until = 0.0
        self._copying: asyncio.Task[None] | None = None

    async def answer(
        self, inputs: Sequence[Array], deadline: float, priority: Priority
    ) -> Answer | None:
        """What the home answers, None if this engine has to. Raises what the version raises."""
        if self._homes.is_home(self._desired):
            return None
        self._count()
        answer = await self._homes.answer(self._desired, inputs, deadline, priority)
        if answer is not None:
            self._metrics.pass_on()
        return answer

    def _count(self) -> None:
        now = self._now()
        self._asked = 1.0 + self._asked * math.exp((self._asked_at - now) / MEMORY_S)
        self._asked_at = now
        load_s = self._residence.resident.load_s or LOAD_S
        if self._asked * HOP_S < load_s or now < self._rests_until or self._copying is not None:
            return
        if self._residence.may_copy:
            self._copying = asyncio.get_running_loop().create_task(self._copy())
        else:
            self._rests_until = now + REST_S

    async def _copy(self) -> None:
        try:
            await self._residence.wake()
        except AuguriumError:
            # its home answers still
            self._rests_until = self._now() + REST_S
        finally:
            self._copying = None
