"""The part of the clients that decides which version answers a request that names none."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec

from augurium.client.async_connection import AsyncConnection
from augurium.client.connection import Connection, api_url
from augurium.client.deadline import Deadline
from augurium.core.traffic_policy import TrafficPolicy
from augurium.core.traffic_slots import SlotRun

# as in `core.traffic_policy`, or the same as JSON has it
Policy = TrafficPolicy | Mapping[str, Any]


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """A revision of a model's traffic policy: who decided what, when and why.

    Without a `policy` the default version answers. `slots` are the places of the variants, of
    10 000 altogether; `based_on` is the revision whose policy was brought back. After a change
    `applied` says whether every engine answers by it, and `milliseconds` how long that took.
    """

    model: str
    revision: int
    policy: dict[str, Any] | None = None
    slots: tuple[SlotRun, ...] = ()
    at: datetime | None = None
    actor: str = ""
    reason: str = ""
    based_on: int | None = None
    applied: bool | None = None
    milliseconds: float | None = None


class TrafficHistory(msgspec.Struct, frozen=True):
    """The body of a history."""

    revisions: tuple[Traffic, ...]


class TrafficCalls:
    """Traffic policies of models."""

    _connection: Connection

    def traffic(self, name: str) -> Traffic:
        """The newest revision of a model's traffic policy; 0 if there never was one."""
        return self._traffic(_Asked("GET", name))

    def set_traffic(
        self, name: str, policy: Policy, reason: str = "", based_on_revision: int | None = None
    ) -> Traffic:
        """Decides who answers requests that name no version; returns when every engine does so.

        Raises Conflict for versions that are not deployed, and when `based_on_revision` is given
        and not the newest any more; InvalidArgument for what cannot be meant.
        """
        return self._traffic(_setting(name, policy, reason, based_on_revision))

    def clear_traffic(
        self, name: str, reason: str = "", based_on_revision: int | None = None
    ) -> Traffic:
        """Takes the policy away: the default version answers. Raises as `set_traffic`."""
        return self._traffic(_clearing(name, reason, based_on_revision))

    def revert_traffic(
        self,
        name: str,
        revision: int | None = None,
        reason: str = "",
        based_on_revision: int | None = None,
    ) -> Traffic:
        """Brings back the policy of a revision, the one before the newest if none is named.

        Units stay where they are as far as its shares allow. Raises as `set_traffic`, and NotFound.
        """
        return self._traffic(_reverting(name, revision, reason, based_on_revision))

    def traffic_history(
        self, name: str, limit: int = 100, before: int | None = None
    ) -> tuple[Traffic, ...]:
        """Every policy the model had, the newest first; `before` a revision if one is given."""
        asked = _looking_back(name, limit, before)
        url = api_url(self._connection.url, *asked.segments)
        return self._connection.call(
            "GET", url, TrafficHistory, parameters=asked.parameters
        ).revisions

    def _traffic(self, asked: "_Asked") -> Traffic:
        url = api_url(self._connection.url, *asked.segments)
        return self._connection.call(
            asked.method, url, Traffic, body=asked.body, parameters=asked.parameters
        )


class AsyncTrafficCalls:
    """As `TrafficCalls`, for asyncio."""

    _connection: AsyncConnection
    _timeout_s: float

    async def traffic(self, name: str) -> Traffic:
        """As `Client.traffic`."""
        return await self._traffic(_Asked("GET", name))

    async def set_traffic(
        self, name: str, policy: Policy, reason: str = "", based_on_revision: int | None = None
    ) -> Traffic:
        """As `Client.set_traffic`."""
        return await self._traffic(_setting(name, policy, reason, based_on_revision))

    async def clear_traffic(
        self, name: str, reason: str = "", based_on_revision: int | None = None
    ) -> Traffic:
        """As `Client.clear_traffic`."""
        return await self._traffic(_clearing(name, reason, based_on_revision))

    async def revert_traffic(
        self,
        name: str,
        revision: int | None = None,
        reason: str = "",
        based_on_revision: int | None = None,
    ) -> Traffic:
        """As `Client.revert_traffic`."""
        return await self._traffic(_reverting(name, revision, reason, based_on_revision))

    async def traffic_history(
        self, name: str, limit: int = 100, before: int | None = None
    ) -> tuple[Traffic, ...]:
        """As `Client.traffic_history`."""
        found = await self._call(_looking_back(name, limit, before), TrafficHistory)
        return found.revisions

    async def _traffic(self, asked: "_Asked") -> Traffic:
        return await self._call(asked, Traffic)

    async def _call(self, asked: "_Asked", result: "type[_Result]") -> "_Result":
        url = api_url(self._connection.url, *asked.segments)
        return await self._connection.call(
            asked.method, url, result, Deadline(self._timeout_s), asked.body, asked.parameters
        )


_Result = TypeVar("_Result", Traffic, TrafficHistory)


class _Asked(NamedTuple):
    """What is sent about the traffic of a model."""

    method: str
    name: str
    further: tuple[str, ...] = ()
    body: Mapping[str, Any] | None = None
    parameters: Mapping[str, str] = {}

    @property
    def segments(self) -> tuple[str, ...]:
        return ("models", self.name, "traffic", *self.further)


def _setting(name: str, policy: Policy, reason: str, based_on: int | None) -> _Asked:
    told = msgspec.to_builtins(policy) if isinstance(policy, TrafficPolicy) else dict(policy)
    body = {"policy": told, "reason": reason, "based_on_revision": based_on}
    return _Asked("PUT", name, body=body)


def _clearing(name: str, reason: str, based_on: int | None) -> _Asked:
    parameters = {"reason": reason}
    if based_on is not None:
        parameters["based_on_revision"] = str(based_on)
    return _Asked("DELETE", name, parameters=parameters)


def _reverting(name: str, revision: int | None, reason: str, based_on: int | None) -> _Asked:
    body = {"revision": revision, "reason": reason, "based_on_revision": based_on}
    return _Asked("POST", name, ("revert",), body)


def _looking_back(name: str, limit: int, before: int | None) -> _Asked:
    parameters = {"limit": str(limit)} | ({} if before is None else {"before": str(before)})
    return _Asked("GET", name, ("history",), parameters=parameters)
