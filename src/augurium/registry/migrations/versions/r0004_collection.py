"""Files that a collection is about to remove; tags by their values, for searches."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "condemned_files",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_condemned_files"),
    )
    op.create_index("ix_tags_key_value_model_version", "tags", ["key", "value", "model", "version"])
    op.drop_index("ix_tags_key_model_version", "tags")
