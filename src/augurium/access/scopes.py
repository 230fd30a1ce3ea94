"""Scopes: what a credential may do. A wider one holds narrower ones."""

from collections.abc import Iterable
from enum import StrEnum

from augurium.core.errors import InvalidArgument


class Scope(StrEnum):
    """The five scopes.

    `predict` asks models for answers, `read` looks at everything, `batch` runs jobs on files that
    the server reads and writes, `deploy` changes models and reads too, `admin` does everything and
    manages keys.
    """

    PREDICT = "predict"
    READ = "read"
    BATCH = "batch"
    DEPLOY = "deploy"
    ADMIN = "admin"


Scopes = frozenset[Scope]
ALL_SCOPES: Scopes = frozenset(Scope)
HELD_BY: dict[Scope, Scopes] = {
    Scope.PREDICT: frozenset({Scope.PREDICT}),
    Scope.READ: frozenset({Scope.READ}),
    Scope.BATCH: frozenset({Scope.BATCH}),
    Scope.DEPLOY: frozenset({Scope.DEPLOY, Scope.READ}),
    Scope.ADMIN: ALL_SCOPES,
}


def with_held(scopes: Iterable[Scope]) -> Scopes:
    """The scopes and all that they hold."""
    return frozenset().union(*(HELD_BY[scope] for scope in scopes))


def scope_named(text: str) -> Scope:
    """Raises InvalidArgument for a text that is no scope."""
    try:
        return Scope(text)
    except ValueError:
        known = ", ".join(Scope)
        raise InvalidArgument(
            f"scope '{text[:64]}' is not known; expected one of {known}"
        ) from None
