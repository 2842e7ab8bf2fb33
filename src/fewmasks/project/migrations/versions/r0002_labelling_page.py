"""Tables of the labelling page: who labels, what is being drawn, what was said, what runs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables, and note of a skipped item who skipped it and whether the image is bad."""
    op.add_column("skip", sa.Column("by", sa.Text))
    flagged = sa.Column("flagged", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("skip", flagged)
    _who_labels()
    _what_is_drawn()
    _what_is_said()
    _what_runs()


def _who_labels() -> None:
    op.create_table(
        "user",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password", sa.Text),
        sa.Column("created", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_user"),
    )
    op.create_table(
        "session",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("until", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_session"),
        sa.ForeignKeyConstraint(["user"], ["user.name"], name="fk_session_user"),
    )
    op.create_index("ix_session_user", "session", ["user"])


def _what_is_drawn() -> None:
    op.create_table(
        "lease",
        sa.Column("item_row", sa.Integer, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("until", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("item_row", name="pk_lease"),
        sa.ForeignKeyConstraint(["item_row"], ["item.row"], name="fk_lease_item_row"),
        sa.ForeignKeyConstraint(["user"], ["user.name"], name="fk_lease_user"),
    )
    op.create_table(
        "draft",
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("item_row", sa.Integer, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("file", sa.Text),
        sa.Column("saved", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer),
        sa.PrimaryKeyConstraint("user", "item_row", name="pk_draft"),
        sa.ForeignKeyConstraint(["user"], ["user.name"], name="fk_draft_user"),
        sa.ForeignKeyConstraint(["item_row"], ["item.row"], name="fk_draft_item_row"),
    )


def _what_is_said() -> None:
    op.create_table(
        "comment",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("item_row", sa.Integer, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_comment"),
        sa.ForeignKeyConstraint(["item_row"], ["item.row"], name="fk_comment_item_row"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_comment_item_row", "comment", ["item_row"])


def _what_runs() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("pid", sa.Integer),
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("ended", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sqlite_autoincrement=True,
    )
