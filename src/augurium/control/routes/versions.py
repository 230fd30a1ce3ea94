"""Routes: versions."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import (
    ActorOf,
    ModelName,
    ServicesOf,
    VersionNumber,
    json_body,
)
from augurium.registry.records import Version

router = APIRouter(tags=["versions"])


class VersionList(msgspec.Struct, frozen=True):
    """All versions of a model, oldest first."""

    versions: list[Version]


class VersionChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tags that shall change; one of null is removed, others stay."""

    tags: dict[str, str | None]


ChangeBody = Annotated[VersionChange, Depends(json_body(VersionChange))]


@router.get("/models/{model}/versions", **described(VersionList))
def list_versions(model: ModelName, services: ServicesOf, deleted: bool = False) -> Response:
    """All versions of a model, oldest first; with `deleted` those that are deleted too."""
    return answer(VersionList(list(services.registry.versions(model, deleted))))


@router.get("/models/{model}/versions/{version}", **described(Version))
def get_version(model: ModelName, version: VersionNumber, services: ServicesOf) -> Response:
    """One version with its signature, metrics and import report."""
    return answer(services.registry.version(model, version))


@router.patch("/models/{model}/versions/{version}", **described(Version, takes=VersionChange))
def edit_version(
    model: ModelName,
    version: VersionNumber,
    change: ChangeBody,
    services: ServicesOf,
    actor: ActorOf,
) -> Response:
    """Changes tags; everything else about a version is what it was registered with."""
    return answer(services.registry.edit_tags(model, version, change.tags, actor))
