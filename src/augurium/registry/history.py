"""What the registry wanted at a time, told from the audit log alone."""

from collections.abc import Iterable
from datetime import datetime

from augurium.core.errors import InvalidArgument
from augurium.core.traffic_policy import TrafficRevision
from augurium.registry.records import AuditEntry, Decision, Served
from augurium.registry.traffic_rules import revision_in

# the changes that move what is served
POINTER_ACTIONS = frozenset(
    {"deploy", "undeploy", "set_default", "clear_default", "set_alias", "remove_alias"}
)
# the changes of who answers a request that names no version
TRAFFIC_ACTIONS = frozenset({"set_traffic", "clear_traffic", "revert_traffic"})
_STATE_AFTER = {"register": "live", "delete": "deleted", "restore": "live", "purge": "purged"}


def check_moment(at: datetime) -> None:
    """Raises InvalidArgument for a time without a zone."""
    if at.utcoffset() is None:
        raise InvalidArgument(
            f"time {at.isoformat()} has no time zone; add one, as in 2026-01-31T12:00:00Z"
        )


def served_at(model: str, at: datetime, entries: Iterable[AuditEntry]) -> Served:
    """Replays the changes of a model, oldest first, up to and including those at `at`."""
    replay = _Replay()
    for entry in entries:
        if entry.at > at:
            break
        replay.apply(entry)
    return Served(
        model=model,
        at=at,
        state=replay.state,
        default=replay.default,
        aliases=dict(sorted(replay.aliases.items())),
        deployed=tuple(replay.deployed[version] for version in sorted(replay.deployed)),
        traffic=replay.traffic,
    )


class _Replay:
    def __init__(self) -> None:
        self.state = "unknown"
        self.default: Decision | None = None
        self.aliases: dict[str, Decision] = {}
        self.deployed: dict[int, Decision] = {}
        self.traffic: TrafficRevision | None = None

    def apply(self, entry: AuditEntry) -> None:
        if entry.version is None or entry.action == "register":
            self.state = _STATE_AFTER.get(entry.action, self.state)
        if entry.action in POINTER_ACTIONS and entry.version is not None:
            self._move(entry.action, entry.details.get("alias", ""), _decision(entry))
        if entry.action in TRAFFIC_ACTIONS:
            self.traffic = revision_in(entry)

    def _move(self, action: str, alias: str, decision: Decision) -> None:
        match action:
            case "deploy":
                self.deployed[decision.version] = decision
            case "undeploy":
                self.deployed.pop(decision.version, None)
            case "set_default":
                self.default = decision
            case "clear_default":
                self.default = None
            case "set_alias":
                self.aliases[alias] = decision
            case "remove_alias":
                self.aliases.pop(alias, None)


def _decision(entry: AuditEntry) -> Decision:
    return Decision(
        version=entry.version or 0,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        revision=entry.revision,
    )
