"""Counters on their way from engines to control: only what has changed, and never one too few."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.control.engine_link import EngineLink
from augurium.control.engine_slots import EngineSlots
from augurium.serving.counter_reports import CounterReports
from augurium.serving.link import Counters, Hello
from augurium.serving.metrics import EngineMetrics, VersionMetrics, merge

Count = Callable[[VersionMetrics], object]
# everything that is counted, each in its way; halves and quarters add up exactly
COUNTS: dict[str, Count] = {
    "ok": lambda one: one.ended("ok", 0.25),
    "failed": lambda one: one.ended("model_failed", 0.5),
    "ran": lambda one: one.ran(3, 2, 0.25, 0.5, 0.25),
    "hit": lambda one: one.looked_up(2, 0, 0.25),
    "missed": lambda one: one.looked_up(1, 2, 0.25),
    "stale": VersionMetrics.answered_stale,
    "shared": VersionMetrics.found_shared,
    "answered": lambda one: one.answered(0, "ok", 0.25),
    "left": lambda one: one.answered(3, "left", 0.25),
    "refused": lambda one: one.refuse("engine_full", "normal"),
    "degraded": lambda one: one.degrade("error", "constant"),
    "skipped": lambda one: one.skip_step("constant", "absent"),
    "exercised": lambda one: one.exercise_step("model:m", "ok"),
    "released": lambda one: one.released("full"),
    "loaded": lambda one: one.loaded(0.5),
    "evicted": VersionMetrics.evicted,
}
_encode = msgspec.msgpack.encode
_decoder = msgspec.msgpack.Decoder(Counters)


class Engine:
    """An engine process with its connection, if it has one; `lost` is what was sent into one that
    had broken.
    """

    def __init__(self, slot: str, pid: int) -> None:
        self.hello = Hello(slot, pid)
        self.versions: dict[tuple[str, int], VersionMetrics] = {}
        self.unrouted = 0
        self.reports: CounterReports | None = None
        self.link: EngineLink | None = None

    def count(self, model: str, what: str) -> None:
        self.unrouted += 1
        found = self.versions.setdefault((model, 1), VersionMetrics(model, 1))
        COUNTS[what](found)

    def everything(self) -> EngineMetrics:
        return EngineMetrics(list(self.versions.values()), {"not_found": self.unrouted})

    def connect(self, slots: EngineSlots) -> None:
        # nothing is ever sent to it
        nobody: Any = SimpleNamespace(transport=SimpleNamespace(abort=lambda: None))
        self.link, self.reports = EngineLink(self.hello, nobody), CounterReports()
        slots.connect(self.link)

    def report(self, arrives: bool) -> int:
        """The bytes of a report, which the connection may be too broken to carry."""
        if self.link is None or self.reports is None:
            return 0
        sent = _encode(Counters(self.reports.of(self.everything())))
        if arrives:
            self.link.take(_decoder.decode(sent))
        return len(sent)


def plain(metrics: EngineMetrics) -> object:
    ordered = sorted(metrics.versions, key=lambda version: (version.model, version.version))
    return [msgspec.to_builtins(version) for version in ordered], metrics.unrouted


SLOTS = st.sampled_from(["engine-0", "engine-1"])
STEPS = st.one_of(
    st.tuples(
        st.just("count"), SLOTS, st.sampled_from(["a", "b", "c"]), st.sampled_from(sorted(COUNTS))
    ),
    st.tuples(st.sampled_from(["report", "break", "connect", "die"]), SLOTS),
    st.tuples(st.just("restart control")),
)


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=60))
def test_the_sums_are_exact_whatever_breaks(steps: list[Any]) -> None:
    slots, pid = EngineSlots(), 2
    engines = {name: Engine(name, place) for place, name in enumerate(("engine-0", "engine-1"))}
    # what was heard of processes that have ended, as long as this control lives
    ended: list[EngineMetrics] = []
    heard: dict[str, EngineMetrics] = {}
    for step, *details in steps:
        if step == "restart control":
            slots, ended, heard = EngineSlots(), [], {}
            for engine in engines.values():
                engine.link = None
            continue
        name = details[0]
        engine = engines[name]
        if step == "count":
            engine.count(*details[1:])
        elif step == "connect":
            engine.connect(slots)
        elif step == "report" and engine.link is not None:
            engine.report(arrives=True)
            heard[name] = _copy(engine.everything())
        elif step == "break" and engine.link is not None:
            # with a report on its way, which never arrives
            engine.report(arrives=False)
            slots.disconnect(engine.link)
            engine.link = None
        elif step == "die":
            if engine.link is not None:
                slots.disconnect(engine.link)
            if name in heard:
                ended.append(heard.pop(name))
            pid += 1
            engines[name] = Engine(name, pid)
    for name, engine in engines.items():
        engine.connect(slots)
        engine.report(arrives=True)
        heard[name] = engine.everything()
    assert plain(slots.totals()) == plain(merge([*ended, *heard.values()]))


def test_what_did_not_change_is_not_told_again() -> None:
    engine, slots = Engine("engine-0", 1), EngineSlots()
    for number in range(1000):
        engine.count(f"model-{number}", "ok")
    engine.connect(slots)
    everything = engine.report(arrives=True)
    engine.count("model-3", "ok")
    assert engine.report(arrives=True) < everything / 200
    assert engine.report(arrives=True) < everything / 1000
    assert plain(slots.totals()) == plain(engine.everything())
    engine.connect(slots)
    assert engine.report(arrives=True) > everything / 2


def _copy(metrics: EngineMetrics) -> EngineMetrics:
    return msgspec.msgpack.decode(_encode(metrics), type=EngineMetrics)
