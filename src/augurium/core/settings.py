"""Settings: one frozen tree, read from `augurium.toml`, then `AUGURIUM_...` variables, then flags.

A variable is the section and the key in capitals: `AUGURIUM_BATCHING_MAX_BATCH_SIZE=64`. Unknown
keys are errors.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from augurium.core.batch_settings import BatchSettings
from augurium.core.errors import InvalidArgument
from augurium.core.rollout_settings import (
    FeedbackSettings,
    PredictionLogSettings,
    SeriesSettings,
    WebhookSettings,
)
from augurium.core.settings_section import Count, Port, Seconds, Section

TokenAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"
]
MODEL_PATTERN = r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,127}(@[A-Za-z0-9][A-Za-z0-9_.-]{0,127})?)?$"
ENVIRONMENT_PREFIX = "AUGURIUM_"
CLIENT_VARIABLES = frozenset(
    {
        "AUGURIUM_URL",
        "AUGURIUM_KEY",
        "AUGURIUM_ENGINE",
        "AUGURIUM_CA",
        "AUGURIUM_CERTIFICATE",
        "AUGURIUM_CERTIFICATE_KEY",
    }
)


class NodeSettings(Section, frozen=True):
    """Where a node lives and how many processes it has."""

    home: str = "augurium-home"
    """Folder for the registry, artifacts and run-time files; created if missing."""
    host: str = "127.0.0.1"
    """Address every port listens on. Any other than a loopback address needs keys, and TLS."""
    port: Port = 8000
    """REST data plane."""
    grpc_port: Port = 8001
    """gRPC data plane."""
    control_port: Port = 8080
    """Management API and metrics."""
    engines: Annotated[int, Meta(ge=0)] = 0
    """Engine processes, each with REST and gRPC; 0 means one per core, at most 8."""
    default_model: Annotated[str, Meta(pattern=MODEL_PATTERN)] = ""
    """Model that answers `POST /invocations`, which names none: `name`, `name@alias` or `name@3`;
    empty means the only one that is deployed.
    """
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
    max_bytes_in_flight: Count = 1024**3
    """Bytes of the bodies above 64 KiB that one engine holds, from their first byte until they are
    answered; more are refused as overloaded.
    """
    request_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    """Deadline of a request that names none; a request may shorten it, never lengthen it."""
    stream_timeout_s: Annotated[float, Meta(gt=0)] = 600.0
    """The same for a request that asks for several answers, until the last of them."""


class BatchingSettings(Section, frozen=True):
    """Defaults of the dynamic batcher; a version may carry its own."""

    max_batch_size: Count = 256
    """Rows in one model run, at most; up to 16 times as many in a request of more rows than that,
    as long as a run takes a few milliseconds. 1 means one row at a time everywhere.
    """
    max_queue_delay_ms: Annotated[float, Meta(ge=0, le=10)] = 5.0
    """How long a request may wait behind a busy executor before a second run is started for it."""
    max_queue_rows: Count = 16384
    """Rows waiting for one version, at most; more are refused as overloaded."""
    target_queue_delay_ms: Annotated[float, Meta(ge=0, le=60_000)] = 100.0
    """When requests have waited longer than this for longer than the interval, a version is
    overloaded: requests that would wait so long, or eight times as long as a single row takes where
    that is longer, are refused until it is not. 0 lets them wait until their deadline.
    """
    overload_interval_ms: Annotated[float, Meta(ge=1, le=60_000)] = 500.0
    """How long requests must have waited too long before any is refused for it."""


class CacheSettings(Section, frozen=True):
    """The prediction cache; which models use it, and for how long, is said per model."""

    max_bytes: Count = 128 * 1024 * 1024
    """Memory for remembered answers in each engine; the least recently used leave first."""
    redis_url: str = ""
    """Redis or Valkey that engines and nodes share as a second level, such as
    `redis://:password@host:6379/0`; needs `augurium[redis]`. Empty for none.
    """
    redis_timeout_s: Annotated[float, Meta(gt=0, le=10)] = 0.05
    """How long an answer of it is waited for; after that it is left alone for a while."""


class ResidencySettings(Section, frozen=True):
    """Which deployed versions are in memory."""

    memory_bytes: Annotated[int, Meta(ge=0)] = 0
    """Memory for models in all engines together. Above it, what was not asked for longest is put to
    sleep, and loaded again by the next request for it; 0 keeps every deployed version loaded.
    """
    neighbours: bool = True
    """Where memory is limited and there are several engines, a version that is asked for seldom is
    in one of them, which answers for all; false: each loads its own.
    """


class WarmUpSettings(Section, frozen=True):
    """What a version goes through before it takes requests."""

    timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    """After this long, what is left of a warm-up is skipped; a version that takes longer for one
    row is refused.
    """
    traffic_bytes: Annotated[int, Meta(ge=0)] = 8 * 1024 * 1024
    """Rows of recent requests that each engine keeps in memory, of all models together, to warm up
    their next versions with; 0 keeps none.
    """
    keep_traffic: bool = False
    """Keep these rows in the home folder over a restart. They may be personal data."""


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


class TlsSettings(Section, frozen=True):
    """Encryption of all three ports, with the same certificate. Replaced files are picked up."""

    certificate: str = ""
    """PEM file with the certificate and those between it and its root; empty means no TLS."""
    private_key: str = ""
    """PEM file with the certificate's key, not encrypted."""
    client_ca: str = ""
    """PEM file: certificates of callers that it signed are believed (mutual TLS)."""
    client_certificates: Literal["accepted", "required"] = "accepted"
    """With `client_ca`: whether a caller without a certificate may connect."""

    @property
    def enabled(self) -> bool:
        """Whether the ports speak TLS."""
        return bool(self.certificate)


class AccessSettings(Section, frozen=True):
    """Who may call: API keys, tokens of an identity provider, client certificates."""

    required: bool = False
    """Refuse callers without a credential. Always so when `node.host` is not a loopback address."""
    allow_plaintext: bool = False
    """Let keys cross a network without TLS; for a proxy in front that encrypts."""
    hosts: tuple[str, ...] = ()
    """Names in the Host header that the management API answers to, besides this machine's own;
    empty means any where credentials are required.
    """
    environment: Annotated[str, Meta(pattern="^[a-z0-9]{1,16}$")] = "live"
    """The word in new keys that tells test from production: `aug_live_...`."""
    rate: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    """Requests per second of a credential that has no rate of its own; 0 means no limit."""
    burst: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Requests such a credential may send at once; 0 means a second's worth."""
    issuer: str = ""
    """`iss` of the tokens that are believed; empty means no tokens. Needs `augurium[oidc]`."""
    audience: str = ""
    """`aud` that a token must have."""
    jwks: str = ""
    """The issuer's public keys: a URL (https, or http on this machine) or a file."""
    algorithms: tuple[TokenAlgorithm, ...] = ("RS256", "ES256", "EdDSA")
    """Signatures that are accepted."""
    leeway_s: Annotated[float, Meta(ge=0, le=60)] = 30.0
    """How far the issuer's clock may be off."""
    scopes_claim: str = "scope"
    """The claim with the scopes, as a path such as `realm_access.roles`. The words predict, read,
    batch, deploy and admin count, also as `augurium:predict`.
    """
    scope_map: dict[str, str] = msgspec.field(default_factory=dict)
    """The issuer's words for our scopes, such as `{"ml-engineers" = "deploy"}`."""
    models_claim: str = ""
    """The claim with the model patterns; empty means that a token is for all models."""
    certificates: dict[str, str] = msgspec.field(default_factory=dict)
    """Scopes of callers by the name in their certificate, such as `{"*.batch.internal" =
    "predict"}`; needs `tls.client_ca`.
    """


class StorageSettings(Section, frozen=True):
    """Where the registry and the artifacts are kept. Credentials never stand here: they come from
    the environment of the provider (AWS_..., GOOGLE_..., AZURE_...).
    """

    database_url: str = ""
    """`postgresql://...`, or empty for SQLite in the home folder."""
    artifacts_url: str = ""
    """`s3://bucket/prefix`, `gs://...`, `az://container/prefix`, `file:///folder`, or empty for the
    home folder.
    """
    s3_endpoint: str = ""
    """URL of an S3 server other than Amazon's; empty means AWS_ENDPOINT_URL, then Amazon's own."""
    allow_http: bool = False
    """Speak plain http to an S3 endpoint on another machine; on this machine it is always allowed.
    """
    cache_bytes: Count = 32 * 1024**3
    """Copies of remote artifacts on this node, at most; what is deployed is never dropped."""
    verify: Literal["changed", "always"] = "changed"
    """When an engine hashes a model's files before it loads them: when they have changed since they
    were hashed on this node, or always, which also finds what a disk forgot.
    """
    connect_timeout_s: Annotated[float, Meta(gt=0, le=10)] = 1.0
    """How long a connection to the object store may take."""
    read_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    """How long the object store may pause in the middle of an answer."""
    retries: Annotated[int, Meta(ge=0, le=20)] = 5
    """How often one request to the object store is repeated, with growing pauses."""


class RunnerSettings(Section, frozen=True):
    """Processes that hold what may not live in an engine: native frameworks, Python functions."""

    idle_s: Seconds = 10.0
    """How long a runner waits for engines to come back after the last one was lost."""
    load_timeout_s: Annotated[float, Meta(gt=0)] = 120.0
    """How long a version may take to load in its runner."""
    liveness_s: Annotated[float, Meta(gt=0)] = 10.0
    """A runner that says nothing for so long while it has work is ended, and started again."""
    memory_bytes: Annotated[int, Meta(ge=0)] = 0
    """Memory (resident set) above which a runner is ended, and started again; 0: no limit."""
    shared_memory_bytes: Annotated[int, Meta(ge=0)] = 64 * 1024 * 1024
    """Address space for large tensors between one engine and one version in a runner, used only as
    far as it is needed; 0: tensors cross by sockets.
    """
    max_streams: Count = 32
    """Streams of answers that one engine reads from one version at the same time; more are refused
    as overloaded.
    """


class GpuSettings(Section, frozen=True):
    """Devices that versions may run on; which ones do is said per model."""

    memory_bytes: Annotated[int, Meta(ge=0)] = 0
    """Memory for models on each device, in all engines together. Above it, what was not asked for
    longest lets go of the device, and is loaded again by the next request for it; 0: no limit.
    """


class ScalingSettings(Section, frozen=True):
    """How many engines there are, where that follows the load. Off unless `max_engines` is set.

    A target is what one engine shall have; 0 leaves it out, and the one that asks for the most
    engines wins.
    """

    max_engines: Annotated[int, Meta(ge=0, le=256)] = 0
    """The most engines; 0 keeps the number that `node.engines` says. Memory limits of the whole
    node are shared out among so many.
    """
    min_engines: Annotated[int, Meta(ge=1, le=256)] = 1
    """The fewest engines; a node starts with these, or with `node.engines`."""
    target_cpu_utilization: Annotated[float, Meta(ge=0, le=64)] = 0.7
    """CPU time per second of one engine, all its threads; 1 is a whole core."""
    target_requests_per_s: Annotated[float, Meta(ge=0)] = 0.0
    """Requests per second of one engine."""
    target_queue_delay_ms: Annotated[float, Meta(ge=0)] = 0.0
    """Mean time of a request in the queues. Above it, at most twice as many are asked for; far
    below it, one less.
    """
    target_in_flight: Annotated[float, Meta(ge=0)] = 0.0
    """Requests that one engine works on at the same time."""
    tolerance: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    """A measure within this share of its target changes nothing."""
    interval_s: Annotated[float, Meta(ge=0.1, le=60)] = 2.0
    """How often it is decided. Engines report about once a second."""
    up_window_s: Annotated[float, Meta(ge=0, le=3600)] = 6.0
    """More engines are started when everything measured in this time asked for more."""
    up_engines: Count = 4
    """How many may be added in `up_period_s`."""
    up_period_s: Annotated[float, Meta(gt=0, le=3600)] = 15.0
    """See `up_engines`."""
    down_window_s: Annotated[float, Meta(ge=0, le=86400)] = 300.0
    """Engines are stopped when everything measured in this time asked for fewer."""
    down_engines: Count = 1
    """How many may be stopped in `down_period_s`."""
    down_period_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    """See `down_engines`."""
    leave_s: Annotated[float, Meta(ge=0, le=600)] = 10.0
    """How long an engine that is taken away stays for callers that keep a connection and ask
    nothing; with their next answer they are told to go elsewhere.
    """
    stale_s: Annotated[float, Meta(ge=2)] = 10.0
    """What an engine reported longer ago does not count. Without anything measured the number
    stays.
    """
    schedules: tuple[str, ...] = ()
    """Times with another minimum or maximum, each `DAYS HH:MM-HH:MM [ZONE] [min N] [max N]`, such
    as `weekdays 08:00-18:00 Europe/Berlin min 4`.
    """
    time_zone: str = "UTC"
    """The zone of schedules that name none."""

    @property
    def enabled(self) -> bool:
        """Whether the number may change."""
        return self.max_engines > 0


class LogSettings(Section, frozen=True):
    """Structured logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Settings(Section, frozen=True):
    """The whole tree."""

    node: NodeSettings = NodeSettings()
    limits: LimitSettings = LimitSettings()
    batching: BatchingSettings = BatchingSettings()
    cache: CacheSettings = CacheSettings()
    residency: ResidencySettings = ResidencySettings()
    warm_up: WarmUpSettings = WarmUpSettings()
    importing: ImportSettings = ImportSettings()
    storage: StorageSettings = StorageSettings()
    runners: RunnerSettings = RunnerSettings()
    gpu: GpuSettings = GpuSettings()
    scaling: ScalingSettings = ScalingSettings()
    series: SeriesSettings = SeriesSettings()
    prediction_log: PredictionLogSettings = PredictionLogSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    webhooks: WebhookSettings = WebhookSettings()
    batch: BatchSettings = BatchSettings()
    log: LogSettings = LogSettings()
    tls: TlsSettings = TlsSettings()
    access: AccessSettings = AccessSettings()

    @property
    def url_scheme(self) -> str:
        """How URLs of the REST and management ports begin."""
        return "https" if self.tls.enabled else "http"


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
    return "--" + key.removeprefix("node.").removeprefix("importing.").replace(".", "-").replace(
        "_", "-"
    )


def _known(key: str, known: Any, where: str) -> str:
    if key in known:
        return key
    nearest = difflib.get_close_matches(key, list(known), n=1)
    hint = (
        f"; did you mean '{nearest[0]}'?" if nearest else f"; known are {', '.join(sorted(known))}"
    )
    raise InvalidArgument(f"{where}: '{key}' is not a setting{hint}")


def _parted(text: str, kind: Any) -> Any:
    """The text of a variable for a setting of several values: `a,b`, or `a=1,b=2`."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if kind is tuple:
        return parts
    return dict(part.partition("=")[::2] for part in parts) if kind is dict else text


def _build(values: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    tree: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for key, value in values.items():
        section, _, name = key.partition(".")
        field_type = get_type_hints(SECTIONS[section], include_extras=True)[name]
        try:
            # values of the environment are text: "64" is a number and "true" a truth value there,
            # and only there
            text = origins[key].startswith(ENVIRONMENT_PREFIX)
            tree[section][name] = msgspec.convert(
                _parted(value, get_origin(field_type)) if text else value,
                field_type,
                strict=not text,
            )
        except msgspec.ValidationError as error:
            raise InvalidArgument(
                f"{origins[key]}: {key} = {value!r} is not valid: {error}"
            ) from error
    return msgspec.convert(tree, Settings)
