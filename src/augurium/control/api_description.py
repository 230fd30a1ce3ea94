"""The OpenAPI description of the management API."""

from typing import Any

import msgspec
from fastapi import FastAPI

from augurium.control.deployments import Deployment
from augurium.control.errors import ErrorBody
from augurium.control.import_pipeline import ImportOrder
from augurium.control.imports import Import
from augurium.control.routes.aliases import AliasOrder
from augurium.control.routes.answers import REFERENCE, described
from augurium.control.routes.audit import AuditList
from augurium.control.routes.deployments import DeploymentOrder, Undeployment
from augurium.control.routes.models import ModelList
from augurium.control.routes.server import Liveness, Readiness, Server
from augurium.control.routes.versions import VersionList
from augurium.registry.records import Artifact

STRUCTS = (
    AliasOrder,
    Artifact,
    AuditList,
    Deployment,
    DeploymentOrder,
    ErrorBody,
    Import,
    ImportOrder,
    Liveness,
    ModelList,
    Readiness,
    Server,
    Undeployment,
    VersionList,
)
ANY_REFUSAL = {"description": "A refusal", **described(ErrorBody)["responses"][200]}


def describe(app: FastAPI) -> dict[str, Any]:
    """FastAPI's routes with the schemas of our structs, as a tree; made once per application."""
    if app.openapi_schema is None:
        tree = app.openapi()
        _, schemas = msgspec.json.schema_components(STRUCTS, ref_template=REFERENCE)
        tree["components"] = {"schemas": schemas}
        for path in tree["paths"].values():
            for operation in path.values():
                _describe_refusals(operation)
    return app.openapi_schema or {}


def _describe_refusals(operation: dict[str, Any]) -> None:
    # FastAPI promises its own 422 body; ours is a 400 and looks like every other refusal
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = ANY_REFUSAL
