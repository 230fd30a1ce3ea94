"""Models, versions, aliases and the audit log.

A release must run on the schema of the next one: migrations add first, and remove a release later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    counter = op.create_table(
        "registry_counter",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_registry_counter"),
    )
    op.bulk_insert(counter, [{"id": 1, "revision": 0}])
    op.create_table(
        "models",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("folded_name", sa.String(128), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("latest_version", sa.Integer(), nullable=False),
        sa.Column("default_version", sa.Integer()),
        sa.PrimaryKeyConstraint("name", name="pk_models"),
        sa.UniqueConstraint("folded_name", name="uq_models_folded_name"),
    )
    _create_versions()
    op.create_table(
        "aliases",
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("alias", sa.String(128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("model", "alias", name="pk_aliases"),
        sa.ForeignKeyConstraint(
            ["model", "version"],
            ["versions.model", "versions.version"],
            name="fk_aliases_versions",
        ),
    )
    _create_audit()


def _create_versions() -> None:
    op.create_table(
        "versions",
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("deployed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trained_at", sa.DateTime(timezone=True)),
        sa.Column("framework", sa.String(128), nullable=False),
        sa.Column("framework_version", sa.String(128), nullable=False),
        sa.Column("runtime", sa.String(128), nullable=False),
        sa.Column("source_digest", sa.String(64), nullable=False),
        sa.Column("source_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("source_name", sa.String(256), nullable=False),
        sa.Column("servable_digest", sa.String(64), nullable=False),
        sa.Column("servable_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("idempotency_key", sa.String(256)),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", name="pk_versions"),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name="fk_versions_models"),
        sa.UniqueConstraint("idempotency_key", name="uq_versions_idempotency_key"),
    )
    op.create_index(
        "ix_versions_deployed_model_version", "versions", ["deployed", "model", "version"]
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(256), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("version", sa.Integer()),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_audit"),
    )
    op.create_index("ix_audit_model_revision", "audit", ["model", "revision"])
