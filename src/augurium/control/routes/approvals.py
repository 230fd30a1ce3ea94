"""Routes: approvals, and whether a model requires them."""

from typing import Annotated, Literal

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
from augurium.registry.records import Model, ModelEdit, Version

router = APIRouter(tags=["approvals"])


class ApprovalOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A decision on a version, and why; `none` takes back what was asked or decided."""

    approval: Literal["approved", "rejected", "pending", "none"]
    reason: str = ""


class ApprovalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a version should be approved."""

    reason: str = ""


class ApprovalRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether only approved versions of a model may be deployed from now on."""

    required: bool


OrderBody = Annotated[ApprovalOrder, Depends(json_body(ApprovalOrder))]
RequestBody = Annotated[ApprovalRequest, Depends(json_body(ApprovalRequest))]
RuleBody = Annotated[ApprovalRule, Depends(json_body(ApprovalRule))]
APPROVAL = "/models/{model}/versions/{version}/approval"


@router.put(APPROVAL, **described(Version, takes=ApprovalOrder))
def decide(
    model: ModelName,
    version: VersionNumber,
    order: OrderBody,
    services: ServicesOf,
    actor: ActorOf,
) -> Response:
    """Approves or rejects a version."""
    approval, reason = order.approval, order.reason
    return answer(services.registry.set_approval(model, version, approval, actor, reason))


@router.post(f"{APPROVAL}-request", **described(Version, takes=ApprovalRequest))
def request_approval(
    model: ModelName,
    version: VersionNumber,
    order: RequestBody,
    services: ServicesOf,
    actor: ActorOf,
) -> Response:
    """Asks that a version be approved."""
    return answer(services.registry.set_approval(model, version, "pending", actor, order.reason))


@router.put("/models/{model}/approval-rule", **described(Model, takes=ApprovalRule))
def set_rule(model: ModelName, rule: RuleBody, services: ServicesOf, actor: ActorOf) -> Response:
    """Whether only approved versions may be deployed; what is deployed already stays."""
    edit = ModelEdit(requires_approval=rule.required)
    return answer(services.registry.edit_model(model, edit, actor))
