"""What variants did, by steps of a minute, an hour and a day."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

# as `tables.Name`
NAME = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "variant_series",
        sa.Column("model", NAME, nullable=False),
        sa.Column("step_s", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("version", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("variant", NAME, nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("outcomes", sa.Text(), nullable=False),
        sa.Column("slo_breaches", sa.BigInteger(), nullable=False),
        sa.Column("degraded", sa.BigInteger(), nullable=False),
        sa.Column("latency", sa.LargeBinary(), nullable=False),
        sa.Column("latency_s", sa.Float(53), nullable=False),
        sa.Column("score_count", sa.BigInteger(), nullable=False),
        sa.Column("score_sum", sa.Float(53), nullable=False),
        sa.Column("score_squares", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint(
            *("model", "step_s", "at", "version", "variant", "source"), name="pk_variant_series"
        ),
    )
    op.create_index("ix_variant_series_step_s_at", "variant_series", ["step_s", "at"])
