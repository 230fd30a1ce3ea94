"""Routes: batch jobs."""

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from augurium.access.principal import Principal
from augurium.batch.report import Report
from augurium.control.batch_jobs import Order
from augurium.control.batch_progress import LOOK_EVERY_S
from augurium.control.batch_views import (
    BatchJobDetail,
    BatchJobList,
    BatchLog,
    detail,
    summary,
)
from augurium.control.routes.answers import answer, described
from augurium.control.routes.events import KEEP_ALIVE_S, MEDIA_TYPE
from augurium.control.routes.parameters import ActorOf, CallerOf, ServicesOf, json_body
from augurium.control.services import Services
from augurium.core.batch_job import BatchSpec
from augurium.core.identifiers import check_model_name, check_request_id
from augurium.registry.batch_records import BatchJob, JobState, LogLine
from augurium.registry.batch_rules import job_not_found
from augurium.registry.batch_store import MOST_LINES, MOST_LISTED
from augurium.registry.rules import model_not_found

router = APIRouter(tags=["batch"])
Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]
Lines = Annotated[int, Query(ge=1, le=MOST_LINES)]
After = Annotated[int, Query(ge=0, le=2**63 - 1)]
Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
States = Annotated[list[JobState] | None, Query()]
Spec = Annotated[BatchSpec, Depends(json_body(BatchSpec))]
IdempotencyKey = Annotated[str | None, Header(alias="idempotency-key")]
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "cache-control": "no-store",
}


@router.post("/batch-jobs", **described(BatchJobDetail, takes=BatchSpec, status=201))
async def submit_batch_job(
    spec: Spec,
    services: ServicesOf,
    actor: ActorOf,
    caller: CallerOf,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queues a batch job after a look at its input and its output.

    Sent again with the same `idempotency-key` it is the job that it was the first time.
    """
    if not caller.sees(check_model_name(spec.model)):
        raise model_not_found(spec.model)
    key = check_request_id(idempotency_key) if idempotency_key else None
    return answer(detail(await services.batch.submit(spec, actor, key)), 201)


@router.get("/batch-jobs", **described(BatchJobList))
async def list_batch_jobs(
    services: ServicesOf,
    caller: CallerOf,
    model: str | None = None,
    state: States = None,
    limit: Limit = 100,
    before: Before = None,
) -> Response:
    """Batch jobs, the newest first: of one model, in some of the states, before a number."""
    name = check_model_name(model) if model else None
    sees = caller.sees if caller.models else None
    found = await services.batch.find(name, state or (), limit, before, sees)
    return answer(BatchJobList([summary(job) for job in found]))


@router.get("/batch-jobs/{job}", **described(BatchJobDetail))
async def get_batch_job(job: str, services: ServicesOf, caller: CallerOf) -> Response:
    """One batch job: how it stands, and what was asked for."""
    return answer(detail(await _seen(services, caller, job)))


@router.post("/batch-jobs/{job}/pause", **described(BatchJobDetail))
async def pause_batch_job(
    job: str, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Lets a job rest; what is committed stays."""
    return await _ordered(services, caller, (job, "pause"), actor)


@router.post("/batch-jobs/{job}/resume", **described(BatchJobDetail))
async def resume_batch_job(
    job: str, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Lets a paused job go on behind what is committed."""
    return await _ordered(services, caller, (job, "resume"), actor)


@router.post("/batch-jobs/{job}/cancel", **described(BatchJobDetail))
async def cancel_batch_job(
    job: str, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Ends a job; nothing of it becomes visible."""
    return await _ordered(services, caller, (job, "cancel"), actor)


@router.post("/batch-jobs/{job}/retry", **described(BatchJobDetail))
async def retry_batch_job(
    job: str, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Queues a job again that failed or was cancelled; what is committed is not done again."""
    return await _ordered(services, caller, (job, "retry"), actor)


@router.get("/batch-jobs/{job}/logs", **described(BatchLog))
async def batch_job_logs(
    job: str, services: ServicesOf, caller: CallerOf, after: After = 0, limit: Lines = MOST_LINES
) -> Response:
    """What happened in a job, the oldest first; only lines with a number above `after`."""
    known = await _seen(services, caller, job)
    found = await services.batch.log_lines(known.id, after, limit)
    return answer(BatchLog(list(found), found[-1].number if found else after))


@router.get("/batch-jobs/{job}/events", **described(BatchJobDetail))
async def batch_job_events(
    request: Request, job: str, services: ServicesOf, caller: CallerOf, after: After = 0
) -> Response:
    """A job as it goes on, as server-sent events: `job` whenever it has changed, and `log` for each
    line of its log, with `last-event-id` to go on behind. The stream ends with the job.
    """
    known = await _seen(services, caller, job)
    resumed = request.headers.get("last-event-id", "")
    if resumed.isascii() and resumed.isdigit():
        after = int(resumed)
    return StreamingResponse(
        _stream(services, known.id, after),
        media_type=MEDIA_TYPE,
        headers={"cache-control": "no-store"},
    )


@router.get("/batch-jobs/{job}/report", **described(Report))
async def batch_job_report(job: str, services: ServicesOf, caller: CallerOf) -> Response:
    """The report of a job that has ended, as JSON."""
    found = await services.batch.report(await _seen(services, caller, job))
    return Response(found, media_type="application/json")


@router.get("/batch-jobs/{job}/report.html", response_class=HTMLResponse)
async def batch_job_report_page(job: str, services: ServicesOf, caller: CallerOf) -> Response:
    """The report of a job that has ended, as a page with plots."""
    page = await services.batch.report_page(await _seen(services, caller, job))
    return HTMLResponse(page, headers=PAGE_HEADERS)


async def _ordered(
    services: Services, caller: Principal, what: tuple[str, Order], actor: str
) -> Response:
    known = await _seen(services, caller, what[0])
    return answer(detail(await services.batch.order(known.id, what[1], actor)))


async def _seen(services: Services, caller: Principal, job: str) -> BatchJob:
    """Raises NotFound also for a job whose model the caller may not know of."""
    known = await services.batch.get(job)
    if not caller.sees(known.model):
        raise job_not_found(job)
    return known


async def _stream(services: Services, job: str, after: int) -> AsyncIterator[bytes]:
    # at once, so that a caller knows that it is connected
    yield b": batch job\n\n"
    silent_s = 0.0
    async for news in services.batch.progress.follow(job, after):
        if news is not None:
            silent_s = 0.0
            yield _written(news)
        elif (silent_s := silent_s + LOOK_EVERY_S) >= KEEP_ALIVE_S:
            silent_s = 0.0
            yield b": still there\n\n"


def _written(news: BatchJob | LogLine) -> bytes:
    """As the HTML standard writes server-sent events; JSON has no line breaks."""
    if isinstance(news, LogLine):
        return b"id: %d\nevent: log\ndata: %s\n\n" % (news.number, msgspec.json.encode(news))
    return b"event: job\ndata: %s\n\n" % msgspec.json.encode(summary(news))
