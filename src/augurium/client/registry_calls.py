"""The part of the client that asks of the registry what people ask of one."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from augurium.client import registry_results, results
from augurium.client.connection import Connection, api_url

PAGE = 500


class RegistryCalls:
    """Search, history, cards, tags, approvals, deletion and garbage collection."""

    _connection: Connection

    def search(
        self, query: str = "", limit: int = 100, cursor: str | None = None
    ) -> registry_results.SearchPage:
        """One page of the versions for which a query holds, such as `fraud metric.auc>0.9`.

        Raises InvalidArgument with the place of what cannot be read.
        """
        parameters = {"q": query, "limit": str(limit)}
        if cursor is not None:
            parameters["cursor"] = cursor
        return self._connection.call(
            "GET", self._api("search"), registry_results.SearchPage, parameters=parameters
        )

    def find(self, query: str = "") -> Iterator[registry_results.VersionSummary]:
        """All versions for which a query holds, by model and number; asks page by page."""
        cursor = None
        while True:
            page = self.search(query, PAGE, cursor)
            yield from page.versions
            cursor = page.cursor
            if cursor is None:
                return

    def history(
        self, name: str, at: datetime | None = None, limit: int = 100
    ) -> registry_results.History:
        """What served at a time, now if none is given, and who decided it when. Raises NotFound."""
        parameters = {"limit": str(limit)} | ({} if at is None else {"at": at.isoformat()})
        url = self._api("models", name, "history")
        return self._connection.call("GET", url, registry_results.History, parameters=parameters)

    def edit_model(
        self,
        name: str,
        description: str | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> results.Model:
        """Changes the description and sets tags; a tag of None is removed, others stay."""
        body: dict[str, Any] = {"tags": dict(tags or {})}
        if description is not None:
            body["description"] = description
        return self._connection.call("PATCH", self._api("models", name), results.Model, body=body)

    def edit_version(
        self, name: str, version: int, tags: Mapping[str, str | None]
    ) -> results.Version:
        """Sets tags of a version; a tag of None is removed, others stay."""
        url = self._of(name, version)
        return self._connection.call("PATCH", url, results.Version, body={"tags": dict(tags)})

    def card(self, name: str, version: int | None = None) -> str:
        """The card of a model or version: Markdown, empty if there is none."""
        url = self._of(name, version, "card")
        return self._connection.call("GET", url, registry_results.Card).card

    def set_card(self, name: str, card: str, version: int | None = None) -> None:
        """Replaces the card of a model or version."""
        url = self._of(name, version, "card")
        self._connection.call("PUT", url, registry_results.Card, body={"card": card})

    def request_approval(self, name: str, version: int, reason: str = "") -> results.Version:
        """Asks that a version be approved."""
        url = self._of(name, version, "approval-request")
        return self._connection.call("POST", url, results.Version, body={"reason": reason})

    def set_approval(
        self, name: str, version: int, approval: str, reason: str = ""
    ) -> results.Version:
        """Decides on a version: `approved`, `rejected`, or `none` to take it back."""
        body = {"approval": approval, "reason": reason}
        url = self._of(name, version, "approval")
        return self._connection.call("PUT", url, results.Version, body=body)

    def require_approval(self, name: str, required: bool = True) -> results.Model:
        """Whether only approved versions of a model may be deployed from now on."""
        url = self._api("models", name, "approval-rule")
        return self._connection.call("PUT", url, results.Model, body={"required": required})

    def clear_default(self, name: str) -> results.Model:
        """Takes the default away; requests that name no version are refused from then on."""
        return self._connection.call("DELETE", self._api("models", name, "default"), results.Model)

    def delete(self, name: str, version: int | None = None) -> None:
        """Hides a version, or a whole model, until it is restored or purged.

        Raises Conflict while it is deployed, the default or the target of an alias.
        """
        self._connection.request("DELETE", self._of(name, version))

    def restore(self, name: str, version: int | None = None) -> None:
        """Shows a deleted version or model again."""
        self._connection.request("POST", self._of(name, version, "restoration"))

    def collect_garbage(
        self,
        dry_run: bool = False,
        grace_s: float = 24 * 3600.0,
        retention_s: float = 30 * 86400.0,
        timeout_s: float = 600.0,
    ) -> registry_results.Collection:
        """Purges what was deleted longer than `retention_s` ago, and removes files that no version
        stands on and that are older than `grace_s`.
        """
        body = {"dry_run": dry_run, "grace_s": grace_s, "retention_s": retention_s}
        return self._connection.call(
            "POST",
            self._api("gc"),
            registry_results.Collection,
            body=body,
            timeout_s=timeout_s,
        )

    def verify_audit(self) -> registry_results.AuditCheck:
        """Has the server walk the hash chain of its whole audit log."""
        url = self._api("audit", "verification")
        return self._connection.call("GET", url, registry_results.AuditCheck)

    def _of(self, name: str, version: int | None, *further: str) -> str:
        numbered = () if version is None else ("versions", version)
        return self._api("models", name, *numbered, *further)

    def _api(self, *segments: object) -> str:
        return api_url(self._connection.url, *segments)
