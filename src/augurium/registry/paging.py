"""Pages of a search: how many, and from where on; the cursor is opaque to callers."""

import base64
import hashlib

import msgspec

from augurium.core.errors import InvalidArgument

MAX_PAGE = 1000
MAX_CURSOR_CHARACTERS = 1000


class _Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    question: str
    model: str
    version: int


def check_page(limit: int) -> None:
    """Raises InvalidArgument unless `limit` is between 1 and 1000."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidArgument(f"limit {limit} is not allowed; ask for 1 to {MAX_PAGE} at a time")


def cursor_after(query: str, model: str, version: int) -> str:
    """What asks for those after this version, in the same search."""
    place = msgspec.json.encode(_Place(_fingerprint(query), model, version))
    return base64.urlsafe_b64encode(place).decode().rstrip("=")


def place_of(cursor: str, query: str) -> tuple[str, int]:
    """The model and version a cursor stands for. Raises InvalidArgument for any but our own, and
    for one of another search.
    """
    try:
        padded = cursor[:MAX_CURSOR_CHARACTERS] + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
        place = msgspec.json.decode(text, type=_Place)
    except (ValueError, msgspec.MsgspecError) as error:
        raise InvalidArgument(
            "the cursor cannot be read; pass on the one of the page before, or none to begin"
        ) from error
    if place.question != _fingerprint(query):
        raise InvalidArgument(
            "the cursor belongs to another search; repeat the search it came from, or begin anew"
        )
    return place.model, place.version


def _fingerprint(query: str) -> str:
    return hashlib.sha256(query.encode("utf-8", "surrogatepass")).hexdigest()[:16]
