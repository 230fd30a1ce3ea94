"""How a model is served: what may be decided per model, at any time."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("models", sa.Column("serving", sa.Text(), nullable=False, server_default="{}"))
