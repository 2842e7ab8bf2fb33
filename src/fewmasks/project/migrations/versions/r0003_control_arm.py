"""Which picks were drawn at random beside the strategy's."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Older rounds had no control arm."""
    control = sa.Column("control", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("pick", control)
