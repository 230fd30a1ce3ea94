"""`augurium serving`: how a model is served."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_fields, print_json


def serving(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model.")],
    cache_ttl: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, help="How long answers are remembered; 0 for not at all."
        ),
    ] = None,
    cache_stale: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long after that they are still given when the model cannot be asked.",
        ),
    ] = None,
    pin: Annotated[
        bool | None,
        typer.Option(
            "--pin/--no-pin", help="Keep it in memory, where memory is limited, whatever happens."
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Shows how a model is served, and changes what is given, in every engine at once."""
    from augurium.client import Client

    changes = {"ttl_s": cache_ttl, "stale_if_error_s": cache_stale}
    said = {key: value for key, value in changes.items() if value is not None}
    with Client() as client:
        model = client.model(name)
        policy = dict(model.serving)
        if said:
            policy["cache"] = {**policy.get("cache", {}), **said}
        if pin is not None:
            policy["residency"] = {"pinned": pin}
        if policy != model.serving:
            model = client.set_serving(name, policy)
    if json:
        print_json(model.serving)
    else:
        print_fields(list(_shown(model.serving)))


def _shown(policy: dict[str, Any]) -> Iterator[tuple[str, str]]:
    cache = policy.get("cache", {})
    ttl_s, stale_s = cache.get("ttl_s", 0), cache.get("stale_if_error_s", 0)
    yield "prediction cache", f"answers are remembered for {ttl_s:g} s" if ttl_s else "off"
    if ttl_s and stale_s:
        yield "", f"and given for {stale_s:g} s more when the model cannot be asked"
    pinned = policy.get("residency", {}).get("pinned", False)
    yield "residency", "pinned: always in memory" if pinned else "by demand"
