"""The errors of SQLite and PostgreSQL as our own; a raw one never leaves `database.py`.

PostgreSQL's codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from augurium.core.errors import AuguriumError, InsufficientStorage, Internal, NotReady

_FULL = ("SQLITE_FULL", "53100", "53200")
_READ_ONLY = ("SQLITE_READONLY", "25006")
# lock not available, statement cancelled by its time limit, serialization failure, deadlock
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED", "55P03", "57014", "40001", "40P01")
_CROWDED = ("53300",)
_REFUSED = ("28", "3D000", "42501")
_SAID = {
    "28000": re.compile(r"authentication failed|no pg_hba\.conf entry|role .* does not exist"),
    "3D000": re.compile(r"database .* does not exist"),
    "53300": re.compile(r"too many (connections|clients)|connection slots are reserved"),
}
# shut down by its administrator, crashed, starting up; any connection error
_AWAY = ("57P01", "57P02", "57P03", "57P05", "08", "25P03")


@contextmanager
def domain_errors() -> Iterator[None]:
    """Raises NotReady, InsufficientStorage or Internal for what SQLAlchemy raises."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _translated(error) from error


def locked() -> NotReady:
    return NotReady(
        "the registry database is locked by another transaction; nothing was changed; try again"
    )


def _translated(error: SQLAlchemyError) -> AuguriumError:
    if isinstance(error, PoolTimeout):
        return NotReady(
            "all connections to the registry database are in use; nothing was changed; try again"
        )
    if not isinstance(error, DatabaseError):
        return Internal("the registry database refused a statement")
    code = _code(error)
    reason = (str(error.orig).strip().splitlines() or ["no reason given"])[0]
    known = _known(code, reason)
    if known is not None:
        return known
    if error.connection_invalidated or (isinstance(error, OperationalError) and not code):
        return _away(reason)
    if type(error) in (OperationalError, DatabaseError) or code.startswith("42P"):
        return NotReady(f"the registry database cannot be used: {reason}; check its file and disk")
    return Internal("the registry database refused a statement")


def _known(code: str, reason: str) -> AuguriumError | None:
    if code.startswith(_FULL):
        return InsufficientStorage(
            "the disk of the registry database is full and nothing was changed; "
            "free some space and try again"
        )
    if code.startswith(_READ_ONLY):
        return NotReady(
            "the registry database is read-only; make its file, folder and file system writable, "
            "or connect to the primary server"
        )
    if code.startswith(_BUSY):
        return locked()
    if code.startswith(_CROWDED):
        return NotReady(
            "the registry database takes no more connections; try again, or raise its "
            "max_connections"
        )
    if code.startswith(_REFUSED):
        return NotReady(
            f"the registry database refuses this server: {reason}; check the user, the password "
            "and the name in the database URL"
        )
    return _away(reason) if code.startswith(_AWAY) else None


def _away(reason: str) -> NotReady:
    return NotReady(
        f"the registry database does not answer: {reason}; check that it runs; a change that was "
        "being made may or may not have been made, so look before you repeat it"
    )


def _code(error: DatabaseError) -> str:
    """SQLite's name of the error or PostgreSQL's five characters; empty where there is none."""
    for name in ("sqlite_errorname", "sqlstate"):
        code = getattr(error.orig, name, None)
        if code:
            return str(code)
    if isinstance(error, OperationalError):
        # whoever is not let in is told the reason in words only
        said = str(error.orig)
        return next((code for code, words in _SAID.items() if words.search(said)), "")
    return ""
