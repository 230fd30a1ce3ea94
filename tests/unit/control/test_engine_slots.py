from typing import Any

from augurium.control.engine_link import EngineLink
from augurium.control.engine_slots import EngineSlots
from augurium.serving.link import Counters, Hello
from augurium.serving.metrics import EngineMetrics, VersionMetrics


def connect(slots: EngineSlots, engine: str, pid: int, answered: int) -> EngineLink:
    """An engine that connects and reports; nothing is ever sent to it."""
    nobody: Any = None
    link = EngineLink(Hello(engine, pid), nobody)
    slots.connect(link)
    counted = VersionMetrics("iris", 1, {"ok": answered}, pending=1)
    link.take(Counters(EngineMetrics([counted], cpu_s=float(answered))))
    return link


def test_what_a_departed_engine_counted_stays_when_its_slot_is_given_up() -> None:
    slots = EngineSlots()
    connect(slots, "engine-0", 1, 10)
    slots.disconnect(connect(slots, "engine-1", 2, 5))

    slots.retire("engine-1")
    connect(slots, "engine-1", 3, 7)

    totals = slots.totals()
    assert [slot.hello.engine for slot in slots.all()] == ["engine-0", "engine-1"]
    assert totals.versions[0].outcomes == {"ok": 22}
    assert totals.versions[0].pending == 2
    assert totals.cpu_s == 22.0
    assert [slot.restarts for slot in slots.all()] == [0, 0]
