"""The engines of a node: started, watched, added and drained one by one."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import structlog

from augurium.control.supervision import EngineReading, EngineState
from augurium.core.files import write_atomically
from augurium.core.home import NodeConfig
from augurium.node.child import Child

log = structlog.get_logger()


class _Member:
    """An engine that was started, and the task that keeps it running."""

    def __init__(self, child: Child, state: EngineState) -> None:
        self.child = child
        self.state: EngineState = state
        self.running = asyncio.create_task(child.run())
        self.leaving: asyncio.Task[None] | None = None


class EngineFleet:
    """A `Scalable` of engine processes, by slot; slots are numbered from 0.

    The highest slot leaves first. One that still drains is not filled again before it is gone.
    """

    name = "engines"

    def __init__(self, config: NodeConfig, child_of: Callable[[str], Child]) -> None:
        self._home = config.home
        self._child_of = child_of
        self._first = config.engines
        node, scaling = config.settings.node, config.settings.scaling
        self._patience_s = node.drain_delay_s + node.drain_timeout_s + scaling.leave_s
        self._slots = [f"engine-{number}" for number in range(config.most_engines)]
        self._members: dict[str, _Member] = {}

    def start(self) -> None:
        """Starts the engines that the node begins with."""
        for slot in self._first:
            self._members[slot] = _Member(self._child_of(slot), "serving")

    async def stop(self) -> None:
        """Lets every engine finish what it accepted, all at the same time."""
        self._hurry()
        staying = [member for member in self._members.values() if member.leaving is None]
        leaving = [member.leaving for member in self._members.values() if member.leaving]
        await asyncio.gather(*(one.child.stop(one.running) for one in staying), *leaving)

    def kill(self) -> None:
        """Ends every engine at once."""
        for member in self._members.values():
            member.child.kill()

    @property
    def states(self) -> dict[str, EngineState]:
        """Where every slot that has a process stands."""
        return {slot: self._members[slot].state for slot in self._slots if slot in self._members}

    @property
    def processes(self) -> dict[str, int]:
        """The process ids of the engines that serve, by slot."""
        return {
            slot: member.child.pid
            for slot, member in self._members.items()
            if member.state == "serving" and member.child.pid is not None
        }

    def current(self) -> int:
        return len(self._staying())

    def set(self, number: int) -> str:
        staying = self._staying()
        if number < len(staying):
            leaving = staying[number:]
            for slot in leaving:
                self._leave(slot)
            return f"{', '.join(leaving)} drains"
        free = [slot for slot in self._slots if slot not in self._members]
        added = free[: number - len(staying)]
        for slot in added:
            self._hand_over(slot, staying)
            self._members[slot] = _Member(self._child_of(slot), "starting")
        said = f"{', '.join(added)} starts" if added else "nothing starts"
        missing = number - len(staying) - len(added)
        if missing:
            self._hurry()
        return f"{said}; {missing} more when one has drained" if missing else said

    def note(self, readings: Iterable[EngineReading]) -> list[str]:
        """Takes in which engines hold what is wanted; the slots that do for the first time."""
        joined = []
        for reading in readings:
            member = self._members.get(reading.slot)
            if member is None or member.state != "starting" or member.child.pid != reading.pid:
                continue
            if reading.ready:
                member.state = "serving"
                joined.append(reading.slot)
        return joined

    def _staying(self) -> list[str]:
        return [slot for slot, state in self.states.items() if state != "draining"]

    def _hand_over(self, slot: str, others: list[str]) -> None:
        """Lets an engine begin with what another serves, not with what was served when its slot was
        last filled.
        """
        mine = self._home.snapshot(slot)
        mine.unlink(missing_ok=True)
        for other in others:
            with contextlib.suppress(OSError):
                write_atomically(mine, self._home.snapshot(other).read_bytes())
                return

    def _hurry(self) -> None:
        """Those that leave wait no longer for callers that ask nothing."""
        for member in self._members.values():
            if member.leaving is not None:
                member.child.let_go()

    def _leave(self, slot: str) -> None:
        member = self._members[slot]
        member.state = "draining"
        member.leaving = asyncio.create_task(self._drain(slot, member))

    async def _drain(self, slot: str, member: _Member) -> None:
        await member.child.retire(member.running, self._patience_s)
        del self._members[slot]
        log.info("engine left", engine=slot, exit_code=member.child.exit_code)
