"""Routes: versions as signed archives, and whose signatures are believed."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from augurium.control.routes.answers import answer, described
from augurium.control.routes.artifacts import BINARY_BODY
from augurium.control.routes.parameters import (
    ActorOf,
    CallerOf,
    ModelName,
    ServicesOf,
    VersionNumber,
    check_not_encoded,
    json_body,
)
from augurium.control.transfers import TrustedKeys
from augurium.registry.records import Version
from augurium.registry.signing import TrustedKey

router = APIRouter(tags=["transfers"])
BINARY = "application/octet-stream"


class TrustOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A public key, as `augurium trust key` prints it, and what to call it here."""

    name: str
    key: str


TrustBody = Annotated[TrustOrder, Depends(json_body(TrustOrder))]


@router.get(
    "/models/{model}/versions/{version}/archive",
    response_class=Response,
    responses={200: {"content": {BINARY: {"schema": {"type": "string", "format": "binary"}}}}},
)
def export_version(
    model: ModelName, version: VersionNumber, services: ServicesOf, actor: ActorOf
) -> Response:
    """The version with its files in one archive, signed by this node."""
    outgoing = services.transfers.export(model, version, actor)
    headers = {
        "content-length": str(outgoing.size_bytes),
        "content-disposition": f'attachment; filename="{outgoing.filename}"',
    }
    return StreamingResponse(outgoing.chunks, headers=headers, media_type=BINARY)


@router.post(
    "/models/{model}/archives",
    **described(Version, status=201) | {"openapi_extra": {"requestBody": BINARY_BODY}},
)
async def import_archive(
    model: ModelName,
    request: Request,
    services: ServicesOf,
    caller: CallerOf,
    signer: str | None = None,
) -> Response:
    """Registers the version of an archive; `signer` is a fingerprint to believe this once."""
    check_not_encoded(request)
    version = await services.transfers.accept(model, request.stream(), signer, caller)
    return answer(version, 201)


@router.get("/trust", **described(TrustedKeys))
def list_trusted(services: ServicesOf) -> Response:
    """This node's public key, and the keys whose signatures it believes."""
    return answer(services.transfers.trusted())


@router.post("/trust", **described(TrustedKey, takes=TrustOrder, status=201))
def trust_key(order: TrustBody, services: ServicesOf, actor: ActorOf) -> Response:
    """Believes the signatures of a key from now on; replaces the key of that name."""
    return answer(services.transfers.trust(order.name, order.key, actor), 201)


@router.delete("/trust/{name}", **described(TrustedKeys))
def distrust_key(name: str, services: ServicesOf, actor: ActorOf) -> Response:
    """Believes the signatures of a key, by name or fingerprint, no more."""
    return answer(services.transfers.distrust(name, actor))
