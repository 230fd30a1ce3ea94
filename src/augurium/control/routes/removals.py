"""Routes: deletion and restoration of models and versions."""

from fastapi import APIRouter
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ActorOf, ModelName, ServicesOf, VersionNumber
from augurium.registry.records import Model, Version

router = APIRouter(tags=["removals"])
MODEL = "/models/{model}"
VERSION = "/models/{model}/versions/{version}"


@router.delete(MODEL, **described(Model))
def delete_model(model: ModelName, services: ServicesOf, actor: ActorOf) -> Response:
    """Hides a model until it is restored or purged; refused while anything of it is in use."""
    services.registry.delete_model(model, actor)
    return answer(services.registry.model(model))


@router.post(f"{MODEL}/restoration", **described(Model))
def restore_model(model: ModelName, services: ServicesOf, actor: ActorOf) -> Response:
    """Shows a deleted model again."""
    services.registry.restore_model(model, actor)
    return answer(services.registry.model(model))


@router.delete(VERSION, **described(Version))
def delete_version(
    model: ModelName, version: VersionNumber, services: ServicesOf, actor: ActorOf
) -> Response:
    """Hides a version until it is restored or purged; refused while it is in use."""
    services.registry.delete_version(model, version, actor)
    return answer(services.registry.version(model, version))


@router.post(f"{VERSION}/restoration", **described(Version))
def restore_version(
    model: ModelName, version: VersionNumber, services: ServicesOf, actor: ActorOf
) -> Response:
    """Shows a deleted version again."""
    services.registry.restore_version(model, version, actor)
    return answer(services.registry.version(model, version))
