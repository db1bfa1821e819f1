"""Brings the log of SQLite into its file while images come, so that none of them waits for it."""

import sqlite3
import threading
from contextlib import closing, suppress

import sqlalchemy as sa

_EVERY_S = 1.0


def checkpoint_until(stop: threading.Event, index: sa.Engine) -> None:
    """Move into the file of SQLite, once a second, what was committed to its log; both are flushed.

    Nobody waits for this, as a commit would that finds the log long: 16 ms for a thousand images.
    """
    if index.dialect.name == "sqlite":
        while not stop.wait(_EVERY_S):
            # Whoever commits meets the same error, and says it.
            with suppress(sqlite3.Error, sa.exc.SQLAlchemyError):
                checkpoint(index)


def checkpoint(index: sa.Engine) -> None:
    """Do it now, as far as no reader of an earlier state and no other checkpoint is in the way."""
    with closing(index.raw_connection()) as connection:
        connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
