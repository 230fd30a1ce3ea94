"""Routes: imports."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from augurium.control.import_pipeline import ImportOrder
from augurium.control.imports import Import
from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ActorOf, CallerOf, ModelName, ServicesOf, json_body

router = APIRouter(tags=["imports"])
OrderBody = Annotated[ImportOrder, Depends(json_body(ImportOrder))]


@router.post("/models/{model}/imports", **described(Import, takes=ImportOrder, status=202))
def start_import(
    model: ModelName, order: OrderBody, services: ServicesOf, actor: ActorOf
) -> Response:
    """Begins to make an uploaded file the next version; the import says how it goes."""
    return answer(services.imports.submit(model, order, actor), 202)


@router.get("/imports/{import_id}", **described(Import))
def get_import(import_id: str, services: ServicesOf, caller: CallerOf) -> Response:
    """Where an import stands."""
    return answer(services.imports.get(import_id, caller.sees))
