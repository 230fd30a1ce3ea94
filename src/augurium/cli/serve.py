"""`augurium serve`: runs a node in the foreground."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_json, print_table
from augurium.core.errors import InvalidArgument
from augurium.core.settings import LoadedSettings, load_settings

DEFAULT_CONFIG = Path("augurium.toml")

Home = Annotated[
    str | None, typer.Option(help="Folder for the registry, artifacts and run-time files.")
]
Host = Annotated[
    str | None,
    typer.Option(help="Address every port listens on; other than loopback needs keys and TLS."),
]
Port = Annotated[int | None, typer.Option(help="Port of REST predictions.")]
GrpcPort = Annotated[int | None, typer.Option(help="Port of gRPC predictions.")]
ControlPort = Annotated[int | None, typer.Option(help="Port of the management API and of metrics.")]
Engines = Annotated[
    int | None,
    typer.Option(
        help="Engine processes, each with REST and gRPC; 0 means one per core, at most 8."
    ),
]
AllowCode = Annotated[
    bool | None,
    typer.Option("--allow-code", help="Accept pickles and Python functions; they run code."),
]
AccessRequired = Annotated[
    bool | None,
    typer.Option("--access-required", help="Refuse callers without a key, also on loopback."),
]
AllowPlaintext = Annotated[
    bool | None,
    typer.Option(
        "--access-allow-plaintext", help="Let keys cross a network without TLS, behind a proxy."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(help="Settings file; augurium.toml in the current folder if there is one."),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"] | None,
    typer.Option(help="The least severe events that are logged."),
]
LogFormat = Annotated[
    Literal["text", "json"] | None, typer.Option(help="How events are written on standard error.")
]
PrintSettings = Annotated[
    bool, typer.Option("--print-settings", help="Show every setting with its origin and exit.")
]


def serve(
    home: Home = None,
    host: Host = None,
    port: Port = None,
    grpc_port: GrpcPort = None,
    control_port: ControlPort = None,
    engines: Engines = None,
    allow_code: AllowCode = None,
    access_required: AccessRequired = None,
    access_allow_plaintext: AllowPlaintext = None,
    config: Config = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
    print_settings: PrintSettings = False,
    json: JsonFlag = False,
) -> None:
    """Runs a node in the foreground.

    SIGTERM or Ctrl-C drains and stops it. Settings come from the settings file, then from
    AUGURIUM_... variables, then from these options. --json goes with --print-settings.
    """
    flags = {
        "node.home": home,
        "node.host": host,
        "node.port": port,
        "node.grpc_port": grpc_port,
        "node.control_port": control_port,
        "node.engines": engines,
        "importing.allow_code": allow_code,
        "access.required": access_required,
        "access.allow_plaintext": access_allow_plaintext,
        "log.level": log_level,
        "log.format": log_format,
    }
    loaded = loaded_settings(config, flags)
    if print_settings:
        _print_settings(loaded, json)
        return
    # here, not above: the other commands do not need a node
    from augurium.node.supervisor import serve as serve_node

    raise typer.Exit(serve_node(loaded.settings))


def loaded_settings(config: Path | None, flags: Mapping[str, Any]) -> LoadedSettings:
    """The settings as `augurium serve` would see them. Raises BadParameter."""
    file = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    try:
        return load_settings(file, os.environ, flags)
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from error


def _print_settings(loaded: LoadedSettings, json: bool) -> None:
    rows = []
    for key, origin in loaded.origins.items():
        section, _, name = key.partition(".")
        rows.append((key, getattr(getattr(loaded.settings, section), name), origin))
    if json:
        print_json({key: {"value": value, "origin": origin} for key, value, origin in rows})
    else:
        print_table(("setting", "value", "origin"), rows)
