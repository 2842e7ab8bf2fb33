"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables; the names of keys and indices are part of the schema."""
    _what_was_given()
    _what_was_answered()
    _what_was_asked()


def _what_was_given() -> None:
    op.create_table(
        "fact",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_fact"),
    )
    op.create_table(
        "source",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("mask", sa.Text),
        sa.Column("scribble", sa.Text),
        sa.Column("group_key", sa.Text, nullable=False),
        sa.Column("group_rest", sa.JSON, nullable=False),
        sa.Column("split", sa.String(8), nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("spacing_z", sa.Float, nullable=False),
        sa.Column("spacing_y", sa.Float, nullable=False),
        sa.Column("spacing_x", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_source"),
    )
    op.create_index("ix_source_group_key", "source", ["group_key"])
    op.create_table(
        "item",
        sa.Column("row", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("source_id", sa.Integer, nullable=False),
        sa.Column("z", sa.Integer, nullable=False),
        sa.Column("y0", sa.Integer),
        sa.Column("x0", sa.Integer),
        sa.Column("y1", sa.Integer),
        sa.Column("x1", sa.Integer),
        sa.PrimaryKeyConstraint("row", name="pk_item"),
        sa.UniqueConstraint("id", name="uq_item_id"),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name="fk_item_source_id"),
    )
    op.create_index("ix_item_source_id", "item", ["source_id"])


def _what_was_answered() -> None:
    op.create_table(
        "label",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("item_row", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("round", sa.Integer),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_label"),
        sa.ForeignKeyConstraint(["item_row"], ["item.row"], name="fk_label_item_row"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_label_item_row", "label", ["item_row"])
    op.create_table(
        "skip",
        sa.Column("item_row", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("item_row", name="pk_skip"),
        sa.ForeignKeyConstraint(["item_row"], ["item.row"], name="fk_skip_item_row"),
    )


def _what_was_asked() -> None:
    op.create_table(
        "round",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("strategy", sa.Text, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("config", sa.JSON, nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_round"),
    )
    op.create_table(
        "pick",
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("place", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("item_row", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("audit", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("round", "place", name="pk_pick"),
        sa.ForeignKeyConstraint(["round"], ["round.number"], name="fk_pick_round"),
        sa.ForeignKeyConstraint(["item_row"], ["item.row"], name="fk_pick_item_row"),
    )
    op.create_index("ix_pick_item_row", "pick", ["item_row"])
    op.create_table(
        "training",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_training"),
        sqlite_autoincrement=True,
    )
