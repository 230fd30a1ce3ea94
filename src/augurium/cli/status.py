"""`augurium status`: the node, its engines and whether it is ready."""

from typing import TYPE_CHECKING

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.exit_codes import ExitCode
from augurium.cli.output import print_fields, print_json, print_table

if TYPE_CHECKING:
    from augurium.client.results import Engine, Readiness, Server

COLUMNS = ("engine", "state", "pid", "revision", "versions")


def status(json: JsonFlag = False) -> None:
    """Shows the node, its engines and whether it is ready.

    Exits 1 while it is not, so that scripts can wait for it.
    """
    from augurium.client import Client

    with Client() as client:
        server, readiness = client.server(), client.ready()
    if json:
        print_json({"server": server, "readiness": readiness})
    else:
        _show(server, readiness)
    if not readiness.ready:
        raise typer.Exit(ExitCode.FAILED)


def _show(server: "Server", readiness: "Readiness") -> None:
    waiting = f"not ready, waiting for {', '.join(readiness.waiting_for) or 'the engines'}"
    print_fields(
        [
            ("Augurium", server.version),
            ("state", "ready" if readiness.ready else waiting),
            ("REST", server.rest_url),
            ("gRPC", server.grpc_url),
            ("management", server.control_url),
            ("access", "keys required" if server.keys_required else "open: works without keys"),
        ]
    )
    known = {engine.engine for engine in server.engines}
    absent = [
        (slot, "absent", *[None] * 3) for slot in server.expected_engines if slot not in known
    ]
    print_table(COLUMNS, [*map(_row, server.engines), *absent])


def _row(engine: "Engine") -> tuple[object, ...]:
    return (
        engine.engine,
        "connected" if engine.connected else "disconnected",
        engine.pid,
        engine.revision,
        _versions(engine),
    )


def _versions(engine: "Engine") -> str:
    ready = sum(state.state == "ready" for state in engine.states)
    others = [
        f"{state.model}@{state.version} {state.state}{f': {state.reason}' if state.reason else ''}"
        for state in engine.states
        if state.state != "ready"
    ]
    return "; ".join([f"{ready} ready", *others])
