"""Rights: what every operation asks of its caller. What is not listed here is refused.

The only place that says so, for the management API, for REST and for gRPC.
"""

import re
from typing import NamedTuple

from augurium.access.scopes import Scope, Scopes
from augurium.core.errors import AuguriumError, MethodNotAllowed, NotFound, PermissionDenied


class Need(NamedTuple):
    """What a caller needs: one of the `scopes`, or nothing at all if the operation is `public`.

    `every_model` is for what cannot be cut down to the models of a pattern, `creates` for what may
    bring a model into being.
    """

    scopes: Scopes = frozenset()
    public: bool = False
    every_model: bool = False
    creates: bool = False


PUBLIC = Need(public=True)
# a caller who may predict may know how to ask
LOOK = Need(frozenset({Scope.READ, Scope.PREDICT}))
PREDICT = Need(frozenset({Scope.PREDICT}))
READ = Need(frozenset({Scope.READ}))
READ_ALL = Need(frozenset({Scope.READ}), every_model=True)
BATCH = Need(frozenset({Scope.BATCH}))
# who runs jobs may see how they stand
LOOK_AT_JOBS = Need(frozenset({Scope.READ, Scope.BATCH}))
DEPLOY = Need(frozenset({Scope.DEPLOY}))
CREATE = Need(frozenset({Scope.DEPLOY}), creates=True)
ADMIN = Need(frozenset({Scope.ADMIN}))
ADMIN_ALL = Need(frozenset({Scope.ADMIN}), every_model=True)

DATA_PLANE: dict[str, Need] = {
    "live": PUBLIC,
    "ready": PUBLIC,
    "server": LOOK,
    "models": LOOK,
    "metadata": LOOK,
    "model_ready": LOOK,
    "infer": PREDICT,
    "explain": PREDICT,
    "generate": PREDICT,
    "config": LOOK,
    "statistics": LOOK,
    "index": LOOK,
    "load": DEPLOY,
    "unload": DEPLOY,
    "logging": ADMIN,
}

_MODEL = "/api/v1/models/{model}"
_VERSION = "/api/v1/models/{model}/versions/{version}"
_ROLLOUTS = "/api/v1/rollouts"
_ROLLOUT = "/api/v1/rollouts/{rollout}"
_JOBS = "/api/v1/batch-jobs"
_JOB = "/api/v1/batch-jobs/{job}"
_SCHEDULES = "/api/v1/batch-schedules"
_SCHEDULE = "/api/v1/batch-schedules/{schedule}"
_KEYS = "/api/v1/keys"
MANAGEMENT: dict[tuple[str, str], Need] = {
    ("GET", "/api/v1/live"): PUBLIC,
    ("GET", "/api/v1/ready"): PUBLIC,
    ("GET", "/api/v1/server"): LOOK,
    ("GET", "/api/v1/activity"): READ,
    ("GET", "/api/v1/scaling"): LOOK,
    ("GET", "/api/v1/models"): READ,
    ("GET", _MODEL): READ,
    ("GET", f"{_MODEL}/versions"): READ,
    ("GET", f"{_MODEL}/variants"): READ,
    ("GET", f"{_MODEL}/series"): READ,
    ("GET", _VERSION): READ,
    ("GET", f"{_VERSION}/profile"): READ,
    ("DELETE", _MODEL): DEPLOY,
    ("DELETE", _VERSION): DEPLOY,
    ("POST", f"{_MODEL}/restoration"): DEPLOY,
    ("POST", f"{_VERSION}/restoration"): DEPLOY,
    ("GET", f"{_MODEL}/card"): READ,
    ("PUT", f"{_MODEL}/card"): DEPLOY,
    ("GET", f"{_VERSION}/card"): READ,
    ("PUT", f"{_VERSION}/card"): DEPLOY,
    ("GET", f"{_MODEL}/history"): READ,
    # it shows rows of callers
    ("GET", f"{_MODEL}/shadow"): DEPLOY,
    # who asks for an approval does not give it
    ("POST", f"{_VERSION}/approval-request"): DEPLOY,
    ("PUT", f"{_VERSION}/approval"): ADMIN,
    ("PUT", f"{_MODEL}/approval-rule"): ADMIN,
    # what callers sent may be personal data
    ("GET", f"{_MODEL}/predictions"): ADMIN,
    # whoever asks for predictions hears what became of them; each row names a model
    ("POST", "/api/v1/feedback"): PREDICT,
    ("GET", f"{_MODEL}/feedback"): READ,
    ("GET", f"{_MODEL}/feedback/summary"): READ,
    ("GET", "/api/v1/search"): READ,
    ("GET", "/api/v1/audit/verification"): READ_ALL,
    ("POST", "/api/v1/gc"): ADMIN_ALL,
    ("POST", "/api/v1/artifacts"): DEPLOY,
    ("POST", f"{_MODEL}/imports"): CREATE,
    ("GET", "/api/v1/imports/{import_id}"): READ,
    # who may take a model away may put one in its place, and the other way round
    ("GET", f"{_VERSION}/archive"): DEPLOY,
    ("POST", f"{_MODEL}/archives"): CREATE,
    ("GET", "/api/v1/trust"): READ_ALL,
    # archives of every model are believed or not by these
    ("POST", "/api/v1/trust"): ADMIN_ALL,
    ("DELETE", "/api/v1/trust/{name}"): ADMIN_ALL,
    ("POST", f"{_MODEL}/deployments"): DEPLOY,
    ("DELETE", f"{_MODEL}/deployments/{{version}}"): DEPLOY,
    ("PUT", f"{_MODEL}/aliases/{{alias}}"): DEPLOY,
    ("DELETE", f"{_MODEL}/aliases/{{alias}}"): DEPLOY,
    ("PATCH", _MODEL): DEPLOY,
    ("DELETE", f"{_MODEL}/default"): DEPLOY,
    ("PUT", f"{_MODEL}/serving"): DEPLOY,
    ("GET", f"{_MODEL}/traffic"): READ,
    ("PUT", f"{_MODEL}/traffic"): DEPLOY,
    ("DELETE", f"{_MODEL}/traffic"): DEPLOY,
    ("GET", f"{_MODEL}/traffic/history"): READ,
    ("POST", f"{_MODEL}/traffic/revert"): DEPLOY,
    ("PATCH", _VERSION): DEPLOY,
    # whose models the caller may see, the routes ask themselves: a rollout's is not in its path
    ("GET", _ROLLOUTS): READ,
    ("POST", _ROLLOUTS): DEPLOY,
    ("GET", _ROLLOUT): READ,
    ("GET", f"{_ROLLOUT}/events"): READ,
    ("POST", f"{_ROLLOUT}/pause"): DEPLOY,
    ("POST", f"{_ROLLOUT}/resume"): DEPLOY,
    ("POST", f"{_ROLLOUT}/promote"): DEPLOY,
    ("POST", f"{_ROLLOUT}/abort"): DEPLOY,
    ("GET", "/api/v1/events"): READ,
    # of a job's model the routes ask themselves, as of a rollout's
    ("GET", _JOBS): LOOK_AT_JOBS,
    ("POST", _JOBS): BATCH,
    ("GET", _JOB): LOOK_AT_JOBS,
    ("GET", f"{_JOB}/events"): LOOK_AT_JOBS,
    # what these say of bad rows may show what is in them
    ("GET", f"{_JOB}/report"): BATCH,
    ("GET", f"{_JOB}/report.html"): BATCH,
    ("GET", f"{_JOB}/logs"): BATCH,
    ("POST", f"{_JOB}/pause"): BATCH,
    ("POST", f"{_JOB}/resume"): BATCH,
    ("POST", f"{_JOB}/cancel"): BATCH,
    ("POST", f"{_JOB}/retry"): BATCH,
    ("GET", _SCHEDULES): LOOK_AT_JOBS,
    ("POST", _SCHEDULES): BATCH,
    ("GET", _SCHEDULE): LOOK_AT_JOBS,
    ("DELETE", _SCHEDULE): BATCH,
    ("GET", f"{_SCHEDULE}/runs"): LOOK_AT_JOBS,
    ("POST", f"{_SCHEDULE}/runs"): BATCH,
    ("POST", f"{_SCHEDULE}/pause"): BATCH,
    ("POST", f"{_SCHEDULE}/resume"): BATCH,
    ("GET", "/api/v1/audit"): READ,
    ("GET", _KEYS): ADMIN,
    ("POST", _KEYS): ADMIN,
    ("POST", f"{_KEYS}/{{key}}/rotation"): ADMIN,
    ("DELETE", f"{_KEYS}/{{key}}"): ADMIN,
    ("GET", "/metrics"): READ_ALL,
    ("GET", "/docs"): READ,
    ("GET", "/openapi.json"): READ,
}


class Route(NamedTuple):
    """A listed route of the management API: what it needs and the segments of its path."""

    need: Need
    values: dict[str, str]


def allowed_operations(scopes: Scopes) -> frozenset[str]:
    """The operations of the data plane that one of these scopes allows."""
    return frozenset(
        operation
        for operation, need in DATA_PLANE.items()
        if need.public or not need.scopes.isdisjoint(scopes)
    )


def management_route(method: str, path: str) -> Route | None:
    """The listed route of a path; None if there is none for it. HEAD is as GET."""
    for pattern, methods in _ROUTES:
        found = pattern.fullmatch(path)
        need = methods.get("GET" if method == "HEAD" else method) if found else None
        if found and need:
            return Route(need, found.groupdict())
    return None


def unlisted(method: str, path: str) -> AuguriumError:
    """What is said of a route that is not listed, whether or not there is one."""
    if any(pattern.fullmatch(path) for pattern, _ in _ROUTES):
        return MethodNotAllowed(f"{method[:16]} is not allowed here; see /docs for what there is")
    return NotFound("there is nothing at this address; see /docs for what there is")


def denied(need: Need) -> PermissionDenied:
    """What a caller without the scope is told."""
    wanted = " or ".join(f"'{scope}'" for scope in sorted(need.scopes))
    return PermissionDenied(f"this needs a credential with scope {wanted}; yours has others")


def _expression(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))


def _routes() -> list[tuple[re.Pattern[str], dict[str, Need]]]:
    by_path: dict[str, dict[str, Need]] = {}
    for (method, template), need in MANAGEMENT.items():
        by_path.setdefault(template, {})[method] = need
    return [(_expression(template), methods) for template, methods in by_path.items()]


_ROUTES = _routes()
