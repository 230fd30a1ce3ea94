"""The part of the client that starts rollouts, watches them and gives them orders."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from augurium.client import rollout_results
from augurium.client.connection import Connection, api_url
from augurium.core.errors import NotFound

Order = Literal["pause", "resume", "promote", "abort"]
# a start returns when every engine answers by it
START_TIMEOUT_S = 60.0
WAIT_S = 25.0


def rollout_parameters(model: str | None, active: bool | None, limit: int) -> dict[str, str]:
    """What of these is given, as a URL has it."""
    given = {"model": model, "active": None if active is None else str(active).lower()}
    return {"limit": str(limit)} | {key: value for key, value in given.items() if value}


class RolloutCalls:
    """Rollouts: canaries, experiments and bandits."""

    _connection: Connection

    def start_rollout(
        self, name: str, plan: Mapping[str, Any], kind: str = "canary"
    ) -> rollout_results.Rollout:
        """Starts a rollout of a model; every engine answers by it when this returns.

        Raises Conflict while another one of the model is active, with who started it and when.
        """
        body = {"model": name, "kind": kind, "plan": dict(plan)}
        return self._connection.call(
            "POST",
            self._rollouts(),
            rollout_results.Rollout,
            body=body,
            timeout_s=START_TIMEOUT_S,
        )

    def rollouts(
        self, name: str | None = None, active: bool | None = None, limit: int = 100
    ) -> tuple[rollout_results.RolloutSummary, ...]:
        """Rollouts, the newest first: of one model or of all, active or ended ones."""
        parameters = rollout_parameters(name, active, limit)
        found = self._connection.call(
            "GET", self._rollouts(), rollout_results.Rollouts, parameters=parameters
        )
        return found.rollouts

    def rollout(self, which: str, peek: bool = False) -> rollout_results.Rollout:
        """A rollout by its id, or the newest of a model by the model's name; with `peek` an
        experiment's verdict as of now. Raises NotFound.
        """
        parameters = {"peek": "true"} if peek else {}
        return self._connection.call(
            "GET",
            self._rollouts(self.rollout_id(which)),
            rollout_results.Rollout,
            parameters=parameters,
        )

    def rollout_id(self, which: str) -> str:
        """The id of the newest rollout of a model, or the id itself. Raises NotFound."""
        if is_rollout_id(which):
            return which
        found = self.rollouts(which, limit=1)
        if not found:
            raise never_had(which)
        return found[0].id

    def order_rollout(self, which: str, order: Order, reason: str = "") -> rollout_results.Rollout:
        """Pauses, resumes, promotes at once or aborts a rollout, by its id or its model's name.

        Raises NotFound, and Conflict for one that has ended.
        """
        return self._connection.call(
            "POST",
            self._rollouts(self.rollout_id(which), order),
            rollout_results.Rollout,
            body={"reason": reason},
            timeout_s=START_TIMEOUT_S,
        )

    def rollout_events(
        self, which: str, after: int = 0
    ) -> tuple[rollout_results.RolloutEvent, ...]:
        """What happened in a rollout, the oldest first; only events with a number above `after`."""
        found = self._connection.call(
            "GET",
            self._rollouts(self.rollout_id(which), "events"),
            rollout_results.RolloutEvents,
            parameters={"after": str(after)},
        )
        return found.events

    def events(
        self, after: int | None = None, wait_s: float = 0.0
    ) -> rollout_results.RolloutEvents:
        """Events of all rollouts with a number above `after`, without it those from now on; waits
        up to `wait_s` seconds for one.
        """
        parameters = {"wait_s": str(wait_s)} | ({} if after is None else {"after": str(after)})
        return self._connection.call(
            "GET",
            api_url(self._connection.url, "events"),
            rollout_results.RolloutEvents,
            parameters=parameters,
            timeout_s=wait_s + 10.0,
        )

    def follow_events(self, after: int | None = None) -> Iterator[rollout_results.RolloutEvent]:
        """Events of all rollouts as they happen, for ever."""
        while True:
            found = self.events(after, 0.0 if after is None else WAIT_S)
            yield from found.events
            after = found.newest

    def _rollouts(self, *further: object) -> str:
        return api_url(self._connection.url, "rollouts", *further)


def never_had(which: str) -> NotFound:
    """What is said of a model without rollouts."""
    return NotFound(
        f"'{which}' never had a rollout; start one with `augurium rollout start {which}@VERSION`"
    )


def is_rollout_id(which: str) -> bool:
    """Whether it is an id and not the name of a model."""
    return len(which) == 32 and all(letter in "0123456789abcdef" for letter in which)
