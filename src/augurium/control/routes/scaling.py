"""Routes: how the number of engines and of replicas is decided."""

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from augurium.control.replica_scaling import ScaledModel
from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import CallerOf, ServicesOf
from augurium.control.supervision import EngineState
from augurium.scaling.decision import Decision
from augurium.scaling.node_policy import node_policy
from augurium.scaling.policy import Targets
from augurium.scaling.scaler import LoggedDecision

router = APIRouter(tags=["server"])


class ModelScaling(msgspec.Struct, frozen=True, kw_only=True):
    """The replicas of one model: how many it shall have and how many run now, between which numbers
    and towards which targets, and the decisions as of the engines.
    """

    model: str
    replicas: int
    running: int
    least: int
    most: int
    targets: Targets
    schedules: tuple[str, ...]
    latest: Decision | None
    decisions: tuple[LoggedDecision, ...]
    counts: dict[str, int]


class NodeScaling(msgspec.Struct, frozen=True, kw_only=True):
    """The engines by slot, between which numbers and towards which targets they are scaled, the
    newest decision, and the log: what changed the number, or had another reason than before not to,
    newest first. `reported_s_ago` is how long ago the supervisor said so. `models` are those whose
    replicas are not simply one.
    """

    enabled: bool
    engines: dict[str, EngineState]
    min_engines: int
    max_engines: int
    targets: Targets
    schedules: tuple[str, ...]
    latest: Decision | None
    decisions: tuple[LoggedDecision, ...]
    counts: dict[str, int]
    reported_s_ago: float | None
    models: tuple[ModelScaling, ...] = ()


@router.get("/scaling", **described(NodeScaling))
async def get_scaling(services: ServicesOf, caller: CallerOf) -> Response:
    """The engines, the newest decision about their number, and why it was made; and the same of the
    replicas of models.
    """
    engines, settings = services.engines, services.node.settings.scaling
    fixed = len(services.node.engines)
    return answer(
        NodeScaling(
            enabled=settings.enabled,
            engines=engines.states,
            min_engines=settings.min_engines if settings.enabled else fixed,
            max_engines=settings.max_engines if settings.enabled else fixed,
            targets=node_policy(settings).targets if settings.enabled else Targets(),
            schedules=settings.schedules,
            latest=engines.scaling.latest,
            decisions=tuple(reversed(engines.log)),
            counts=engines.scaling.counts,
            reported_s_ago=engines.reported_s_ago(),
            models=tuple(
                _scaling_of(model)
                for name, model in sorted(services.replicas.models.items())
                if caller.sees(name)
            ),
        )
    )


def _scaling_of(model: ScaledModel) -> ModelScaling:
    scaler = model.scaler
    policy = scaler.policy
    return ModelScaling(
        model=model.group.name,
        replicas=model.group.current(),
        running=len(model.group.pids),
        least=policy.smallest,
        most=policy.largest,
        targets=policy.targets,
        schedules=tuple(schedule.text for schedule in policy.schedules),
        latest=scaler.latest,
        decisions=tuple(reversed(scaler.since(0))),
        counts=dict(scaler.counts),
    )
