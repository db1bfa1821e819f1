"""Which shape the tables of a database have, and how an older shape becomes the present one.

A new table or index needs nothing here: it is made where it is missing. A change to a table needs
a new version and the statements that lead to it from the one before; they run in the transaction
in which the database is opened, all or none.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from node.errors import IndexUnusableError

VERSION = 1

STEPS: Mapping[int, Sequence[str]] = {}
"""Version to the SQL that leads there from the version before, for SQLite and PostgreSQL alike."""

_SCHEMA = sa.Table("schema_version", sa.MetaData(), sa.Column("version", sa.Integer))


def bring_up_to_date(connection: sa.Connection, wanted: sa.MetaData) -> None:
    """Make or upgrade the tables, inside the caller's transaction.

    Raises
    ------
    IndexUnusableError
        They are of a newer version, or of none that is known here.
    """
    version = known_version(connection)
    for step in range(version + 1, VERSION + 1):
        for statement in STEPS[step]:
            connection.exec_driver_sql(statement)
    wanted.create_all(connection)
    _check_columns(connection, wanted)
    _make_indexes(connection, wanted)
    if version < VERSION or not _has(connection, _SCHEMA.name):
        _SCHEMA.create(connection, checkfirst=True)
        connection.execute(_SCHEMA.delete())
        connection.execute(_SCHEMA.insert().values(version=VERSION))


def known_version(connection: sa.Connection) -> int:
    """Return the version of the tables; raises as `bring_up_to_date`."""
    version = _version(connection)
    if version > VERSION:
        raise IndexUnusableError(
            f"the index is of schema version {version}, made by a newer version of this program, "
            f"which knows {VERSION}. Install the newer one again, or restore the backup of "
            "the index from before the upgrade and start: images that came since are taken from "
            "the spool"
        )
    return version


def _version(connection: sa.Connection) -> int:
    if _has(connection, _SCHEMA.name):
        return int(connection.execute(sa.select(_SCHEMA.c.version)).scalar_one())
    # The first version did not say so; a database without tables gets the present one.
    return 1 if _has(connection, "instance") else VERSION


def _check_columns(connection: sa.Connection, wanted: sa.MetaData) -> None:
    inspector = sa.inspect(connection)
    for table in wanted.sorted_tables:
        there = {column["name"]: column for column in inspector.get_columns(table.name)}
        missing = sorted(table.c.keys() - there.keys())
        # Of what is more there, only that matters without which no row can be written.
        demanded = sorted(
            name
            for name in there.keys() - table.c.keys()
            if not there[name]["nullable"] and there[name]["default"] is None
        )
        for verb, columns in (("lacks", missing), ("demands", demanded)):
            if columns:
                raise IndexUnusableError(
                    f"the index {verb} {', '.join(columns)} in its table {table.name}: it was made "
                    "by a development version that this one cannot upgrade. Move index.sqlite, "
                    "-wal and -shm away and start: the images are taken from the spool"
                )


def _make_indexes(connection: sa.Connection, wanted: sa.MetaData) -> None:
    """Make the indexes that a table from an earlier version lacks."""
    for table in wanted.sorted_tables:
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            index.create(connection, checkfirst=True)


def _has(connection: sa.Connection, table: str) -> bool:
    return sa.inspect(connection).has_table(table)
