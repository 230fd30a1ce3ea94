"""Routes: reference profiles."""

from fastapi import APIRouter
from starlette.responses import Response

from augurium.control.routes.answers import described
from augurium.control.routes.parameters import ModelName, ServicesOf, VersionNumber
from augurium.statistics.profiles import Profile

router = APIRouter(tags=["versions"])


@router.get("/models/{model}/versions/{version}/profile", **described(Profile))
def get_profile(model: ModelName, version: VersionNumber, services: ServicesOf) -> Response:
    """What the training data and the answers to it looked like, feature by feature."""
    return Response(services.profiles.get(model, version), media_type="application/json")
