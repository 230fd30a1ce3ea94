"""The registry's tables. Plain SQL types only: SQLite and PostgreSQL hold the same schema."""

import zlib
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)

from augurium.core.batch_job import BatchSpec
from augurium.core.batch_schedule import BatchScheduleSpec
from augurium.core.serving_policy import ServingPolicy
from augurium.core.signature import Signature
from augurium.core.traffic_policy import TrafficRevision
from augurium.registry.batch_records import BatchProgress
from augurium.registry.records import Lineage

# PostgreSQL orders text by the bytes then, as SQLite does, whatever the locale of the database
Name = String(128).with_variant(String(128, collation="C"), "postgresql")


class Json(TypeDecorator[Any]):
    """A value of one type, kept as JSON text and checked when it is read; None is NULL."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self._decoder.decode(value)


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC because SQLite forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Packed(TypeDecorator[bytes]):
    """Bytes that are mostly JSON, kept compressed."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        # the fastest level: these are numbers and digests, which the others make little smaller
        return None if value is None else zlib.compress(value, 1)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        return None if value is None else zlib.decompress(value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# one row; every writing transaction locks it first, so changes happen one after the other
counter = Table(
    "registry_counter",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("name", Name, primary_key=True),
    Column("folded_name", Name, nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    # the largest number ever given, so that no number is given twice
    Column("latest_version", Integer, nullable=False),
    Column("default_version", Integer),
    Column("requires_approval", Boolean, nullable=False, server_default=false()),
    Column("serving", Json(ServingPolicy), nullable=False, server_default="{}"),
    Column("traffic", Json(TrafficRevision)),
    Column("deleted_at", UtcTime),
    # the versions are gone by then; the name stays taken
    Column("purged_at", UtcTime),
    Column("tags", Json(dict[str, str]), nullable=False, server_default="{}"),
    Column("card", Text, nullable=False, server_default=""),
)

# what lists look at stands before the JSON, which may fill pages of its own
versions = Table(
    "versions",
    metadata,
    Column("model", Name, ForeignKey(models.c.name), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("deployed", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("trained_at", UtcTime),
    Column("framework", String(128), nullable=False),
    Column("framework_version", String(128), nullable=False),
    Column("runtime", String(128), nullable=False),
    Column("source_digest", String(64), nullable=False),
    Column("source_size_bytes", BigInteger, nullable=False),
    Column("source_name", String(256), nullable=False),
    Column("servable_digest", String(64), nullable=False),
    Column("servable_size_bytes", BigInteger, nullable=False),
    Column("idempotency_key", String(256), unique=True),
    Column("options", Json(dict[str, str]), nullable=False),
    Column("metrics", Json(dict[str, float]), nullable=False),
    Column("tags", Json(dict[str, str]), nullable=False),
    Column("description", Text, nullable=False),
    Column("signature", Json(Signature), nullable=False),
    Column("report", Json(dict[str, Any]), nullable=False),
    Column("approval", String(16), nullable=False, server_default="none"),
    Column("deleted_at", UtcTime),
    Column("allowed_code", Boolean, nullable=False, server_default=false()),
    Column("weights_digest", String(64)),
    Column("weights_size_bytes", BigInteger),
    Column("profile_digest", String(64)),
    Column("profile_size_bytes", BigInteger),
    Column("preprocessing_digest", String(64)),
    Column("preprocessing_size_bytes", BigInteger),
    Column("lineage", Json(Lineage), nullable=False, server_default="{}"),
    Column("examples", Json(tuple[Any, ...]), nullable=False, server_default="[]"),
    Column("card", Text, nullable=False, server_default=""),
    Index(None, "deployed", "model", "version"),
    # what a search filters by, so that it need not read the wide rows
    Index(
        "ix_versions_search",
        *("model", "version", "deployed", "deleted_at", "approval", "framework"),
    ),
)

aliases = Table(
    "aliases",
    metadata,
    Column("model", Name, primary_key=True),
    Column("alias", Name, primary_key=True),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["model", "version"], [versions.c.model, versions.c.version]),
)

audit = Table(
    "audit",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(256), nullable=False),
    Column("action", String(64), nullable=False),
    Column("model", Name, nullable=False),
    Column("version", Integer),
    Column("details", Json(dict[str, Any]), nullable=False),
    # SHA-256 over the hash of the entry before and this entry's own content; see `chain.py`
    Column("hash", String(64), nullable=False, server_default=""),
    Index(None, "model", "revision"),
)

# what a search finds versions by; `version` 0 stands for the model itself
tags = Table(
    "tags",
    metadata,
    Column("model", Name, ForeignKey(models.c.name), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("key", Name, primary_key=True),
    Column("value", Text, nullable=False),
    Index(None, "key", "value", "model", "version"),
)

metrics = Table(
    "metrics",
    metadata,
    Column("model", Name, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", Name, primary_key=True),
    Column("value", Float(53), nullable=False),
    ForeignKeyConstraint(["model", "version"], [versions.c.model, versions.c.version]),
    Index(None, "name", "value", "model", "version"),
)

# the words of a version, folded; `version` 0 stands for the model itself
words = Table(
    "words",
    metadata,
    Column("model", Name, ForeignKey(models.c.name), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

# files that are being removed from the store; no version can be registered with one meanwhile
condemned = Table(
    "condemned_files",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("at", UtcTime, nullable=False),
)

# whose secrets are kept as their SHA-256 only
access_keys = Table(
    "access_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", Json(tuple[str, ...]), nullable=False),
    Column("models", Json(tuple[str, ...]), nullable=False),
    Column("rate", Float(53), nullable=False),
    Column("burst", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(256), nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
    Index(None, "name"),
)

# what variants did, by steps of a minute, an hour and a day; `at` is when the step begins, in
# seconds of the epoch, and `source` who counted
variant_series = Table(
    "variant_series",
    metadata,
    Column("model", Name, primary_key=True),
    Column("step_s", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("variant", Name, primary_key=True),
    Column("source", String(32), primary_key=True),
    Column("outcomes", Json(dict[str, int]), nullable=False),
    Column("slo_breaches", BigInteger, nullable=False),
    Column("degraded", BigInteger, nullable=False),
    Column("latency", LargeBinary, nullable=False),
    Column("latency_s", Float(53), nullable=False),
    Column("score_count", BigInteger, nullable=False),
    Column("score_sum", Float(53), nullable=False),
    Column("score_squares", Float(53), nullable=False),
    Index(None, "step_s", "at"),
)

# outcomes of predictions in the order of their receipt, until they stand in a segment
feedback_journal = Table(
    "feedback_journal",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("received_at", Float(53), nullable=False),
    Column("at", Float(53), nullable=False),
    Column("model", Name, nullable=False),
    Column("prediction_id", String(256), nullable=False),
    Column("unit", String(256), nullable=False),
    Column("name", String(128), nullable=False),
    Column("feedback_id", String(256), nullable=False),
    Column("value", Float(53), nullable=False),
    Index(None, "model", "seq"),
)

# Parquet files with what stood in the journal, or came in bulk
feedback_segments = Table(
    "feedback_segments",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("model", Name, nullable=False),
    Column("hour", String(13), nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("first_at", Float(53), nullable=False),
    Column("last_at", Float(53), nullable=False),
    Column("received_at", Float(53), nullable=False),
    Index(None, "model", "first_seq"),
)

# one row: the number of the next row of feedback
feedback_counter = Table(
    "feedback_counter", metadata, Column("next_seq", BigInteger, nullable=False)
)

# what a release is decided by; at most one of a model is active, that is, has not ended
rollouts = Table(
    "rollouts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("model", Name, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(256), nullable=False),
    Column("ended_at", UtcTime),
    Column("revision", BigInteger, nullable=False),
    Column("plan", Json(dict[str, Any]), nullable=False),
    Column("state", Json(dict[str, Any]), nullable=False),
    Index(None, "model", "created_at"),
    Index(
        "uq_rollouts_active",
        "model",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

# `number` counts over all rollouts in the order of commits, so that a reader can go on after it
rollout_events = Table(
    "rollout_events",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("rollout", String(32), ForeignKey(rollouts.c.id), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(256), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("numbers", Json(dict[str, Any]), nullable=False),
    Index(None, "rollout", "seq", unique=True),
)

# jobs that score many rows; whoever works on one is its holder, and names the token it came with.
# They refer to no version, so that they can be read when it is gone
batch_jobs = Table(
    "batch_jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("model", Name, nullable=False),
    Column("version", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("wanted", String(16), nullable=False),
    Column("holder", String(256), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("partitions", Integer),
    Column("rows", BigInteger),
    Column("committed", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(256), nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("schedule", Name, nullable=False),
    Column("due_at", UtcTime),
    Column("idempotency_key", String(256), unique=True),
    Column("reason", Text, nullable=False),
    Column("progress", Json(BatchProgress), nullable=False),
    Column("spec", Json(BatchSpec), nullable=False),
    Index(None, "model", "number"),
    Index(None, "schedule", "number"),
    Index(
        "ix_batch_jobs_open",
        "priority",
        "number",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

# partitions of jobs that are done for good
batch_partitions = Table(
    "batch_partitions",
    metadata,
    Column("job", String(32), ForeignKey(batch_jobs.c.id), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("result", Packed, nullable=False),
)

# what there is one of per job: its plan, its report
batch_documents = Table(
    "batch_documents",
    metadata,
    Column("job", String(32), ForeignKey(batch_jobs.c.id), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("content", Packed, nullable=False),
)

# what happened to jobs; `number` counts over all of them in the order of commits
batch_log = Table(
    "batch_log",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("job", String(32), ForeignKey(batch_jobs.c.id), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("level", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("numbers", Json(dict[str, Any]), nullable=False),
    Index(None, "job", "number"),
)

# one row: the numbers of the newest job and the newest line, which outlive what is removed
batch_counter = Table(
    "batch_counter",
    metadata,
    Column("jobs", BigInteger, nullable=False),
    Column("lines", BigInteger, nullable=False),
)

# jobs that run by the clock or on arrival of files; a claim names the revision that it has seen
batch_schedules = Table(
    "batch_schedules",
    metadata,
    Column("name", Name, primary_key=True),
    Column("id", String(32), nullable=False),
    Column("model", Name, nullable=False),
    Column("through", UtcTime, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("runs", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(256), nullable=False),
    Column("spec", Json(BatchScheduleSpec), nullable=False),
    Index(None, "model"),
)

# what schedules have run, or missed
batch_runs = Table(
    "batch_runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("schedule", Name, ForeignKey(batch_schedules.c.name), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("model", Name, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("start", UtcTime, nullable=False),
    Column("end", UtcTime, nullable=False),
    Column("count", Integer, nullable=False),
    Column("files", Integer, nullable=False),
    Column("job", String(32), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(256), nullable=False),
    Column("ended_at", UtcTime),
    Column("told", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "schedule", "number", unique=True),
    Index(None, "schedule", "end"),
    # those that are open, and those that have ended without that anybody was told
    Index(
        "ix_batch_runs_untold",
        "created_at",
        "number",
        sqlite_where=text("told = false"),
        postgresql_where=text("told = false"),
    ),
)

# files that a schedule has given to a run, by the digest of their place and identity
batch_arrivals = Table(
    "batch_arrivals",
    metadata,
    Column("schedule", Name, ForeignKey(batch_schedules.c.name), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("location", Text, nullable=False),
    Column("run", BigInteger, nullable=False),
    Index(None, "schedule", "run"),
)
