"""Batch jobs: how they stand, their partitions that are done, plans and reports, logs."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
# as the registry's names: ordered by their bytes
NAME = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")


def upgrade() -> None:
    _create_jobs()
    op.create_table(
        "batch_partitions",
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job", "number", name="pk_batch_partitions"),
        sa.ForeignKeyConstraint(["job"], ["batch_jobs.id"], name="fk_batch_partitions_batch_jobs"),
    )
    op.create_table(
        "batch_documents",
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job", "kind", name="pk_batch_documents"),
        sa.ForeignKeyConstraint(["job"], ["batch_jobs.id"], name="fk_batch_documents_batch_jobs"),
    )
    op.create_table(
        "batch_log",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("numbers", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_batch_log"),
        sa.ForeignKeyConstraint(["job"], ["batch_jobs.id"], name="fk_batch_log_batch_jobs"),
    )
    op.create_index("ix_batch_log_job_number", "batch_log", ["job", "number"])
    counter = op.create_table(
        "batch_counter",
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(counter, [{"jobs": 0, "lines": 0}])


def _create_jobs() -> None:
    op.create_table(
        "batch_jobs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("wanted", sa.String(16), nullable=False),
        sa.Column("holder", sa.String(256), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("partitions", sa.Integer()),
        sa.Column("rows", sa.BigInteger()),
        sa.Column("committed", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(256), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("schedule", NAME, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("idempotency_key", sa.String(256)),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_batch_jobs"),
        sa.UniqueConstraint("number", name="uq_batch_jobs_number"),
        sa.UniqueConstraint("idempotency_key", name="uq_batch_jobs_idempotency_key"),
    )
    op.create_index("ix_batch_jobs_model_number", "batch_jobs", ["model", "number"])
    op.create_index("ix_batch_jobs_schedule_number", "batch_jobs", ["schedule", "number"])
    still_open = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_batch_jobs_open",
        "batch_jobs",
        ["priority", "number"],
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
