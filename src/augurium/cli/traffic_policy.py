"""Traffic policies as texts: how they are written on the command line, and how they are shown."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import typer

from augurium.core.identifiers import MAX_VERSION
from augurium.core.traffic_policy import TrafficPolicy

NO_RULES = "none"
RANGE = ".."
BAR_WIDTH = 40
SHARE_EXAMPLE = "expected one such as v2=10, or challenger@2=10 to give it a name"
RULE_EXAMPLE = (
    "expected SOURCE=VALUE[,VALUE]:VERSION or SOURCE=LEAST..MOST:VERSION, such as"
    " header:country=DE,AT:2 or feature:age=18..65:2"
)


def variants(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Reads `v1=90`, `2=10` or `challenger@2=10` as often as given. Raises BadParameter."""
    return [_variant(text) for text in texts]


def rules(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Reads `header:country=DE,AT:2` or `feature:age=18..65:2` as often as given, `none` for no
    rules. Raises BadParameter.
    """
    return [] if list(texts) == [NO_RULES] else [_rule(text) for text in texts]


def policy_of_file(path: Path) -> dict[str, Any]:
    """A policy in a file of JSON, or of TOML where it is called so. Raises BadParameter."""
    try:
        text = path.read_text("utf-8")
        found = tomllib.loads(text) if path.suffix == ".toml" else msgspec.json.decode(text)
        msgspec.convert(found, TrafficPolicy)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.MsgspecError) as error:
        raise typer.BadParameter(f"{path} holds no traffic policy: {error}") from error
    policy: dict[str, Any] = found
    return policy


def shares(policy: Mapping[str, Any]) -> str:
    """The shares in a line: `v1 90 %, challenger (v2) 10 %`."""
    told = [f"{_named(one)} {one['weight']:g} %" for one in policy.get("split", ())]
    number = len(policy.get("rules", ()))
    if number:
        told.append(f"{number} rule{'s' if number > 1 else ''}")
    told += [f"{one['percent']:g} % copied to v{one['version']}" for one in _shadows(policy)]
    return ", ".join(told)


def split_rows(policy: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    """The variants: name, version, share, and a bar."""
    for one in policy.get("split", ()):
        bar = "█" * round(one["weight"] * BAR_WIDTH / 100)
        yield label(one), one["version"], f"{one['weight']:g} %", bar or "▏"


def rule_rows(policy: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    """The rules in their order: what is looked at, what it has to be, the version."""
    for number, one in enumerate(policy.get("rules", ()), 1):
        yield number, one["source"], _condition(one), one["version"]


def shadow_rows(policy: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    """The shadows: version, share, and whose answers are compared."""
    for one in _shadows(policy):
        default = one.get("baseline") == "default"
        yield one["version"], f"{one['percent']:g} %", "the default version" if default else "any"


def _shadows(policy: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    shadows: Sequence[Mapping[str, Any]] = policy.get("shadows", ())
    return shadows


def label(variant: Mapping[str, Any]) -> str:
    """What a variant is called."""
    return variant.get("name") or f"v{variant['version']}"


def _named(variant: Mapping[str, Any]) -> str:
    name = variant.get("name")
    return f"{name} (v{variant['version']})" if name else f"v{variant['version']}"


def _condition(rule: Mapping[str, Any]) -> str:
    if rule.get("values"):
        return "is " + " or ".join(map(str, rule["values"]))
    bounds = [("at least", rule.get("least")), ("at most", rule.get("most"))]
    return " and ".join(f"{word} {value:g}" for word, value in bounds if value is not None)


def _variant(text: str) -> dict[str, Any]:
    who, _, weight = text.rpartition("=")
    name, _, version = who.rpartition("@")
    try:
        found = {"version": _version(version), "weight": float(weight.removesuffix("%"))}
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' is no share of a version; {SHARE_EXAMPLE}") from error
    return found | ({"name": name} if name else {})


def _rule(text: str) -> dict[str, Any]:
    told, _, version = text.rpartition(":")
    source, separator, values = told.partition("=")
    try:
        rule: dict[str, Any] = {"source": source, "version": _version(version)}
        if not (separator and values and ":" in source):
            raise ValueError(text)
        if RANGE in values:
            least, _, most = values.partition(RANGE)
            bounds = {"least": least, "most": most}
            return rule | {name: float(value) for name, value in bounds.items() if value}
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' is no rule; {RULE_EXAMPLE}") from error
    is_feature = source.startswith("feature:")
    return rule | {"values": [_value(one) if is_feature else one for one in values.split(",")]}


def _version(text: str) -> int:
    digits = text.removeprefix("v")
    if not (digits.isascii() and digits.isdigit() and 1 <= int(digits) <= MAX_VERSION):
        raise ValueError(text)
    return int(digits)


def _value(text: str) -> Any:
    """A number where it is one, so that 1.0 is 1; a text otherwise."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return found if isinstance(found, int | float) else text
