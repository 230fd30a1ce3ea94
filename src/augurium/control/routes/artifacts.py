"""Routes: artifacts."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ServicesOf, check_not_encoded, declared_bytes
from augurium.registry.records import Artifact

router = APIRouter(tags=["artifacts"])
BINARY_BODY = {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}


@router.post(
    "/artifacts",
    **described(Artifact, status=201) | {"openapi_extra": {"requestBody": BINARY_BODY}},
)
async def upload_artifact(request: Request, services: ServicesOf) -> Response:
    """Stores the raw request body. The same content twice is kept once."""
    check_not_encoded(request)
    artifact = await services.uploads.store(request.stream(), declared_bytes(request))
    return answer(artifact, 201)
