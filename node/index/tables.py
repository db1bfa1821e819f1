"""The tables of intake, and how the database is opened so that a commit survives power loss.

SQLite runs in WAL mode with synchronous=FULL: one flush a commit, and no directory entry that
would need one (the default DELETE journal unlinks a file without flushing its directory).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from node.config import Storage
from node.errors import IndexUnusableError
from node.index.schema import bring_up_to_date
from node.repair import what_helps

METADATA = sa.MetaData()

_UID = sa.String(64)
RESTORE = (
    "restore it from a backup and move engine.sqlite away, where there is one, with their -wal and "
    "-shm files; the spool still has every image"
)
_PATIENCE_MS = 10_000  # for a lock that another process holds
_TABLES_LOCK = 0x5045_5246_5553_494F  # any number of ours

STUDY = sa.Table(
    "study",
    METADATA,
    sa.Column("study_uid", _UID, primary_key=True),
    sa.Column("first_s", sa.Float, nullable=False),
    # The highest revision that any instance has, and the highest that was frozen (0: none).
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("frozen", sa.Integer, nullable=False),
)

INSTANCE = sa.Table(
    "instance",
    METADATA,
    sa.Column("sop_instance_uid", _UID, primary_key=True),
    sa.Column("study_uid", _UID, sa.ForeignKey("study.study_uid"), nullable=False),
    sa.Column("series_uid", _UID, nullable=False),
    sa.Column("sop_class_uid", _UID, nullable=False),
    sa.Column("transfer_syntax_uid", _UID, nullable=False),
    sa.Column("file", sa.String(80), nullable=False, unique=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("modality", sa.String(16), nullable=False),
    sa.Column("expected_images", sa.Integer),
    sa.Column("calling_ae", sa.String(16), nullable=False),
    sa.Column("received_s", sa.Float, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Index("instance_by_series", "study_uid", "series_uid"),
)

CONFLICT = sa.Table(
    "conflict",
    METADATA,
    sa.Column("file", sa.String(80), primary_key=True),
    sa.Column("sop_instance_uid", _UID, nullable=False, index=True),
    sa.Column("study_uid", _UID, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("calling_ae", sa.String(16), nullable=False),
    sa.Column("received_s", sa.Float, nullable=False),
)


# Files of the spool whose rows are gone and which go themselves; see `retirement`.
DOOMED = sa.Table(
    "doomed",
    METADATA,
    sa.Column("file", sa.String(80), primary_key=True),
    sa.Column("study_uid", _UID, nullable=False, index=True),
    sa.Column("sop_class_uid", _UID, nullable=False),
)


def insert_into(table: sa.Table, dialect: sa.Dialect) -> sqlite.Insert | postgresql.Insert:
    """Begin an INSERT that can say what to do on a conflict."""
    return sqlite.insert(table) if dialect.name == "sqlite" else postgresql.insert(table)


def database_url(storage: Storage) -> sa.URL:
    """Return the configured database, by default a file in the storage directory."""
    if storage.database_url is not None:
        return sa.make_url(storage.database_url)
    return sa.URL.create("sqlite", database=str(storage.directory / "index.sqlite"))


def open_index(storage: Storage, *, flushes: bool = True) -> sa.Engine:
    """Open the database; make its folder and tables where they are missing, upgrade older ones.

    Without `flushes`, a commit survives the end of the process but maybe not a power cut, which
    then takes the latest commits and no others: any later commit that flushes, of any process,
    flushes them too. That is for what can be found again, as the receiver finds its instances.

    Raises
    ------
    IndexUnusableError
        It is damaged, locked, away or of a newer version; the message says what to do.
    """
    url = database_url(storage)
    if url.get_backend_name() == "sqlite":
        storage.directory.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        if not flushes:
            sa.event.listen(engine, "connect", _without_flushes_sqlite)
    elif not flushes:
        sa.event.listen(engine, "connect", _without_flushes_postgresql)
    try:
        _make_tables(engine)
    except sa.exc.DatabaseError as error:
        raise IndexUnusableError(
            f"the index {url.render_as_string(hide_password=True)} cannot be used "
            f"({error.orig}): {what_helps(error, url, damaged=RESTORE)}"
        ) from error
    return engine


def _make_tables(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        # Receiver and worker may both come first: one makes the tables, the other waits.
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TABLES_LOCK)))
        bring_up_to_date(connection, METADATA)


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Give a connection for reading one consistent state; it never waits for a writer."""
    with engine.connect().execution_options(read_only=True) as connection, connection.begin():
        yield connection


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver shall not begin transactions by itself
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={_PATIENCE_MS}",  # first, because the change to WAL itself needs a lock
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _without_flushes_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")  # in WAL mode: consistent, flushed at checkpoints
    # 64 MB, which `checkpoint` hardly lets come; an answer would wait for it.
    cursor.execute("PRAGMA wal_autocheckpoint=16000")
    cursor.close()


def _without_flushes_postgresql(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("SET synchronous_commit TO off")
    cursor.close()
    connection.commit()


def _begin_sqlite(connection: sa.Connection) -> None:
    # IMMEDIATE takes the write lock at once, so a transaction cannot fail in its middle.
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
