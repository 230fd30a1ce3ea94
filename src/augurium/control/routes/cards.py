"""Routes: cards, the Markdown that tells what a model or version is for."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import Response

from augurium.control.routes.answers import answer, described
from augurium.control.routes.parameters import (
    ActorOf,
    ModelName,
    ServicesOf,
    VersionNumber,
    json_body,
)

router = APIRouter(tags=["cards"])


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card: Markdown of at most 256 KiB, empty if there is none."""

    card: str


CardBody = Annotated[Card, Depends(json_body(Card))]
MODEL = "/models/{model}/card"
VERSION = "/models/{model}/versions/{version}/card"


@router.get(MODEL, **described(Card))
def get_model_card(model: ModelName, services: ServicesOf) -> Response:
    """The card of a model."""
    return answer(Card(services.registry.card(model)))


@router.put(MODEL, **described(Card, takes=Card))
def set_model_card(
    model: ModelName, card: CardBody, services: ServicesOf, actor: ActorOf
) -> Response:
    """Replaces the card of a model; the audit log keeps digest and size of the old and new."""
    services.registry.set_card(model, None, card.card, actor)
    return answer(card)


@router.get(VERSION, **described(Card))
def get_version_card(model: ModelName, version: VersionNumber, services: ServicesOf) -> Response:
    """The card of a version."""
    return answer(Card(services.registry.card(model, version)))


@router.put(VERSION, **described(Card, takes=Card))
def set_version_card(
    model: ModelName,
    version: VersionNumber,
    card: CardBody,
    services: ServicesOf,
    actor: ActorOf,
) -> Response:
    """Replaces the card of a version; the audit log keeps digest and size of the old and new."""
    services.registry.set_card(model, version, card.card, actor)
    return answer(card)
