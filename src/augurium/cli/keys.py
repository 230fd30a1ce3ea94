"""`augurium keys`: makes, lists, rotates and revokes API keys."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.group import Commands
from augurium.cli.output import print_json, print_table, remark

if TYPE_CHECKING:
    from augurium.cli.stopped_node import StoppedNode
    from augurium.client import Client
    from augurium.client.key_limits import KeyLimits
    from augurium.client.results import IssuedKey, Key

COLUMNS = ("name", "id", "state", "scopes", "models", "rate", "expires", "last used", "created by")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Work on the folder of a node that does not run, such as for a first key."
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="The settings file of that node, where its database stands."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What the audit log calls its owner.")]
Which = Annotated[str, typer.Argument(metavar="KEY", help="A key's id, or a name for all of it.")]
Scope = Annotated[
    list[str],
    typer.Option("--scope", help="predict, read, batch, deploy or admin; may be given again."),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models", metavar="PATTERN", help="Models it is for, such as 'fraud-*'; all if not given."
    ),
]
Expires = Annotated[
    str | None, typer.Option("--expires", help="When it ends, such as 90d, 12h or 30m.")
]
Rate = Annotated[
    float, typer.Option("--rate", min=0, help="Requests per second; 0 means no limit of its own.")
]
Burst = Annotated[
    int, typer.Option("--burst", min=0, help="Requests at once; 0 means a second's worth.")
]
All = Annotated[bool, typer.Option("--all", help="Also keys that expired or were revoked.")]

keys = typer.Typer(
    name="keys", cls=Commands, no_args_is_help=True, help="Makes, lists and ends API keys."
)


@keys.command("create")
def create(
    name: Name,
    scope: Scope,
    models: Models = None,
    expires: Expires = None,
    rate: Rate = 0.0,
    burst: Burst = 0,
    home: HomeOption = None,
    config: ConfigOption = None,
    json: JsonFlag = False,
) -> None:
    """Makes a key and prints it: this once, and nothing else on standard output."""
    limits: KeyLimits = {"models": models or [], "rate": rate, "burst": burst}
    if expires is not None:
        limits["expires_in_s"] = _seconds(expires)
    with _holder(home, config) as holder:
        _show(holder.create_key(name, scope, **limits), json)


@keys.command("list")
def list_keys(
    all_: All = False,
    home: HomeOption = None,
    config: ConfigOption = None,
    json: JsonFlag = False,
) -> None:
    """Lists keys, never their secrets."""
    with _holder(home, config) as holder:
        known = holder.keys()
    found = [key for key in known if all_ or key.state == "live"]
    if json:
        print_json({"keys": found})
    elif found:
        print_table(COLUMNS, map(_row, found))
    else:
        remark("There are no live keys; make one with `augurium keys create NAME --scope SCOPE`.")


@keys.command("rotate")
def rotate(
    name: Name, home: HomeOption = None, config: ConfigOption = None, json: JsonFlag = False
) -> None:
    """Makes a second key like the live one of this name and prints it.

    Both work until the first is revoked by its id.
    """
    with _holder(home, config) as holder:
        _show(holder.rotate_key(name), json)


@keys.command("revoke")
def revoke(
    key: Which, home: HomeOption = None, config: ConfigOption = None, json: JsonFlag = False
) -> None:
    """Ends the key of this id, or all of this name, on every engine."""
    with _holder(home, config) as holder:
        ended = holder.revoke_key(key)
    if json:
        print_json({"keys": ended})
    else:
        for found in ended:
            typer.echo(f"{found.name} {found.id} is revoked")


@contextmanager
def _holder(home: Path | None, config: Path | None) -> "Iterator[Client | StoppedNode]":
    """Who holds the keys: the running node, or the folder of a stopped one."""
    if home is None and config is None:
        from augurium.client import Client

        with Client() as client:
            yield client
    else:
        from augurium.cli.stopped_node import stopped_node

        with stopped_node(home, config) as node:
            yield node


def _show(issued: "IssuedKey", json: bool) -> None:
    if json:
        print_json(issued)
        return
    typer.echo(issued.key)
    record = issued.record
    remark(
        f"This is key '{record.name}' ({', '.join(record.scopes)}), id {record.id}. It is shown"
        " this once; keep it where secrets are kept and send it as AUGURIUM_KEY."
    )


def _row(key: "Key") -> tuple[object, ...]:
    rate = f"{key.rate:g}/s" if key.rate else None
    return (
        *(key.name, key.id, key.state, key.scopes, key.models or None, rate),
        *(key.expires_at, key.last_used_at, key.created_by),
    )


def _seconds(text: str) -> float:
    """Reads `90d`, `12h`, `30m` or `45s`. Raises BadParameter."""
    found = re.fullmatch(r"([0-9]{1,9})([smhdw])", text)
    if not found:
        raise typer.BadParameter(f"'{text}' is no time span; expected one such as 90d, 12h or 30m")
    return float(int(found[1]) * SECONDS[found[2]])
