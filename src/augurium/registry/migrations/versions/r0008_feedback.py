"""Feedback: a journal, the list of segments it was put into, and the next sequence number."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
# as the registry's names: ordered by their bytes
NAME = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "feedback_journal",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("received_at", sa.Float(53), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("prediction_id", sa.String(256), nullable=False),
        sa.Column("unit", sa.String(256), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("feedback_id", sa.String(256), nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_feedback_journal"),
    )
    op.create_index("ix_feedback_journal_model_seq", "feedback_journal", ["model", "seq"])
    op.create_table(
        "feedback_segments",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("hour", sa.String(13), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.Float(53), nullable=False),
        sa.Column("last_at", sa.Float(53), nullable=False),
        sa.Column("received_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_feedback_segments"),
    )
    op.create_index(
        "ix_feedback_segments_model_first_seq", "feedback_segments", ["model", "first_seq"]
    )
    counter = op.create_table(
        "feedback_counter", sa.Column("next_seq", sa.BigInteger(), nullable=False)
    )
    op.bulk_insert(counter, [{"next_seq": 1}])
