"""The part of the client for asyncio that starts rollouts, watches them and gives them orders."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

from augurium.client import rollout_results
from augurium.client.async_connection import AsyncConnection
from augurium.client.connection import api_url
from augurium.client.deadline import Deadline
from augurium.client.rollout_calls import (
    START_TIMEOUT_S,
    WAIT_S,
    Order,
    is_rollout_id,
    never_had,
    rollout_parameters,
)

Result = TypeVar("Result")


class AsyncRolloutCalls:
    """As `RolloutCalls`, for asyncio."""

    _connection: AsyncConnection
    _timeout_s: float

    async def start_rollout(
        self, name: str, plan: Mapping[str, Any], kind: str = "canary"
    ) -> rollout_results.Rollout:
        """As `Client.start_rollout`."""
        body = {"model": name, "kind": kind, "plan": dict(plan)}
        return await self._ask("POST", (), rollout_results.Rollout, body=body)

    async def rollouts(
        self, name: str | None = None, active: bool | None = None, limit: int = 100
    ) -> tuple[rollout_results.RolloutSummary, ...]:
        """As `Client.rollouts`."""
        parameters = rollout_parameters(name, active, limit)
        found = await self._ask("GET", (), rollout_results.Rollouts, parameters=parameters)
        return found.rollouts

    async def rollout(self, which: str, peek: bool = False) -> rollout_results.Rollout:
        """As `Client.rollout`."""
        parameters = {"peek": "true"} if peek else {}
        asked = (await self.rollout_id(which),)
        return await self._ask("GET", asked, rollout_results.Rollout, parameters=parameters)

    async def rollout_id(self, which: str) -> str:
        """As `Client.rollout_id`."""
        if is_rollout_id(which):
            return which
        found = await self.rollouts(which, limit=1)
        if not found:
            raise never_had(which)
        return found[0].id

    async def order_rollout(
        self, which: str, order: Order, reason: str = ""
    ) -> rollout_results.Rollout:
        """As `Client.order_rollout`."""
        asked = (await self.rollout_id(which), order)
        return await self._ask("POST", asked, rollout_results.Rollout, body={"reason": reason})

    async def rollout_events(
        self, which: str, after: int = 0
    ) -> tuple[rollout_results.RolloutEvent, ...]:
        """As `Client.rollout_events`."""
        asked = (await self.rollout_id(which), "events")
        found = await self._ask(
            "GET", asked, rollout_results.RolloutEvents, parameters={"after": str(after)}
        )
        return found.events

    async def events(
        self, after: int | None = None, wait_s: float = 0.0
    ) -> rollout_results.RolloutEvents:
        """As `Client.events`."""
        parameters = {"wait_s": str(wait_s)} | ({} if after is None else {"after": str(after)})
        url = api_url(self._connection.url, "events")
        deadline = Deadline(wait_s + self._timeout_s)
        return await self._connection.call(
            "GET", url, rollout_results.RolloutEvents, deadline, parameters=parameters
        )

    async def follow_events(
        self, after: int | None = None
    ) -> AsyncIterator[rollout_results.RolloutEvent]:
        """As `Client.follow_events`, for `async for`."""
        while True:
            found = await self.events(after, 0.0 if after is None else WAIT_S)
            for event in found.events:
                yield event
            after = found.newest

    async def _ask(
        self,
        method: str,
        further: tuple[str, ...],
        result: type[Result],
        body: Mapping[str, Any] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Result:
        url = api_url(self._connection.url, "rollouts", *further)
        deadline = Deadline(max(self._timeout_s, START_TIMEOUT_S if body else 0.0))
        return await self._connection.call(method, url, result, deadline, body, parameters)
