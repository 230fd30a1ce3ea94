"""What routes take: path segments and JSON bodies, checked before a route sees them."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends, Request

from augurium.access.principal import Principal
from augurium.control.services import Services
from augurium.core.errors import InvalidArgument, TooLarge, UnsupportedMedia
from augurium.core.identifiers import check_alias, check_model_name, version_number

MAX_JSON_BYTES = 1024 * 1024
Body = TypeVar("Body")


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _model(model: str) -> str:
    return check_model_name(model)


async def _version(version: str) -> int:
    return version_number(version)


async def _alias(alias: str) -> str:
    return check_alias(alias)


async def _caller(request: Request) -> Principal:
    caller: Principal = request.state.caller
    return caller


async def _actor(request: Request) -> str:
    return (await _caller(request)).name


CallerOf = Annotated[Principal, Depends(_caller)]
ActorOf = Annotated[str, Depends(_actor)]
ServicesOf = Annotated[Services, Depends(_services)]
ModelName = Annotated[str, Depends(_model)]
VersionNumber = Annotated[int, Depends(_version)]
AliasName = Annotated[str, Depends(_alias)]


def json_body(kind: type[Body]) -> Callable[[Request], Coroutine[Any, Any, Body]]:
    """A dependency that reads the body as JSON of this type.

    It raises UnsupportedMedia for another content type, TooLarge above 1 MiB, InvalidArgument for
    what does not fit.
    """
    decoder = msgspec.json.Decoder(kind)

    async def read(request: Request) -> Body:
        _check_content_type(request)
        content = await _whole(request)
        try:
            return decoder.decode(content)
        except RecursionError as error:
            raise InvalidArgument("the JSON body is nested too deeply") from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidArgument(f"the JSON body does not fit: {error}") from error

    return read


def declared_bytes(request: Request) -> int | None:
    """Content-Length, if it was sent."""
    text = request.headers.get("content-length")
    return int(text) if text is not None else None


def check_not_encoded(request: Request) -> None:
    """Raises UnsupportedMedia for a compressed body."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise UnsupportedMedia("content-encoding is not supported here; send the body as it is")


def _check_content_type(request: Request) -> None:
    check_not_encoded(request)
    media = request.headers.get("content-type", "application/json").partition(";")[0]
    if media.strip().lower() != "application/json":
        raise UnsupportedMedia("expected a JSON body with content-type: application/json")


async def _whole(request: Request) -> bytes:
    content = bytearray()
    if (declared_bytes(request) or 0) > MAX_JSON_BYTES:
        raise _too_large()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_JSON_BYTES:
            raise _too_large()
    return bytes(content)


def _too_large() -> TooLarge:
    return TooLarge(f"a JSON body may have at most {MAX_JSON_BYTES} bytes")
