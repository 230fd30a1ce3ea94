"""The OpenAPI description of the management API."""

from typing import Any

import msgspec
from fastapi import FastAPI

from augurium.access.keys import IssuedKey, KeyDraft
from augurium.batch.report import Report
from augurium.control.activity import Activity
from augurium.control.batch_schedule_views import (
    BatchRunList,
    BatchScheduleDetail,
    BatchScheduleList,
    BatchScheduleSummary,
    OrderedRuns,
)
from augurium.control.batch_views import BatchJobDetail, BatchJobList, BatchLog
from augurium.control.deployments import Deployment
from augurium.control.errors import ErrorBody
from augurium.control.feedback_intake import FeedbackReceipt
from augurium.control.import_pipeline import ImportOrder
from augurium.control.imports import Import
from augurium.control.rollout_views import EventList, RolloutDetail, RolloutList
from augurium.control.routes.aliases import AliasOrder
from augurium.control.routes.answers import REFERENCE, described
from augurium.control.routes.approvals import ApprovalOrder, ApprovalRequest, ApprovalRule
from augurium.control.routes.audit import AuditList
from augurium.control.routes.batch_schedules import BatchScheduleOrder, RunOrder
from augurium.control.routes.cards import Card
from augurium.control.routes.deployments import DeploymentOrder, Undeployment
from augurium.control.routes.feedback import FeedbackList, FeedbackSummary
from augurium.control.routes.garbage import CollectionOrder
from augurium.control.routes.history import History
from augurium.control.routes.keys import KeyList
from augurium.control.routes.models import ModelChange, ModelList
from augurium.control.routes.predictions import PredictionList
from augurium.control.routes.rollouts import Reason, RolloutOrder
from augurium.control.routes.scaling import NodeScaling
from augurium.control.routes.server import Liveness, Readiness, Server
from augurium.control.routes.traffic import (
    TrafficHistory,
    TrafficOrder,
    TrafficReversion,
    TrafficState,
)
from augurium.control.routes.transfers import TrustOrder
from augurium.control.routes.variants import ModelSeries, ModelVariants
from augurium.control.routes.versions import VersionChange, VersionList
from augurium.control.shadow_report import ShadowReport
from augurium.control.transfers import TrustedKeys
from augurium.core.batch_job import BatchSpec
from augurium.feedback.row import FeedbackLine
from augurium.registry.chain import AuditCheck
from augurium.registry.garbage import Collection
from augurium.registry.records import Artifact, SearchPage
from augurium.registry.signing import TrustedKey
from augurium.statistics.profiles import Profile

STRUCTS = (
    AliasOrder,
    ApprovalOrder,
    ApprovalRequest,
    ApprovalRule,
    Artifact,
    AuditCheck,
    AuditList,
    BatchJobDetail,
    BatchJobList,
    BatchLog,
    BatchRunList,
    BatchScheduleDetail,
    BatchScheduleList,
    BatchScheduleOrder,
    BatchScheduleSummary,
    BatchSpec,
    Card,
    Collection,
    CollectionOrder,
    Deployment,
    DeploymentOrder,
    ErrorBody,
    FeedbackLine,
    FeedbackList,
    FeedbackReceipt,
    FeedbackSummary,
    EventList,
    History,
    Import,
    IssuedKey,
    KeyDraft,
    KeyList,
    ImportOrder,
    Liveness,
    ModelChange,
    ModelList,
    ModelSeries,
    ModelVariants,
    NodeScaling,
    PredictionList,
    Profile,
    Readiness,
    Reason,
    Report,
    RolloutDetail,
    RolloutList,
    RolloutOrder,
    OrderedRuns,
    RunOrder,
    SearchPage,
    Server,
    ShadowReport,
    Activity,
    TrafficHistory,
    TrafficOrder,
    TrafficReversion,
    TrafficState,
    Undeployment,
    VersionChange,
    TrustedKey,
    TrustedKeys,
    TrustOrder,
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
