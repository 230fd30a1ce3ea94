"""What was measured and on what, and how rounds become one figure."""

from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.load import Measurement
from benchmarks.rounds import Result

Reading = Callable[[Measurement], float]


class Report(msgspec.Struct, frozen=True):
    """A whole run. `versions` is by server; `left_out` says why a server is missing."""

    machine: dict[str, str]
    tools: dict[str, str]
    versions: dict[str, dict[str, str]]
    rounds: int
    seconds: float
    loads: list[str]
    left_out: dict[str, str]
    results: list[Result]

    def servers(self) -> list[str]:
        """In the order they were measured."""
        return list(dict.fromkeys(result.server for result in self.results))

    def settings(self, server: str) -> dict[str, list[str]]:
        """Which setting of a server was measured under which loads."""
        found: dict[str, list[str]] = {}
        for result in self.results:
            if result.server == server and result.load not in found.get(result.setting, ()):
                found.setdefault(result.setting, []).append(result.load)
        return found

    def setting(self, server: str, load: str) -> str | None:
        """Which setting was measured under one load."""
        found = (one for one in self.results if (one.server, one.load) == (server, load))
        return next((one.setting for one in found), None)

    def values(self, server: str, load: str, reading: Reading) -> list[float]:
        """One reading of every round, in their order; empty if that was not measured."""
        found = [one for one in self.results if (one.server, one.load) == (server, load)]
        return [reading(one.measurement) for one in sorted(found, key=lambda one: one.round)]

    def median(self, server: str, load: str, reading: Reading) -> float | None:
        values = self.values(server, load, reading)
        return median(values) if values else None

    def ratio(self, ours: str, theirs: str, load: str) -> float | None:
        """The median over the rounds of our rate by theirs in the same round."""
        rates = (self.values(server, load, lambda one: one.rate) for server in (ours, theirs))
        pairs = list(zip(*rates, strict=False))
        return median(our / their for our, their in pairs) if pairs else None


def save(report: Report, file: Path) -> None:
    """Writes the report as JSON, every round in it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def read(file: Path) -> Report:
    return msgspec.json.decode(file.read_bytes(), type=Report)
