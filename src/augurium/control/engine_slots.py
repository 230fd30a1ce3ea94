"""The engines of a node by slot, and what they have counted, over restarts."""

import msgspec

from augurium.control.engine_link import EngineLink
from augurium.core.slots import slot_order
from augurium.serving.link import Hello
from augurium.serving.metrics import EngineMetrics, merge


class EngineSlot:
    """One slot, such as `engine-0`, and the process in it; `link` is None while that is away."""

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.link: EngineLink | None = None
        self.counters = EngineMetrics()
        self.inherited: EngineMetrics | None = None
        self.restarts = 0


class EngineSlots:
    """All slots ever seen. Counters outlive the process that counted: totals never go back."""

    def __init__(self) -> None:
        self._slots: dict[str, EngineSlot] = {}
        self._departed = EngineMetrics()
        self._departed_inherited = EngineMetrics()

    def connect(self, link: EngineLink) -> None:
        """A process fills its slot. An older link of the same slot is closed."""
        slot = self._slots.setdefault(link.hello.engine, EngineSlot(link.hello))
        if slot.link is not None:
            slot.link.close()
            self.disconnect(slot.link)
        if slot.hello.pid == link.hello.pid:
            link.counters = slot.counters
            if slot.inherited is not None:
                link.inherited = slot.inherited
        else:
            self._depart(slot)
            slot.restarts += 1
        slot.hello, slot.link = link.hello, link

    def disconnect(self, link: EngineLink) -> None:
        """The process is gone, or only its link; which one, its next Hello tells."""
        slot = self._slots[link.hello.engine]
        if slot.link is link:
            slot.counters, slot.inherited = link.counters, link.inherited
            slot.link = None

    def retire(self, engine: str) -> None:
        """Gives up a slot that nobody is connected to; its counters stay in the totals."""
        self._depart(self._slots.pop(engine))

    def all(self) -> list[EngineSlot]:
        """Every slot, in their order."""
        return [self._slots[name] for name in sorted(self._slots, key=slot_order)]

    def links(self) -> list[EngineLink]:
        """The connected engines, ordered by slot."""
        return [slot.link for slot in self.all() if slot.link is not None]

    def totals(self) -> EngineMetrics:
        """The sum over all engines there are and were; who is away has nothing pending."""
        away = [_at_rest(slot.counters) for slot in self.all() if slot.link is None]
        present = [link.counters for link in self.links()]
        return merge([self._departed, *away, *present])

    def inherited(self) -> EngineMetrics:
        """What of the totals had been counted before this control had to do with it."""
        slots = [slot.link or slot for slot in self.all()]
        return merge([self._departed_inherited, *(s.inherited for s in slots if s.inherited)])

    def _depart(self, slot: EngineSlot) -> None:
        self._departed = merge([self._departed, _at_rest(slot.counters)])
        if slot.inherited is not None:
            self._departed_inherited = merge([self._departed_inherited, slot.inherited])
            slot.inherited = None


def _at_rest(metrics: EngineMetrics) -> EngineMetrics:
    versions = [
        msgspec.structs.replace(
            version, pending=0, load_s=0.0, resident=0, resident_bytes=0, runner_pids=[], problem=""
        )
        for version in metrics.versions
    ]
    return msgspec.structs.replace(metrics, versions=versions)
