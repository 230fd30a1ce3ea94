"""Routes: models."""

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ModelName, ServicesOf
from augurium.registry.records import Model

router = APIRouter(tags=["models"])


class ModelList(msgspec.Struct, frozen=True):
    """All models, ordered by name."""

    models: list[Model]


@router.get("/models", **described(ModelList))
def list_models(services: ServicesOf) -> Response:
    """All models, ordered by name."""
    return answer(ModelList(list(services.registry.models())))


@router.get("/models/{model}", **described(Model))
def get_model(model: ModelName, services: ServicesOf) -> Response:
    """One model with its default version and aliases."""
    return answer(services.registry.model(model))
