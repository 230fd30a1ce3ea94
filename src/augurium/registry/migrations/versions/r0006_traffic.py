"""Which version answers a request that names none: the traffic policy of a model, if it has one."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("models", sa.Column("traffic", sa.Text(), nullable=True))
