"""Cards, tags, lineage, approvals, soft deletion, the hash chain of the audit, and search."""

import json

import sqlalchemy as sa
from alembic import op

from augurium.registry.chain import chained
from augurium.registry.records import AuditEntry
from augurium.registry.tables import UtcTime

revision = "0002"
down_revision = "0001"

# the text of a search goes no further into a description
MAX_CHARACTERS = 8192
_NAMES = (
    ("models", "name"),
    ("models", "folded_name"),
    ("versions", "model"),
    ("aliases", "model"),
    ("aliases", "alias"),
    ("audit", "model"),
)
_NAME = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *map(sa.column, columns))


_MODELS = _table("models", "name")
_VERSIONS = _table(
    "versions",
    *("model", "version", "framework", "source_name", "description", "tags", "metrics"),
)
_TAGS = _table("tags", "model", "version", "key", "value")
_METRICS = _table("metrics", "model", "version", "name", "value")
_WORDS = _table("words", "model", "version", "text")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # names in the order of their bytes, as SQLite has them
        for table, name in _NAMES:
            op.alter_column(table, name, type_=sa.String(128, collation="C"))
    for column in _model_columns():
        op.add_column("models", column)
    for column in _version_columns():
        op.add_column("versions", column)
    op.create_index(
        "ix_versions_search",
        "versions",
        ["model", "version", "deployed", "deleted_at", "approval", "framework"],
    )
    op.add_column("audit", sa.Column("hash", sa.String(64), nullable=False, server_default=""))
    _chain_audit(op.get_bind())
    _create_search()
    _fill_search(op.get_bind())


def _model_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("requires_approval", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("purged_at", sa.DateTime(timezone=True)),
        sa.Column("tags", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("card", sa.Text(), nullable=False, server_default=""),
    ]


def _version_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("approval", sa.String(16), nullable=False, server_default="none"),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("allowed_code", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("weights_digest", sa.String(64)),
        sa.Column("weights_size_bytes", sa.BigInteger()),
        sa.Column("profile_digest", sa.String(64)),
        sa.Column("profile_size_bytes", sa.BigInteger()),
        sa.Column("preprocessing_digest", sa.String(64)),
        sa.Column("preprocessing_size_bytes", sa.BigInteger()),
        sa.Column("lineage", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("examples", sa.Text(), nullable=False, server_default="[]"),
        sa.Column("card", sa.Text(), nullable=False, server_default=""),
    ]


def _chain_audit(connection: sa.Connection) -> None:
    audit = sa.table(
        "audit",
        sa.column("revision", sa.BigInteger()),
        sa.column("at", UtcTime()),
        sa.column("actor", sa.Text()),
        sa.column("action", sa.Text()),
        sa.column("model", sa.Text()),
        sa.column("version", sa.Integer()),
        sa.column("details", sa.Text()),
        sa.column("hash", sa.Text()),
    )
    last = ""
    for row in connection.execute(sa.select(audit).order_by(audit.c.revision)).all():
        values = dict(row._mapping) | {"details": json.loads(row.details)}
        last = chained(last, AuditEntry(**values)).hash
        connection.execute(
            sa.update(audit).where(audit.c.revision == row.revision).values(hash=last)
        )


def _create_search() -> None:
    op.create_table(
        "tags",
        sa.Column("model", _NAME, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", _NAME, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", "key", name="pk_tags"),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name="fk_tags_models"),
    )
    op.create_index("ix_tags_key_model_version", "tags", ["key", "model", "version"])
    op.create_table(
        "metrics",
        sa.Column("model", _NAME, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", "name", name="pk_metrics"),
        sa.ForeignKeyConstraint(
            ["model", "version"],
            ["versions.model", "versions.version"],
            name="fk_metrics_versions",
        ),
    )
    op.create_index(
        "ix_metrics_name_value_model_version", "metrics", ["name", "value", "model", "version"]
    )
    op.create_table(
        "words",
        sa.Column("model", _NAME, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", name="pk_words"),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name="fk_words_models"),
    )


def _fill_search(connection: sa.Connection) -> None:
    for name in connection.execute(sa.select(_MODELS.c.name)).scalars().all():
        row = {"model": name, "version": 0, "text": name.casefold()}
        connection.execute(sa.insert(_WORDS), row)
    for version in connection.execute(sa.select(_VERSIONS)).all():
        key = {"model": version.model, "version": version.version}
        tagged: dict[str, str] = json.loads(version.tags)
        said = [version.model, version.framework, version.source_name, version.description]
        texts = [*said, *(text for tag in tagged.items() for text in tag)]
        text = "\n".join(filter(None, texts))[:MAX_CHARACTERS].casefold()
        connection.execute(sa.insert(_WORDS), key | {"text": text})
        for name, value in tagged.items():
            connection.execute(sa.insert(_TAGS), key | {"key": name, "value": value})
        for name, number in json.loads(version.metrics).items():
            connection.execute(sa.insert(_METRICS), key | {"name": name, "value": number})
