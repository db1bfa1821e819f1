"""Whether the databases of a node can be used; nothing is changed."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from node.config import Storage
from node.errors import IndexUnusableError
from node.index.schema import known_version
from node.index.tables import RESTORE, database_url, reading
from node.repair import what_helps

_MOVE_AWAY = "stop the node and move it away with its -wal and -shm files"
_PATIENCE_S = 10
_SCHEMAS = (None, "dbos")  # ours, and that of the engine
_MAY_MAKE_TABLES = sa.select(
    sa.func.has_schema_privilege(sa.func.current_schema(), sa.literal("CREATE"))
)


class Health(NamedTuple):
    """What is known of one database."""

    name: str
    problem: str
    """Empty: none."""
    repair: str = ""


def databases(storage: Storage) -> Iterator[Health]:
    """Look at each database that is there."""
    url = database_url(storage)
    if url.get_backend_name() != "sqlite":
        problem, repair = _of_server(url)
        yield Health(url.render_as_string(hide_password=True), problem, repair)
        return
    index = Path(url.database or "")
    files = {index: RESTORE}
    if storage.database_url is None:  # else both are in one file
        files[index.with_name("engine.sqlite")] = _MOVE_AWAY
    for path, repair in files.items():
        if path.exists():
            yield Health(path.name, *_of_file(path, url, repair))


def refuse_damage(engine: sa.Engine) -> None:
    """Read all of an SQLite index, as is done once before a process works with it.

    A server looks after its own files.

    Raises
    ------
    IndexUnusableError
        It is damaged; the message says how to repair it.
    """
    if engine.dialect.name != "sqlite":
        return
    try:
        with reading(engine) as connection:
            verdict = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
    except sa.exc.DatabaseError as error:
        verdict = str(error.orig)
    if verdict != "ok":
        raise IndexUnusableError(f"the index is damaged ({verdict}): {RESTORE}")


def _of_file(path: Path, url: sa.URL, repair: str) -> tuple[str, str]:
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=_PATIENCE_S)
        try:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return str(error), what_helps(error, url, damaged=repair)
    return ("", "") if verdict == "ok" else (str(verdict), repair)


def _of_server(url: sa.URL) -> tuple[str, str]:
    """Return the problem with a PostgreSQL server and what helps; empty where there is none."""
    engine = sa.create_engine(url, connect_args={"connect_timeout": _PATIENCE_S})
    try:
        with engine.connect() as connection:
            return _of_connection(connection)
    except IndexUnusableError as error:
        return str(error), ""
    except sa.exc.SQLAlchemyError as error:
        return _first_line(error), what_helps(error, url, damaged=RESTORE)
    finally:
        engine.dispose()


def _of_connection(connection: sa.Connection) -> tuple[str, str]:
    read_only = connection.scalar(sa.text("SHOW transaction_read_only"))
    if read_only == "on":
        return "read-only", "name the primary server in storage.database_url"
    known_version(connection)
    there = sa.inspect(connection)
    tables = [(schema, name) for schema in _SCHEMAS for name in there.get_table_names(schema)]
    if not tables and not connection.scalar(_MAY_MAKE_TABLES):
        return "no right to make tables", "grant CREATE on the schema to the user"
    for schema, name in tables:
        table = sa.table(name, schema=schema)
        # Reads all of it: damage is found behind the door, too.
        connection.execute(sa.select(sa.func.count()).select_from(table))
        if schema is None and not connection.scalar(sa.select(_may_write(name))):
            return f"no right to write to {name}", "grant it to the user"
    return "", ""


def _may_write(table: str) -> sa.ColumnElement[bool]:
    rights = ("INSERT", "UPDATE", "DELETE")  # a list of them would mean any of them
    return sa.and_(*(sa.func.has_table_privilege(table, right) for right in rights))


def _first_line(error: sa.exc.SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
