"""The tables of `project.db` as the newest revision in `fewmasks.project.migrations` makes them."""

import sqlite3
from functools import partial
from pathlib import Path

from sqlalchemy import (
    JSON,
    URL,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    ExceptionContext,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    NullPool,
    PrimaryKeyConstraint,
    Select,
    String,
    Table,
    Text,
    create_engine,
    event,
    false,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DatabaseError, OperationalError

from fewmasks.errors import ProjectError
from fewmasks.project import HEAD

SECONDS_TO_WAIT = 60
"""How long a writer waits for another one before SQLite says "database is locked"."""

PRIMARY_CODE = 0xFF
"""The bits of an error code of SQLite that say the kind; the others say which of a kind."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

revision = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""The table that alembic keeps; written here so that creating a project needs no alembic."""

fact = Table(
    "fact",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
)

source = Table(
    "source",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("path", Text, nullable=False),
    Column("mask", Text),
    Column("scribble", Text),
    Column("group_key", Text, nullable=False, index=True),
    Column("group_rest", JSON, nullable=False),
    Column("split", String(8), nullable=False),
    Column("depth", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("spacing_z", Float, nullable=False),
    Column("spacing_y", Float, nullable=False),
    Column("spacing_x", Float, nullable=False),
)
"""One row per file given at creation; `group_key` alone decides the split."""

item = Table(
    "item",
    metadata,
    # The position in the pool: rows of evidence arrays and rows of this table are the same.
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("source_id", ForeignKey("source.id"), nullable=False, index=True),
    Column("z", Integer, nullable=False),
    Column("y0", Integer),
    Column("x0", Integer),
    Column("y1", Integer),
    Column("x1", Integer),
)

label = Table(
    "label",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item_row", ForeignKey("item.row"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("by", Text, nullable=False),
    Column("round", Integer),
    Column("created", String(32), nullable=False),
    Column("file", Text, nullable=False),
    # 2 is the second reading of an item that two people read: it is compared and never trains.
    Column("reading", Integer, nullable=False, server_default=text("1")),
    # Without it SQLite may give the number of a deleted row again, and numbers order history.
    sqlite_autoincrement=True,
)
"""Every answer ever given; of one item the first reading with the highest number holds."""

verdict = Table(
    "verdict",
    metadata,
    Column("item_row", ForeignKey("item.row"), primary_key=True),
    Column("label_id", ForeignKey("label.id"), nullable=False),
    Column("by", Text, nullable=False),
    Column("created", String(32), nullable=False),
)
"""How a reviewer ended a dispute between two readings."""

skip = Table(
    "skip",
    metadata,
    Column("item_row", ForeignKey("item.row"), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("created", String(32), nullable=False),
    Column("by", Text),
    # Somebody says that the image itself is bad.
    Column("flagged", Boolean, nullable=False, server_default=false()),
)

round_ = Table(
    "round",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("strategy", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("config", JSON, nullable=False),
    Column("created", String(32), nullable=False),
)

pick = Table(
    "pick",
    metadata,
    Column("round", ForeignKey("round.number"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("item_row", ForeignKey("item.row"), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("audit", Boolean, nullable=False),
    Column("control", Boolean, nullable=False, server_default=false()),
    Column("readings", Integer, nullable=False, server_default=text("1")),
)

training = Table(
    "training",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("created", String(32), nullable=False),
    Column("record", JSON, nullable=False),
    sqlite_autoincrement=True,
)

user = Table(
    "user",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", String(16), nullable=False),
    # Argon2; none for the person at this computer, who signs in by a link.
    Column("password", Text),
    Column("created", String(32), nullable=False),
)

session = Table(
    "session",
    metadata,
    # SHA-256 of the token, so that the database signs nobody in.
    Column("digest", String(64), primary_key=True),
    Column("user", ForeignKey("user.name"), nullable=False, index=True),
    Column("until", String(32), nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("item_row", ForeignKey("item.row"), primary_key=True),
    Column("user", ForeignKey("user.name"), nullable=False),
    Column("until", String(32), nullable=False),
)
"""Who is labelling an item now; one that ran out binds nobody."""

draft = Table(
    "draft",
    metadata,
    Column("user", ForeignKey("user.name"), primary_key=True),
    Column("item_row", ForeignKey("item.row"), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("digest", String(32), nullable=False),
    Column("file", Text),
    Column("saved", String(32), nullable=False),
    # The label that it became; the file is gone then, but the sequence goes on.
    Column("revision", Integer),
)
"""What somebody has drawn and not handed in; the newest state alone."""

comment = Table(
    "comment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item_row", ForeignKey("item.row"), nullable=False, index=True),
    Column("by", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("created", String(32), nullable=False),
    sqlite_autoincrement=True,
)

job = Table(
    "job",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("by", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("pid", Integer),
    # Locked by the job's processes while one of them lives.
    Column("log", Text, nullable=False),
    Column("started", String(32), nullable=False),
    Column("ended", String(32)),
    sqlite_autoincrement=True,
)
"""Training and asking on behalf of somebody at the labelling page."""


def database(folder: Path) -> Engine:
    """The database of a project folder; nothing stays open between two transactions.

    So a project can be moved, forked over or killed at any time, and a connection costs less
    than a millisecond.
    """
    # Not an f-string: a folder's name may hold what means something in a URL.
    url = URL.create("sqlite", database=str(folder / "project.db"))
    engine = create_engine(url, poolclass=NullPool)
    event.listen(engine, "handle_error", partial(_refuse_unwritable, folder))
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def open_database(folder: Path) -> Engine:
    """The database of a project that exists, brought to the newest revision."""
    if not (folder / "project.db").is_file():
        raise ProjectError(
            f"{folder}: not a fewmasks project (no project.db); "
            f"make one with `fewmasks create {folder} --images PATH`"
        )
    with (folder / "project.db").open("rb"):
        pass  # where this is forbidden, the system says so better than SQLite does
    engine = database(folder)
    if stored_revision(engine, folder) != HEAD:
        from fewmasks.project.migrations import bring_to_head

        bring_to_head(engine, folder)
    return engine


def writing(engine: Engine) -> Engine:
    """The same database, whose transactions take the write lock first.

    A transaction that reads first and writes later would be refused, not queued, when another
    one wrote in between.
    """
    return engine.execution_options(write=True)


def stored_revision(engine: Engine, folder: Path) -> str | None:
    """The revision of a project's tables; None where it has none yet."""
    try:
        with engine.begin() as connection:
            return connection.scalar(select(revision.c.version_num))
    except OperationalError:
        # No such table, or locked, or no access: only the first is the file's fault.
        if inspect(engine).has_table(revision.name):
            raise
        raise ProjectError(
            f"{folder / 'project.db'}: not the database of a fewmasks project; "
            f"restore the file or create the project anew"
        ) from None
    except DatabaseError as error:
        raise ProjectError(
            f"{folder / 'project.db'}: damaged ({error.orig}); restore it from a backup"
        ) from None


def _refuse_unwritable(folder: Path, context: ExceptionContext) -> None:
    """Say it where SQLite may not write; even a reader makes files beside the database."""
    code = getattr(context.original_exception, "sqlite_errorcode", 0)
    if code & PRIMARY_CODE == sqlite3.SQLITE_READONLY:
        raise ProjectError(
            f"{folder}: its database cannot be written ({context.original_exception}); "
            f"make the folder and project.db writable, or copy the project to where you may write"
        ) from None


def _prepare(connection: object, _record: object) -> None:
    # The driver would open transactions by itself, and too late; `_begin` does it instead.
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(f"PRAGMA busy_timeout = {SECONDS_TO_WAIT * 1000}")
    cursor.execute("PRAGMA foreign_keys = ON")
    # FULL, not NORMAL: an answer that was acknowledged survives a power cut too. It costs one
    # sync of the disk per answer, and people answer every few seconds.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def make_tables(engine: Engine) -> None:
    """Make the tables of a new project and note their revision."""
    with engine.connect() as connection:
        # WAL is a property of the file: set once, readers never wait for the writer.
        connection.connection.cursor().execute("PRAGMA journal_mode = WAL")
    with writing(engine).begin() as connection:
        metadata.create_all(connection)
        connection.execute(revision.insert(), {"version_num": HEAD})


def open_picks() -> Select[tuple[str, str, bool, bool, int]]:
    """Picks of the newest round that have neither label nor skip, in the order asked."""
    newest = select(func.max(round_.c.number)).scalar_subquery()
    columns = (pick.c.reason, pick.c.audit, pick.c.control, pick.c.readings)
    return (
        select(item.c.id.label("item"), *columns)
        .join(item, item.c.row == pick.c.item_row)
        .where(pick.c.round == newest)
        .where(pick.c.item_row.not_in(select(label.c.item_row)))
        .where(pick.c.item_row.not_in(select(skip.c.item_row)))
        .order_by(pick.c.place)
    )
