"""Feedback over the management API: what is taken, from whom, and what is said of it."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import msgspec
import pytest

from augurium.control.feedback import MOST_LOADS
from augurium.control.feedback_commits import MOST_WAITING_ROWS, FeedbackCommits
from augurium.control.feedback_intake import BULK_ROWS, MAX_JSON_BYTES
from augurium.control.services import Services
from augurium.core.clock import ManualClock
from augurium.core.errors import NotReady, Overloaded
from augurium.feedback.memory_journal import MemoryJournal
from augurium.feedback.row import FeedbackRow
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import VersionDraft

URL = "/api/v1/feedback"
LINES = {"content-type": "application/x-ndjson"}


@pytest.fixture(autouse=True)
def models(registry: MemoryRegistry, draft: VersionDraft) -> None:
    for model in ("churn", "fraud-eu"):
        registry.register(model, draft, "test")


def row(of: str = "p1", model: str = "churn", value: Any = 1, **said: Any) -> dict[str, Any]:
    return {"model": model, "prediction_id": of, "name": "converted", "value": value} | said


def lines(rows: Sequence[Any]) -> bytes:
    return b"".join(msgspec.json.encode(told) + b"\n" for told in rows)


async def values(api: httpx.AsyncClient, model: str = "churn", **asked: Any) -> list[Any]:
    reply = await api.get(f"/api/v1/models/{model}/feedback", params=asked)
    assert reply.status_code == 200, reply.text
    found: list[Any] = reply.json()["values"]
    return found


async def test_an_outcome_is_there_as_soon_as_it_is_accepted(api: httpx.AsyncClient) -> None:
    reply = await api.post(URL, json=row(value=True, at="2025-12-24T18:00:00+01:00"))

    assert (reply.status_code, reply.json()) == (
        200,
        {"accepted": 1, "rejected": 0, "rejections": []},
    )
    (found,) = await values(api)
    assert (found["prediction_id"], found["name"], found["value"]) == ("p1", "converted", 1.0)
    assert found["at"] == "2025-12-24T17:00:00Z"


async def test_rows_that_do_not_fit_are_rejected_and_the_others_taken(
    api: httpx.AsyncClient,
) -> None:
    reply = await api.post(URL, json=[row("p1"), row("p2", "nope"), row("p3", value="x")])

    told = reply.json()
    assert (told["accepted"], told["rejected"]) == (1, 2)
    assert [found["line"] for found in told["rejections"]] == [2, 3]
    assert "'nope' is not known" in told["rejections"][0]["reason"]
    assert [found["prediction_id"] for found in await values(api)] == ["p1"]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{nope", {}, 400),
        (b"", {}, 400),
        (b"[" * 50_000, {}, 400),
        (b"x" * (MAX_JSON_BYTES + 1), {}, 413),
        (b"{}", {"content-type": "text/csv"}, 415),
        (b"{}", {"content-encoding": "br"}, 415),
        (b"no gzip", {"content-encoding": "gzip"}, 400),
        (gzip.compress(b"[]", mtime=0)[:-3], {"content-encoding": "gzip"}, 400),
        (gzip.compress(b"[]", mtime=0) + b"more", {"content-encoding": "gzip"}, 400),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_as_a_whole(
    api: httpx.AsyncClient, content: bytes, headers: dict[str, str], status: int
) -> None:
    reply = await api.post(URL, content=content, headers=headers)

    assert reply.status_code == status, reply.text
    assert reply.json()["error"]
    assert await values(api) == []


async def test_lines_may_be_compressed(api: httpx.AsyncClient) -> None:
    body = gzip.compress(lines([row(f"p{place}") for place in range(5)]))

    reply = await api.post(URL, content=body, headers=LINES | {"content-encoding": "gzip"})

    assert reply.json()["accepted"] == 5


@pytest.mark.parametrize("form", ["lines", "json"])
async def test_many_rows_go_past_the_journal(
    api: httpx.AsyncClient, services: Services, form: str
) -> None:
    rows = [row(f"p{place}", value=place) for place in range(BULK_ROWS + 10)]
    rows[7] = row(model="nope")
    content = lines(rows) if form == "lines" else json.dumps(rows).encode()

    reply = await api.post(URL, content=content, headers=LINES if form == "lines" else {})

    assert (reply.json()["accepted"], reply.json()["rejected"]) == (BULK_ROWS + 9, 1)
    assert reply.json()["rejections"][0]["line"] == 8
    summary = await api.get("/api/v1/models/churn/feedback/summary")
    assert summary.json()["metrics"][0]["outcomes"] == BULK_ROWS + 9
    assert await services.feedback.flush() == 0


async def test_a_stream_that_breaks_off_leaves_nothing(
    api: httpx.AsyncClient, services: Services
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield gzip.compress(lines([row(f"p{place}") for place in range(3 * BULK_ROWS)]))[:-9]

    reply = await api.post(URL, content=broken(), headers=LINES | {"content-encoding": "gzip"})

    assert reply.status_code == 400
    assert await values(api) == []
    assert await services.feedback.flush() == 0


async def test_values_are_found_by_time_and_metric_the_newest_first(
    api: httpx.AsyncClient,
) -> None:
    sent = [row(f"p{place}", at=1000 + place) for place in range(5)]
    await api.post(URL, json=[*sent, row("p9", name="revenue", at=1001, value=9.5)])

    assert [found["prediction_id"] for found in await values(api, limit=2)] == ["p9", "p4"]
    asked = {"start": "1970-01-01T00:16:41Z", "end": "1970-01-01T00:16:43Z"}
    assert [found["prediction_id"] for found in await values(api, **asked)] == ["p9", "p2", "p1"]
    assert [found["value"] for found in await values(api, name="revenue")] == [9.5]
    reply = await api.get("/api/v1/models/churn/feedback", params={"limit": 2})
    assert reply.json()["more"] is True


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("models/nope/feedback", 404),
        ("models/nope/feedback/summary", 404),
        ("models/churn/feedback?start=soon", 400),
        ("models/churn/feedback?end=10000-01-01", 400),
        ("models/churn/feedback?limit=0", 400),
        ("models/churn/feedback/summary?start=x", 400),
    ],
)
async def test_questions_that_cannot_be_meant_are_refused(
    api: httpx.AsyncClient, path: str, status: int
) -> None:
    reply = await api.get(f"/api/v1/{path}")

    assert reply.status_code == status, reply.text


async def test_what_was_received_is_in_the_metrics(api: httpx.AsyncClient) -> None:
    await api.post(URL, json=[row(), row(), row(value=0), row(model="nope")])

    page = (await api.get("/metrics")).text

    assert 'augurium_feedback_received_total{model="churn"} 3' in page
    assert 'augurium_feedback_repeated_total{model="churn"} 1' in page
    assert 'augurium_feedback_conflicting_total{model="churn"} 1' in page
    assert "augurium_feedback_rejected_total 1" in page


async def test_the_journal_is_put_into_segments_when_somebody_wants_them(
    api: httpx.AsyncClient, services: Services
) -> None:
    await api.post(URL, json=[row(), row("p2")])

    assert await services.feedback.flush("fraud-eu") == 0
    assert await services.feedback.flush("churn") == 2
    assert await services.feedback.flush() == 0
    assert len(await values(api)) == 2


async def test_a_purged_model_takes_its_feedback_along(
    api: httpx.AsyncClient, services: Services, clock: ManualClock
) -> None:
    await api.post(URL, json=[row(), row(model="fraud-eu")])
    await services.feedback.flush()
    await api.post(URL, json=row("p2"))
    services.registry.delete_model("churn", "test")
    clock.advance(1)

    await api.post("/api/v1/gc", json={"retention_s": 0})
    assert await values(api, "fraud-eu") != []
    with services.feedback.last_values("fraud-eu") as connection:
        found = connection.execute("SELECT count(*) FROM last_values").fetchone()
    assert found == (1,)
    assert (await api.get("/api/v1/models/churn/feedback")).status_code == 404


class CountingJournal(MemoryJournal):
    """Tells how many rows each commit had, and refuses them when it is `failing`."""

    def __init__(self, failing: bool = False) -> None:
        super().__init__()
        self.commits: list[int] = []
        self.failing = failing

    def append(self, rows: Sequence[FeedbackRow], received_at: float) -> int:
        self.commits.append(len(rows))
        if self.failing:
            raise NotReady("the database does not answer")
        return super().append(rows, received_at)


def checked(of: str) -> FeedbackRow:
    return FeedbackRow(1.0, "churn", of, "", "converted", "", 1.0)


async def test_what_comes_during_a_commit_shares_the_next_one() -> None:
    journal = CountingJournal()
    commits = FeedbackCommits(journal, ManualClock())

    await asyncio.gather(*(commits.add([checked(f"p{place}")]) for place in range(100)))
    await commits.stop()

    assert sum(journal.commits) == 100
    assert len(journal.commits) < 10
    with pytest.raises(NotReady, match="stopping"):
        await commits.add([checked("late")])


async def test_everyone_whose_rows_were_not_written_is_told() -> None:
    journal = CountingJournal(failing=True)
    commits = FeedbackCommits(journal, ManualClock())

    told = await asyncio.gather(
        *(commits.add([checked(f"p{place}")]) for place in range(5)), return_exceptions=True
    )
    journal.failing = False
    await commits.add([checked("again")])
    await commits.stop()

    assert [type(error) for error in told] == [NotReady] * 5
    assert journal.size().rows == 1


async def test_more_than_can_wait_is_refused() -> None:
    commits = FeedbackCommits(MemoryJournal(), ManualClock())
    many = [checked(f"p{place}") for place in range(MOST_WAITING_ROWS)]

    first = asyncio.create_task(commits.add(many))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await commits.add(many)
    await first
    await commits.stop()


async def test_more_bulk_loads_than_there_is_memory_for_are_refused(services: Services) -> None:
    feedback = services.feedback
    loads = [feedback.loading() for _ in range(MOST_LOADS)]
    for load in loads:
        await load.__aenter__()

    with pytest.raises(Overloaded):
        async with feedback.loading():
            pass
    for load in loads:
        await load.__aexit__(None, None, None)
    async with feedback.loading() as again:
        again.commit()
