"""The management API: an ASGI application over the services of the control process."""

import msgspec
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

import augurium
from augurium.control.api_description import describe
from augurium.control.docs_page import docs_page
from augurium.control.edge import Edge
from augurium.control.errors import KIND_OF_STATUS, error_response
from augurium.control.routes import (
    activity,
    aliases,
    approvals,
    artifacts,
    audit,
    batch_jobs,
    batch_schedules,
    cards,
    deployments,
    events,
    feedback,
    garbage,
    history,
    imports,
    keys,
    metrics,
    models,
    predictions,
    profiles,
    removals,
    rollouts,
    scaling,
    search,
    server,
    shadows,
    traffic,
    transfers,
    variants,
    versions,
)
from augurium.control.services import Services
from augurium.core.errors import ErrorKind

API = (
    server,
    activity,
    scaling,
    models,
    versions,
    predictions,
    profiles,
    artifacts,
    imports,
    deployments,
    traffic,
    variants,
    aliases,
    audit,
    keys,
    cards,
    approvals,
    removals,
    history,
    search,
    garbage,
    transfers,
    shadows,
    feedback,
    rollouts,
    events,
    batch_jobs,
    batch_schedules,
)
DOCS_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


def create_app(services: Services) -> FastAPI:
    """The application; it owns nothing and starts nothing."""
    app = FastAPI(
        title="Augurium management API",
        version=augurium.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    api = APIRouter(prefix="/api/v1")
    for noun in API:
        api.include_router(noun.router)
    app.include_router(api)
    app.include_router(metrics.router)
    _add_docs(app)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(Edge, access=services.access)
    return app


def _add_docs(app: FastAPI) -> None:
    # described at the first request: most processes are never asked
    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response:
        return Response(msgspec.json.encode(describe(app)), media_type="application/json")

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return HTMLResponse(docs_page(describe(app)), headers=DOCS_HEADERS)


async def _validation_error(request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    texts = [f"{problem['loc'][-1]}: {problem['msg']}" for problem in problems]
    return error_response(ErrorKind.INVALID_ARGUMENT, "; ".join(texts) or "invalid request")


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException) or error.status_code not in KIND_OF_STATUS:
        raise error
    message = f"{request.method} {request.url.path}: {error.detail}; see /docs for what there is"
    kind = KIND_OF_STATUS[error.status_code]
    return error_response(kind, message, error.status_code, error.headers or {})
