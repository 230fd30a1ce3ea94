"""Routes: versions."""

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import ModelName, ServicesOf, VersionNumber
from augurium.registry.records import Version

router = APIRouter(tags=["versions"])


class VersionList(msgspec.Struct, frozen=True):
    """All versions of a model, oldest first."""

    versions: list[Version]


@router.get("/models/{model}/versions", **described(VersionList))
def list_versions(model: ModelName, services: ServicesOf) -> Response:
    """All versions of a model, oldest first."""
    return answer(VersionList(list(services.registry.versions(model))))


@router.get("/models/{model}/versions/{version}", **described(Version))
def get_version(model: ModelName, version: VersionNumber, services: ServicesOf) -> Response:
    """One version with its signature, metrics and import report."""
    return answer(services.registry.version(model, version))
