"""Arguments and options that several commands share, and how their texts are read."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import ModelRef, check_alias, model_ref, version_number

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output and nothing else there.")
]
DeletedFlag = Annotated[bool, typer.Option("--deleted", help="Also what is deleted.")]
VersionArgument = Annotated[
    str, typer.Argument(metavar="NAME@VERSION", help="A model and a version, such as churn@3.")
]


def reference(text: str) -> ModelRef:
    """Reads `name`, `name@3` or `name@champion`. Raises BadParameter."""
    try:
        return model_ref(text)
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from error


def version_reference(text: str) -> tuple[str, int]:
    """Reads `name@3`. Raises BadParameter when it names no version."""
    found = reference(text)
    if found.version is None:
        raise typer.BadParameter(f"'{text}' names no version; expected one such as {found.name}@3")
    return found.name, found.version


def alias_reference(text: str) -> tuple[str, str]:
    """Reads `name@champion`. Raises BadParameter when it names no alias."""
    name, _, alias = text.partition("@")
    if not alias:
        raise typer.BadParameter(f"'{text}' names no alias; expected one such as {name}@champion")
    try:
        return name, check_alias(alias)
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from error


def model_or_version(text: str) -> tuple[str, int | None]:
    """Reads `name` or `name@3`. Raises BadParameter."""
    found = reference(text)
    if found.alias is not None:
        raise typer.BadParameter(f"'{text}' names an alias; expected {found.name} or a version")
    return found.name, found.version


def duration(text: str) -> float:
    """Reads `90s`, `30m`, `24h`, `30d` or `2w` as seconds. Raises BadParameter."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < 10 and unit in SECONDS):
        raise typer.BadParameter(f"'{text}' is not a time; expected one such as 24h, 30m or 7d")
    return float(int(number) * SECONDS[unit])


def source(text: str | None) -> str | None:
    """Lets a path or address of a file pass. Raises BadParameter for what is neither."""
    if text is not None:
        # here, not above: most commands take no files
        from augurium.client.sources import check_source

        try:
            check_source(text)
        except InvalidArgument as error:
            raise typer.BadParameter(str(error)) from error
    return text


def version_argument(text: str) -> int:
    """Reads a version number. Raises BadParameter."""
    try:
        return version_number(text)
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from error


def metrics(texts: Sequence[str]) -> dict[str, float]:
    """Reads `accuracy=0.93` as often as given. Raises BadParameter."""
    return {key: _number(key, value) for key, value in _pairs(texts, "accuracy=0.93")}


def tags(texts: Sequence[str]) -> dict[str, str]:
    """Reads `team=risk` as often as given. Raises BadParameter."""
    return dict(_pairs(texts, "team=risk"))


def moment(text: str) -> datetime:
    """Reads an ISO 8601 date or time. Raises BadParameter."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"'{text}' is not an ISO 8601 time; expected one such as 2026-01-31T12:00:00Z"
        ) from error


def utc(time: datetime) -> datetime:
    """A time that names no zone is one of UTC."""
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _pairs(texts: Sequence[str], example: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        key, separator, value = text.partition("=")
        if not (separator and key):
            raise typer.BadParameter(f"'{text}' is not KEY=VALUE; expected one such as {example}")
        pairs.append((key, value))
    return pairs


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise typer.BadParameter(f"metric {key} is '{text}'; expected a number") from error
    if not math.isfinite(value):
        raise typer.BadParameter(f"metric {key} is {text}; expected a finite number")
    return value
