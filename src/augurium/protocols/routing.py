"""Which handler answers a path: every protocol brings its routes, and one table finds them."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct

from augurium.access.principal import Principal
from augurium.core.errors import MethodNotAllowed, NotFound
from augurium.core.identifiers import ModelRef, model_ref
from augurium.core.priority import Priority
from augurium.protocols.http import HttpRequest, HttpResponse, StreamedResponse

MOST_CACHED_PATHS = 4096
LONGEST_PATH = 2048
NO_MODEL = ModelRef("")
# `{model}` may be followed by a version; `{name}` stands alone, `{label}` is an alias of it
_PARTS = {
    "model": "(?P<model>{segment})(?:/versions/(?P<version>{segment}))?",
    "name": "(?P<name>{segment})",
}


class Call(Struct, frozen=True, gc=False):
    """A request that was routed and whose caller was let in.

    `model` is what the path names, `timeout_s` what `augurium-timeout-ms` says. `caller` is None
    where nobody is asked who they are. `values` are the other variable parts of the path,
    `priority` what `augurium-priority` says, `request_id` what the answer says in `x-request-id`.
    """

    request: HttpRequest
    model: ModelRef = NO_MODEL
    timeout_s: float | None = None
    caller: Principal | None = None
    values: Mapping[str, str] = {}
    priority: Priority = Priority.NORMAL
    request_id: str = ""

    @property
    def refresh(self) -> bool:
        """Whether the caller wants nothing from a cache (RFC 9111, section 5.2.1.4)."""
        said = self.request.header("cache-control")
        return said is not None and "no-cache" in said.lower()

    def sees(self, model: str) -> bool:
        """Whether the caller may know of a model."""
        return self.caller is None or self.caller.sees(model)


Answer = Callable[[Call], Awaitable[HttpResponse | StreamedResponse]]


class Route(NamedTuple):
    """One method of a path. `template` is a path with variable parts, such as
    `/v2/models/{model}/infer`; `operation` is what `access/rights.py` calls it.

    `{model}` also takes `/versions/{version}` behind it, `{name}` does not; `{label}` behind a
    `{name}` is an alias. Paths under `/v1` are the same in upper and lower case, as in TensorFlow
    Serving.
    """

    method: str
    template: str
    operation: str
    answer: Answer

    def paths(self, model: str) -> tuple[str, ...]:
        """The paths of this route for a model, one with a version if it takes one."""
        plain = re.sub(r"\{(?!model|name)\w+\}", "1", self.template)
        filled = (plain.replace("{model}", model + end) for end in ("", "/versions/1"))
        return tuple(dict.fromkeys(path.replace("{name}", model) for path in filled))


class Found(NamedTuple):
    """Where a path leads: its routes by method, and what its variable parts are."""

    routes: dict[str, Route]
    model: ModelRef = NO_MODEL
    values: Mapping[str, str] = {}

    def route(self, method: str) -> Route:
        """Raises MethodNotAllowed for a method the path does not have."""
        try:
            return self.routes[method]
        except KeyError:
            raise MethodNotAllowed(
                f"Method Not Allowed: use {' or '.join(self.routes)} on this path", [*self.routes]
            ) from None

    @property
    def operation(self) -> str:
        """What a caller with a method the path does not have is asked for."""
        return next(iter(self.routes.values())).operation


class RouteTable:
    """Finds the routes of a path and remembers them; the number remembered is bounded."""

    def __init__(self, routes: Iterable[Route]) -> None:
        by_template: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_template.setdefault(route.template, {})[route.method] = route
        self.routes = tuple(route for found in by_template.values() for route in found.values())
        self._fixed = {
            template: Found(found) for template, found in by_template.items() if "{" not in template
        }
        self._patterns = [
            (_pattern(template), found)
            for template, found in by_template.items()
            if "{" in template
        ]
        self._cached: dict[str, Found] = {}

    def find(self, path: str) -> Found:
        """Raises NotFound for a path that leads nowhere and InvalidArgument for a name that can be
        none.
        """
        found = self._cached.get(path)
        if found is None:
            found = self._fixed.get(path) or self._match(path)
            if len(self._cached) >= MOST_CACHED_PATHS:
                self._cached.clear()
            self._cached[path] = found
        return found

    def _match(self, path: str) -> Found:
        if len(path) <= LONGEST_PATH:
            for pattern, routes in self._patterns:
                match = pattern.fullmatch(path)
                if match is not None:
                    return _found(routes, match.groupdict())
        raise NotFound("Not Found")


def _found(routes: dict[str, Route], parts: dict[str, str | None]) -> Found:
    version, label = parts.pop("version", None), parts.get("label")
    name = parts.pop("model", None) or parts.pop("name", None)
    values = {key: value for key, value in parts.items() if value is not None}
    if name is None:
        return Found(routes, values=values)
    if label is not None:
        # never a version, also where it is a number
        return Found(routes, ModelRef(name, None, label), values)
    return Found(routes, model_ref(name, version or ""), values)


def _pattern(template: str) -> re.Pattern[str]:
    # what follows a colon is the action in v1, and no name has one
    v1 = template.startswith("/v1/")
    segment = "[^/:]+" if v1 else "[^/]+"

    def part(match: re.Match[str]) -> str:
        name = match[1]
        return _PARTS.get(name, f"(?P<{name}>{{segment}})").format(segment=segment)

    pieces = re.split(r"(\{\w+\})", template)
    expression = "".join(
        part(re.match(r"\{(\w+)\}", piece)) if piece.startswith("{") else re.escape(piece)  # type: ignore[arg-type]
        for piece in pieces
    )
    return re.compile(expression, re.IGNORECASE if v1 else 0)
