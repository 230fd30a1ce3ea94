"""Settings: one frozen tree, read from `augurium.toml`, then `AUGURIUM_...` variables, then flags.

A variable is the section and the key in capitals: `AUGURIUM_BATCHING_MAX_BATCH_SIZE=64`. Unknown
keys are errors.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from augurium.core.errors import InvalidArgument

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]
ENVIRONMENT_PREFIX = "AUGURIUM_"
CLIENT_VARIABLES = frozenset({"AUGURIUM_URL", "AUGURIUM_KEY", "AUGURIUM_ENGINE"})


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the settings file."""


class NodeSettings(Section, frozen=True):
    """Where a node lives and how many processes it has."""

    home: str = "augurium-home"
    """Folder for the registry, artifacts and run-time files; created if missing."""
    host: str = "127.0.0.1"
    """Address every port listens on. Only loopback addresses are accepted: there are no keys yet.
    """
    port: Port = 8000
    """REST data plane."""
    grpc_port: Port = 8001
    """gRPC data plane."""
    control_port: Port = 8080
    """Management API and metrics."""
    engines: Annotated[int, Meta(ge=0)] = 0
    """REST engine processes; 0 means one per core, at most 8."""
    grpc_engines: Annotated[int, Meta(ge=0)] = 0
    """gRPC engine processes, of two busy threads each; 0 means half as many as REST engines."""
    grpc_host: Literal["auto", "envoy", "grpcio"] = "auto"
    """What carries gRPC: Envoy, grpc.aio, or Envoy where it can start and grpc.aio elsewhere."""
    drain_delay_s: Seconds = 0.2
    """On SIGTERM: how long a process stays open while reporting not ready, so that balancers
    notice.
    """
    drain_timeout_s: Seconds = 30.0
    """On SIGTERM: how long accepted requests may take to finish."""

    @property
    def url_host(self) -> str:
        """The host as it stands in a URL: IPv6 addresses in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host


class LimitSettings(Section, frozen=True):
    """Sizes above which a request is refused."""

    max_body_bytes: Count = 64 * 1024 * 1024
    """Largest request body, before and after decompression."""
    max_json_depth: Count = 100
    """Deepest nesting of a JSON body."""
    max_artifact_bytes: Count = 16 * 1024**3
    """Largest model file that may be uploaded."""
    max_in_flight: Count = 2048
    """Requests one engine works on at the same time; more are refused as overloaded."""
    request_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    """Deadline of a request that names none; a request may shorten it, never lengthen it."""


class BatchingSettings(Section, frozen=True):
    """Defaults of the dynamic batcher; a version may carry its own."""

    max_batch_size: Count = 256
    """Rows in one model run, at most."""
    max_queue_delay_ms: Annotated[float, Meta(ge=0, le=10)] = 5.0
    """How long a request may wait behind a busy executor before a second run is started for it."""
    max_queue_rows: Count = 16384
    """Rows waiting for one version, at most; more are refused as overloaded."""


class ImportSettings(Section, frozen=True):
    """Limits of the child process that converts a model."""

    timeout_s: Annotated[float, Meta(gt=0)] = 120.0
    """Wall-clock time of one import."""
    memory_bytes: Count = 8 * 1024**3
    """Memory the import process may use."""
    allow_code: bool = False
    """Accept formats that run code when they are loaded (pickle, joblib). Only for files you made
    yourself.
    """


class LogSettings(Section, frozen=True):
    """Structured logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Settings(Section, frozen=True):
    """The whole tree."""

    node: NodeSettings = NodeSettings()
    limits: LimitSettings = LimitSettings()
    batching: BatchingSettings = BatchingSettings()
    importing: ImportSettings = ImportSettings()
    log: LogSettings = LogSettings()


SECTIONS: dict[str, type[Section]] = dict(get_type_hints(Settings))
KEYS = {
    f"{section}.{key}" for section, table in SECTIONS.items() for key in table.__struct_fields__
}
VARIABLES = {ENVIRONMENT_PREFIX + key.replace(".", "_").upper(): key for key in KEYS}


class LoadedSettings(msgspec.Struct, frozen=True):
    """The settings with the origin of every value: `default`, a file, a variable or a flag."""

    settings: Settings
    origins: dict[str, str]


def load_settings(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> LoadedSettings:
    """Merges file, environment and flags (`{"node.port": 8000}`), later ones first; None among the
    flags means not given.

    Raises InvalidArgument with the key, the value, and where it came from.
    """
    values: dict[str, Any] = {}
    origins = dict.fromkeys(sorted(KEYS), "default")
    layers = [_from_file(file), _from_environment(environment or {}), _from_flags(flags or {})]
    for layer in layers:
        for key, (value, origin) in layer.items():
            values[key], origins[key] = value, origin
    return LoadedSettings(_build(values, origins), origins)


def _from_file(file: Path | None) -> dict[str, tuple[Any, str]]:
    if file is None:
        return {}
    try:
        tree = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidArgument(f"settings file {file} cannot be read: {error}") from error
    found: dict[str, tuple[Any, str]] = {}
    for section, table in tree.items():
        if section not in SECTIONS or not isinstance(table, dict):
            raise InvalidArgument(
                f"{file}: '{section}' is not a section; expected one of {', '.join(SECTIONS)}"
            )
        for name, value in table.items():
            found[_known(f"{section}.{name}", KEYS, str(file))] = (value, str(file))
    return found


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    ours = {
        name: value
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX) and name not in CLIENT_VARIABLES
    }
    return {
        VARIABLES[_known(name, VARIABLES.keys(), "environment")]: (value, name)
        for name, value in ours.items()
    }


def _from_flags(flags: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    given = {key: value for key, value in flags.items() if value is not None}
    return {_known(key, KEYS, "flags"): (value, _flag(key)) for key, value in given.items()}


def _flag(key: str) -> str:
    # the options of `augurium serve`: --port for node.port, --log-level for log.level
    return "--" + key.removeprefix("node.").replace(".", "-").replace("_", "-")


def _known(key: str, known: Any, where: str) -> str:
    if key in known:
        return key
    nearest = difflib.get_close_matches(key, list(known), n=1)
    hint = (
        f"; did you mean '{nearest[0]}'?" if nearest else f"; known are {', '.join(sorted(known))}"
    )
    raise InvalidArgument(f"{where}: '{key}' is not a setting{hint}")


def _build(values: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    tree: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for key, value in values.items():
        section, _, name = key.partition(".")
        field_type = get_type_hints(SECTIONS[section], include_extras=True)[name]
        try:
            # values of the environment are text: "64" is a number and "true" a truth value there,
            # and only there
            tree[section][name] = msgspec.convert(
                value, field_type, strict=not origins[key].startswith(ENVIRONMENT_PREFIX)
            )
        except msgspec.ValidationError as error:
            raise InvalidArgument(
                f"{origins[key]}: {key} = {value!r} is not valid: {error}"
            ) from error
    return msgspec.convert(tree, Settings)
