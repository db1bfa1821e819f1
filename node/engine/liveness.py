"""Who is alive: a lock that is let go when its process dies, however it dies.

The open-source engine never notices a dead executor by itself; whoever gets a dead one's lock may
take over its work. On SQLite, which is for one host, the kernel lets go of a file's lock. On
PostgreSQL the server lets go of a session's lock: at once when the process dies, and after some
seconds when a whole host falls silent.
"""

import fcntl
import hashlib
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

_KEEPALIVE = {
    # Of the server, which must notice that a host has fallen silent:
    "options": "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 "
    "-c tcp_user_timeout=11000",
    # Of our own side, which must notice that it is cut off (ms; the others s):
    "tcp_user_timeout": 11000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "connect_timeout": 10,
}


class Liveness(Protocol):
    """One process's sign of life."""

    executor_id: str
    """Unique for each start: a successor must never be taken for its dead predecessor."""

    def seized(self, executor_id: str) -> AbstractContextManager[bool]:
        """Hold the lock of another executor if it is dead; yields whether it is.

        Two survivors cannot both hold it, so only one of them recovers the dead one's work.
        """

    def holds(self) -> bool:
        """Whether this process still counts as alive; if not, others may have its work."""

    def close(self) -> None:
        """Let go; the same as dying, for whoever watches."""


def liveness(database: str, folder: Path) -> Liveness:
    """Take the lock of this process, where all workers on this database see it."""
    url = sa.make_url(database)
    if url.get_backend_name() == "postgresql":
        return DatabaseLiveness(url)
    return FileLiveness(folder)


def _new_name() -> str:
    return f"{os.uname().nodename}-{uuid.uuid4().hex[:12]}"


class DatabaseLiveness:
    """A lock of a session of PostgreSQL, which lives as long as its connection.

    A connection pooler between must keep sessions (PgBouncer: session mode).
    """

    def __init__(self, url: sa.URL) -> None:
        self.executor_id = _new_name()
        engine = sa.create_engine(
            url,
            poolclass=sa.NullPool,
            isolation_level="AUTOCOMMIT",  # a session that is in no transaction holds nothing else
            connect_args=_KEEPALIVE,
        )
        self._lock = threading.Lock()  # one session, asked by two threads
        self._connection = engine.connect()
        self._connection.execute(sa.select(sa.func.pg_advisory_lock(_number(self.executor_id))))

    @contextmanager
    def seized(self, executor_id: str) -> Iterator[bool]:
        """Hold the lock of another executor if it is dead; yields whether it is."""
        number = _number(executor_id)
        if executor_id == self.executor_id or not self._ask(sa.func.pg_try_advisory_lock(number)):
            yield False
            return
        try:
            yield True
        finally:
            self._ask(sa.func.pg_advisory_unlock(number))

    def holds(self) -> bool:
        """Whether the session lives, and with it the lock."""
        try:
            self._ask(sa.literal(1))
        except sa.exc.SQLAlchemyError:
            return False
        return True

    def close(self) -> None:
        """Let go; the same as dying, for whoever watches."""
        self._connection.close()
        self._connection.engine.dispose()

    def _ask(self, function: sa.ColumnElement[object]) -> object:
        with self._lock:
            return self._connection.scalar(sa.select(function))


def _number(executor_id: str) -> int:
    """Give the lock of an executor, a signed integer of 64 bits."""
    digest = hashlib.sha256(f"perfusion-node worker {executor_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


class FileLiveness:
    """One process's lock file in a folder that all workers of a node share."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.executor_id = _new_name()
        self._file = (folder / self.executor_id).open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    @contextmanager
    def seized(self, executor_id: str) -> Iterator[bool]:
        """Hold the lock of another executor if it is dead; yields whether it is."""
        if executor_id == self.executor_id or "/" in executor_id:
            yield False
            return
        path = self._folder / executor_id
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True
            path.unlink(missing_ok=True)

    def holds(self) -> bool:
        """Whether this process still counts as alive: always, while it runs."""
        return True

    def close(self) -> None:
        """Let go; the same as dying, for whoever watches."""
        (self._folder / self.executor_id).unlink(missing_ok=True)
        self._file.close()
