"""Decides how many engines the node has, and makes it so.

The supervisor decides because it owns the processes and outlives control. Control counts: without
it nothing is known, and the number stays.
"""

import asyncio
import os

import structlog

from augurium.control.supervision import EngineReading, Report, Scaling, Standing
from augurium.core.clock import Clock
from augurium.core.errors import NotReady
from augurium.node.connection_host import SHARE_OUT
from augurium.node.control_window import ControlWindow
from augurium.node.engine_fleet import EngineFleet
from augurium.node.engine_gauge import EngineGauge
from augurium.scaling.policy import ScalingPolicy
from augurium.scaling.scaler import LoggedDecision, Scaler

log = structlog.get_logger()


class Autoscaler:
    """The loop around a `Scaler` of engines."""

    def __init__(
        self, fleet: EngineFleet, window: ControlWindow, policy: ScalingPolicy, clock: Clock
    ) -> None:
        self._fleet = fleet
        self._window = window
        self._clock = clock
        self._scaler = Scaler(fleet, policy, clock)
        self._gauge = EngineGauge()
        self._known = 0
        self._blind = False

    async def run(self, interval_s: float) -> None:
        """Decides every `interval_s`, until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.step()
            except Exception:  # the edge of a task: the number stays, and the node lives
                log.exception("scaling failed")

    def report(self) -> Report:
        """How the engines stand, with what control does not know of the log."""
        scaling = Scaling(
            latest=self._scaler.latest,
            counts=dict(self._scaler.counts),
            log=self._scaler.since(self._known),
        )
        return Report(self._fleet.states, scaling)

    async def step(self) -> None:
        """Looks, decides, acts and tells control of it."""
        standing = await self._heard()
        if standing is None:
            return
        self._take_in(standing.engines)
        at, stale_s = self._clock.monotonic(), self._scaler.policy.stale_s
        seen = self._gauge.observe(standing.engines, self._fleet.processes, at, stale_s)
        logged = self._scaler.step(seen)
        if logged is not None:
            _log(logged)
            # at once: who drains must not be missed, nor who starts be waited for
            await self._heard()

    async def _heard(self) -> Standing | None:
        """What control says to the present report; None while it is away."""
        try:
            standing = await self._window.tell(self.report())
        except NotReady:
            if not self._blind:
                log.warning("scaling holds: control does not answer", engines=self._fleet.current())
            self._blind = True
            return None
        self._blind = False
        self._known = standing.decisions_known
        return standing

    def _take_in(self, readings: tuple[EngineReading, ...]) -> None:
        """Those that joined get their share of the connections there are."""
        before = self._fleet.processes
        joined = self._fleet.note(readings)
        if not joined:
            return
        log.info("engine joined", engines=joined)
        linked = {reading.slot: reading.pid for reading in readings}
        for slot, pid in before.items():
            # one that control knows listens for the signal; another would die of it
            if linked.get(slot) == pid:
                os.kill(pid, SHARE_OUT)


def _log(logged: LoggedDecision) -> None:
    decision = logged.decision
    # why nothing changes may alternate where a measure is near its target
    say = log.debug if decision.direction == "hold" else log.info
    say(
        "scaling",
        direction=decision.direction,
        engines=decision.current,
        wanted=decision.wanted,
        cause=decision.cause,
        reason=decision.reason,
        done=logged.done,
        **decision.numbers,
    )
