"""Routes: aliases."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from msgspec import Meta
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ActorOf, AliasName, ModelName, ServicesOf, json_body
from augurium.core.identifiers import MAX_VERSION
from augurium.registry.records import Model

router = APIRouter(tags=["aliases"])


class AliasOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version an alias shall point at."""

    version: Annotated[int, Meta(ge=1, le=MAX_VERSION)]


OrderBody = Annotated[AliasOrder, Depends(json_body(AliasOrder))]


@router.put("/models/{model}/aliases/{alias}", **described(Model, takes=AliasOrder))
async def set_alias(
    model: ModelName, alias: AliasName, order: OrderBody, services: ServicesOf, actor: ActorOf
) -> Response:
    """Points an alias at a deployed version, creating or moving it."""
    return answer(await services.deployments.set_alias(model, alias, order.version, actor))


@router.delete("/models/{model}/aliases/{alias}", **described(Model))
async def remove_alias(
    model: ModelName, alias: AliasName, services: ServicesOf, actor: ActorOf
) -> Response:
    """Removes an alias; the version it pointed at stays deployed."""
    return answer(await services.deployments.remove_alias(model, alias, actor))
