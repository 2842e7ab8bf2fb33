"""Items that two people read: who was asked, what the second one said, how disputes ended."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Every older label is a first reading, and nothing older was asked for twice."""
    one = sa.text("1")
    op.add_column("pick", sa.Column("readings", sa.Integer, nullable=False, server_default=one))
    op.add_column("label", sa.Column("reading", sa.Integer, nullable=False, server_default=one))
    op.create_table(
        "verdict",
        sa.Column("item_row", sa.Integer, nullable=False),
        sa.Column("label_id", sa.Integer, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("item_row", name="pk_verdict"),
        sa.ForeignKeyConstraint(["item_row"], ["item.row"], name="fk_verdict_item_row"),
        sa.ForeignKeyConstraint(["label_id"], ["label.id"], name="fk_verdict_label_id"),
    )
