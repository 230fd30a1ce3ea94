"""Routes: API keys."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import Response

from augurium.access.keys import IssuedKey, Key, KeyDraft
from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import CallerOf, ServicesOf, json_body

router = APIRouter(tags=["keys"])


class KeyList(msgspec.Struct, frozen=True):
    """Keys without their secrets, by name and age; also those that ended."""

    keys: list[Key]


DraftBody = Annotated[KeyDraft, Depends(json_body(KeyDraft))]


@router.get("/keys", **described(KeyList))
def list_keys(services: ServicesOf, caller: CallerOf) -> Response:
    """All keys that ever were, without their secrets."""
    return answer(KeyList(services.access.keys(caller)))


@router.post("/keys", **described(IssuedKey, takes=KeyDraft, status=201))
async def create_key(draft: DraftBody, services: ServicesOf, caller: CallerOf) -> Response:
    """Makes a key; its text is told in this answer and never again."""
    return answer(await services.access.create(draft, caller), 201)


@router.post("/keys/{key}/rotation", **described(IssuedKey, status=201))
async def rotate_key(key: str, services: ServicesOf, caller: CallerOf) -> Response:
    """Makes a second key like the one of this name; the first stays until it is revoked."""
    return answer(await services.access.rotate(key, caller), 201)


@router.delete("/keys/{key}", **described(KeyList))
async def revoke_key(key: str, services: ServicesOf, caller: CallerOf) -> Response:
    """Ends the key of this id, or all of this name, on every engine."""
    return answer(KeyList(list(await services.access.revoke(key, caller))))
