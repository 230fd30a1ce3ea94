"""`augurium traffic`: which versions answer the requests that name none."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.group import Commands
from augurium.cli.output import print_fields, print_json, print_table, remark
from augurium.cli.shadow import shadow
from augurium.cli.traffic_policy import (
    policy_of_file,
    rule_rows,
    rules,
    shadow_rows,
    shares,
    split_rows,
    variants,
)
from augurium.cli.traffic_series import series
from augurium.core.traffic_policy import UNIT_HEADER

if TYPE_CHECKING:
    from augurium.client.traffic_calls import Traffic

SPLIT_COLUMNS = ("variant", "version", "share", "")
RULE_COLUMNS = ("rule", "what", "is", "version")
SHADOW_COLUMNS = ("copies to version", "share of the requests", "beside")
HISTORY_COLUMNS = ("revision", "time", "by", "traffic", "reason")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model.")]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, for whoever reads the history.")
]

traffic = typer.Typer(
    name="traffic",
    cls=Commands,
    no_args_is_help=True,
    help="Which versions answer the requests that name none.",
)
traffic.command()(series)


@traffic.command()
def show(name: Name, json: JsonFlag = False) -> None:
    """Shows the traffic policy of a model, and who decided it when and why."""
    from augurium.client import Client

    with Client() as client:
        found = client.traffic(name)
        default = client.model(name).default_version
    if json:
        print_json(found)
    else:
        _show(found, default)


@traffic.command("set")
def set_traffic(
    name: Name,
    split: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[VARIANT@]VERSION=PERCENT...",
            help="Shares of the units that add up to 100, such as v1=90 v2=10.",
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help=f"Who or what is assigned: header:NAME (header:{UNIT_HEADER} if never said),"
            " feature:NAME or request.",
        ),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="Requests that go to a version whatever their unit, such as"
            " header:country=DE,AT:2 or feature:age=18..65:2, in this order; none takes all away.",
        ),
    ] = None,
    salt: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="With another one all units are assigned anew."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json|toml",
            help="The whole policy, instead of what there is.",
            exists=True,
        ),
    ] = None,
    based_on: Annotated[
        int | None,
        typer.Option(
            metavar="REVISION", min=0, help="Refuse it if that is not the newest revision any more."
        ),
    ] = None,
    reason: Reason = "",
    json: JsonFlag = False,
) -> None:
    """Changes what is given of the traffic policy, in every engine at once.

    As few units as can be move to another variant.
    """
    from augurium.client import Client

    changes: dict[str, Any] = {
        "split": variants(split) if split else None,
        "unit": unit,
        "rules": None if rule is None else rules(rule),
        "salt": salt,
    }
    said = {field: value for field, value in changes.items() if value is not None}
    whole = None if file is None else policy_of_file(file)
    if not said and whole is None:
        raise typer.BadParameter(
            f"nothing to change; say shares such as `augurium traffic set {name} v1=90 v2=10`, or"
            " --rule, --unit, --salt or --file"
        )
    with Client() as client:
        found = client.traffic(name)
        policy = (found.policy or {} if whole is None else whole) | said
        # what is kept was read at this revision
        base = found.revision if based_on is None else based_on
        found = client.set_traffic(name, policy, reason, base)
    _tell(found, json)


@traffic.command()
def revert(
    name: Name,
    to: Annotated[
        int | None,
        typer.Option(
            metavar="REVISION", min=0, help="Which policy; the one before the newest if not given."
        ),
    ] = None,
    reason: Reason = "",
    json: JsonFlag = False,
) -> None:
    """Brings an earlier traffic policy back; units stay as far as its shares allow."""
    from augurium.client import Client

    with Client() as client:
        found = client.revert_traffic(name, to, reason)
    _tell(found, json)


@traffic.command()
def clear(name: Name, reason: Reason = "", json: JsonFlag = False) -> None:
    """Takes the traffic policy away: the default version answers."""
    from augurium.client import Client

    with Client() as client:
        found = client.clear_traffic(name, reason)
    _tell(found, json)


@traffic.command()
def history(
    name: Name,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1000, help="Revisions to show, at most.")
    ] = 20,
    json: JsonFlag = False,
) -> None:
    """Lists the traffic policies a model had, the newest first."""
    from augurium.client import Client

    with Client() as client:
        found = client.traffic_history(name, limit)
    if json:
        print_json({"revisions": found})
    elif found:
        print_table(HISTORY_COLUMNS, map(_row, found))
    else:
        remark(f"{name} never had a traffic policy; its default version answers.")


traffic.command("shadow")(shadow)


def _tell(found: "Traffic", json: bool) -> None:
    if json:
        print_json(found)
        return
    _show(found, None)
    late = "" if found.applied else "; engines that do not answer are late"
    remark(f"Revision {found.revision} after {found.milliseconds:g} ms{late}.")


def _show(found: "Traffic", default: int | None) -> None:
    fields: list[tuple[str, object]] = [("model", found.model), ("revision", found.revision)]
    if found.revision:
        fields += [("decided by", found.actor), ("at", found.at), ("reason", found.reason or None)]
    if found.based_on is not None:
        fields.append(("brings back", f"revision {found.based_on}"))
    policy = found.policy
    if policy is None:
        answers = "the default version" if default is None else f"the default version, {default}"
        print_fields([*fields, ("answered by", answers)])
        return
    fields.append(("unit", policy.get("unit", f"header:{UNIT_HEADER}")))
    if policy.get("salt"):
        fields.append(("salt", policy["salt"]))
    print_fields(fields)
    if policy.get("rules"):
        print_table(RULE_COLUMNS, rule_rows(policy))
    if policy.get("split"):
        print_table(SPLIT_COLUMNS, split_rows(policy))
    if policy.get("shadows"):
        print_table(SHADOW_COLUMNS, shadow_rows(policy))


def _row(found: "Traffic") -> tuple[object, ...]:
    told = "the default version" if found.policy is None else shares(found.policy)
    if found.based_on is not None:
        told += f", as in revision {found.based_on}"
    return found.revision, found.at, found.actor, told, found.reason or None
