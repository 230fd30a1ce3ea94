"""Authorization: who may ask the management API for what. Unlisted routes are refused."""

from collections.abc import Iterable
from typing import NamedTuple

from augurium.access.gateway import check_query
from augurium.access.principal import LOCAL, Principal
from augurium.access.rate import Quota
from augurium.access.rights import Route, management_route, unlisted
from augurium.control.access_keeper import AccessKeeper
from augurium.core.errors import PermissionDenied, Unauthenticated
from augurium.registry.rules import model_not_found

NOBODY = Principal("nobody", "nobody", ())
Headers = Iterable[tuple[bytes, bytes]]


class Caller(NamedTuple):
    """Who asks, and what is left of their rate if they have one."""

    principal: Principal
    quota: Quota | None = None


class Authorization:
    """Asks every request for its credential, by the one table in `access/rights.py`."""

    def __init__(self, access: AccessKeeper) -> None:
        self._access = access

    async def caller(
        self, method: str, path: str, query: str, headers: Headers, names: tuple[str, ...]
    ) -> Caller:
        """Who asks; `names` are those of their certificate.

        Raises Unauthenticated, slowly when there are many, PermissionDenied, RateLimited, and
        NotFound for a model that the caller may not see.
        """
        header = _header(headers)
        if not self._access.required:
            return Caller(self._named(header, names))
        try:
            if query:
                check_query(query)
            if (route := management_route(method, path)) is None:
                self._access.gateway.authenticate(header, names)
                raise unlisted(method, path)
            return self._admitted(route, header, names)
        except Unauthenticated:
            await self._access.gateway.patience.wait()
            raise

    def _admitted(self, route: Route, header: str | None, names: tuple[str, ...]) -> Caller:
        if route.need.public:
            return Caller(NOBODY)
        caller, quota = self._access.gateway.admit_to(route.need, header, names)
        model = route.values.get("model")
        if model is not None and not caller.sees(model):
            # whether a model exists is not told; that a name may not be taken is
            raise _name_refused(model, caller) if route.need.creates else model_not_found(model)
        return Caller(caller, quota)

    def _named(self, header: str | None, names: tuple[str, ...]) -> Principal:
        """Whoever reaches a node without keys may do everything; a good key says who it was."""
        try:
            return LOCAL.named(self._access.gateway.authenticate(header, names).name)
        except Unauthenticated:
            return LOCAL


def _name_refused(model: str, caller: Principal) -> PermissionDenied:
    return PermissionDenied(
        f"your credential is for the models {', '.join(caller.models)}, not for '{model[:128]}';"
        " choose another name"
    )


def _header(headers: Headers) -> str | None:
    found = [value for name, value in headers if name == b"authorization"]
    if len(found) > 1:
        raise Unauthenticated("expected one Authorization header, got several; send one")
    return found[0].decode("latin-1") if found else None
