"""Schedules of batch jobs: what they have run, and the files that they have seen."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
# as the registry's names: ordered by their bytes
NAME = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "batch_schedules",
        sa.Column("name", NAME, nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("through", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(256), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_batch_schedules"),
    )
    op.create_index("ix_batch_schedules_model", "batch_schedules", ["model"])
    _create_runs()
    op.create_table(
        "batch_arrivals",
        sa.Column("schedule", NAME, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("schedule", "digest", name="pk_batch_arrivals"),
        sa.ForeignKeyConstraint(
            ["schedule"], ["batch_schedules.name"], name="fk_batch_arrivals_batch_schedules"
        ),
    )
    op.create_index("ix_batch_arrivals_schedule_run", "batch_arrivals", ["schedule", "run"])


def _create_runs() -> None:
    op.create_table(
        "batch_runs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("schedule", NAME, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(256), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_batch_runs"),
        sa.ForeignKeyConstraint(
            ["schedule"], ["batch_schedules.name"], name="fk_batch_runs_batch_schedules"
        ),
    )
    numbers = ["schedule", "number"]
    op.create_index("ix_batch_runs_schedule_number", "batch_runs", numbers, unique=True)
    op.create_index("ix_batch_runs_schedule_end", "batch_runs", ["schedule", "end"])
    untold = sa.text("told = false")
    op.create_index(
        "ix_batch_runs_untold",
        "batch_runs",
        ["created_at", "number"],
        sqlite_where=untold,
        postgresql_where=untold,
    )
