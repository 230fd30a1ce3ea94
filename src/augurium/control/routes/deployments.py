"""Routes: deployments."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from msgspec import Meta
from starlette.responses import Response

from augurium.control.deployments import Deployment
from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import (
    ActorOf,
    ModelName,
    ServicesOf,
    VersionNumber,
    json_body,
)
from augurium.core.identifiers import MAX_VERSION

router = APIRouter(tags=["deployments"])


class DeploymentOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version to load, and whether it becomes the model's default."""

    version: Annotated[int, Meta(ge=1, le=MAX_VERSION)]
    default: bool = True


class Undeployment(msgspec.Struct, frozen=True):
    """A version that engines no longer hold."""

    model: str
    version: int
    state: str = "undeployed"


OrderBody = Annotated[DeploymentOrder, Depends(json_body(DeploymentOrder))]


@router.post("/models/{model}/deployments", **described(Deployment, takes=DeploymentOrder))
async def deploy(
    model: ModelName, order: OrderBody, services: ServicesOf, actor: ActorOf
) -> Response:
    """Loads a version into every engine and answers when it is ready; a failure changes nothing."""
    deployed = await services.deployments.deploy(model, order.version, order.default, actor)
    return answer(deployed)


@router.delete("/models/{model}/deployments/{version}", **described(Undeployment))
async def undeploy(
    model: ModelName, version: VersionNumber, services: ServicesOf, actor: ActorOf
) -> Response:
    """Takes a version out of the engines; refused while the default or an alias points at it."""
    await services.deployments.undeploy(model, version, actor)
    return answer(Undeployment(model, version))
