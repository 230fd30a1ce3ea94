"""Routes: models."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import Response

from augurium.control.fallback_check import fallback_models
from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import (
    ActorOf,
    CallerOf,
    ModelName,
    ServicesOf,
    json_body,
)
from augurium.core.serving_policy import ServingPolicy
from augurium.registry.records import Model, ModelEdit
from augurium.registry.rules import model_not_found

router = APIRouter(tags=["models"])


class ModelList(msgspec.Struct, frozen=True):
    """All models, ordered by name."""

    models: list[Model]


class ModelChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall change: a text, and tags; a tag of null is removed, others stay."""

    description: str | None = None
    tags: dict[str, str | None] = {}


PolicyBody = Annotated[ServingPolicy, Depends(json_body(ServingPolicy))]
ChangeBody = Annotated[ModelChange, Depends(json_body(ModelChange))]


@router.get("/models", **described(ModelList))
def list_models(services: ServicesOf, caller: CallerOf, deleted: bool = False) -> Response:
    """All models, ordered by name; with `deleted` those that are deleted too."""
    found = services.registry.models(deleted)
    return answer(ModelList([model for model in found if caller.sees(model.name)]))


@router.get("/models/{model}", **described(Model))
def get_model(model: ModelName, services: ServicesOf) -> Response:
    """One model with its default version and aliases."""
    return answer(services.registry.model(model))


@router.patch("/models/{model}", **described(Model, takes=ModelChange))
def edit_model(
    model: ModelName, change: ChangeBody, services: ServicesOf, actor: ActorOf
) -> Response:
    """Changes description and tags."""
    edit = ModelEdit(description=change.description, tags=change.tags)
    return answer(services.registry.edit_model(model, edit, actor))


@router.put("/models/{model}/serving", **described(Model, takes=ServingPolicy))
async def set_serving(
    model: ModelName, policy: PolicyBody, services: ServicesOf, actor: ActorOf, caller: CallerOf
) -> Response:
    """Decides how the model is served, in every engine; what is left out has its default."""
    for name in fallback_models(policy):
        if not caller.sees(name):
            raise model_not_found(name)
    return answer(await services.deployments.set_serving(model, policy, actor))


@router.delete("/models/{model}/default", **described(Model))
async def clear_default(model: ModelName, services: ServicesOf, actor: ActorOf) -> Response:
    """Takes the default away; requests that name no version are refused from then on."""
    return answer(await services.deployments.clear_default(model, actor))
