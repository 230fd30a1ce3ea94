"""How a rollout begins from a model, and the ways in which it may end before its time."""

from msgspec import structs, to_builtins

from augurium.control.rollout_course import Beginning
from augurium.control.rollout_state import Move, RolloutState, with_split
from augurium.core.errors import Conflict
from augurium.core.traffic_policy import TrafficPolicy
from augurium.registry.records import Model
from augurium.registry.rollout_records import Rollout, RolloutDraft, RolloutNote


def draft_of(model: Model, kind: str, beginning: Beginning) -> RolloutDraft:
    """A rollout that begins so. Raises Conflict where the model is split already."""
    traffic = model.traffic
    before = traffic.policy if traffic else None
    if before is not None and before.split:
        raise Conflict(
            f"the traffic policy of '{model.name}' has a split already; end it first with"
            f" `augurium traffic clear {model.name}`"
        )
    state = RolloutState(
        control=beginning.control,
        policy=_policy(before, beginning),
        before=before,
        course=beginning.course,
        traffic_revision=traffic.revision if traffic else 0,
    )
    return RolloutDraft(
        model=model.name,
        kind=kind,
        version=beginning.version,
        plan=beginning.plan,
        state=to_builtins(state),
        status="running",
    )


def _policy(before: TrafficPolicy | None, beginning: Beginning) -> TrafficPolicy:
    policy = with_split(before, beginning.split)
    said = {"unit": beginning.unit, "salt": beginning.salt}
    return structs.replace(policy, **{key: value for key, value in said.items() if value})


def failed(state: RolloutState, reason: str) -> Move:
    """The end of what cannot go on: everything is as it was before."""
    note = RolloutNote(kind="trouble", text=reason, action="stop_rollout")
    return Move(course=state.course, outcome="failed", reason=reason, urgent=True, notes=(note,))


def has_ended(rollout: Rollout) -> Conflict:
    """What is said to who wants something of it."""
    return Conflict(
        f"rollout {rollout.id} of '{rollout.model}' has ended or is ending: {rollout.status}"
    )
