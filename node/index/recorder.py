"""The ordinary way of an instance into the index, without what a library adds to each statement.

Recording is the largest part of the processor time that an instance costs. Here the statements of
`arrivals` are compiled once and go straight to the driver. Whatever is not ordinary (a new study,
a duplicate, an error) goes the general way.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPICursor

from node.index.arrivals import Arrival, Outcome, record
from node.index.tables import INSTANCE, STUDY

_GIVEN = [column for column in INSTANCE.c if column.name != "revision"]

# Only into a study that is known and has an open revision; its row is locked against `freeze`.
_INSERT = sa.insert(INSTANCE).from_select(
    [*(column.name for column in _GIVEN), "revision"],
    sa.select(
        *(sa.bindparam(column.name, type_=column.type) for column in _GIVEN), STUDY.c.revision
    )
    .where(
        STUDY.c.study_uid == sa.bindparam("study_uid", type_=STUDY.c.study_uid.type),
        STUDY.c.revision == STUDY.c.frozen + sa.literal_column("1"),
    )
    .with_for_update(),
    include_defaults=False,
)


class Recorder:
    """Records arrivals on a connection of its own; for one thread at a time."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._connection: sa.PoolProxiedConnection | None = None
        self._cursor: DBAPICursor | None = None
        compiled = _INSERT.compile(dialect=engine.dialect)
        self._insert = str(compiled)
        order = getattr(compiled, "positiontup", None)
        # What the driver wants of an arrival: values in the statement's order, or by name.
        self._values: Callable[[Arrival], Any] = (
            Arrival._asdict if order is None else attrgetter(*order)
        )

    def record(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """As `arrivals.record`."""
        if self._record_ordinary(arrivals):
            return [Outcome.NEW] * len(arrivals)
        return record(self._engine, arrivals)

    def close(self) -> None:
        """Let go of the connection; the next `record` takes another."""
        self._cursor = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _record_ordinary(self, arrivals: Sequence[Arrival]) -> bool:
        try:
            cursor = self._cursor or self._open()
            if self._is_sqlite and len(arrivals) == 1:
                cursor.execute(self._insert, self._values(arrivals[0]))  # a transaction by itself
                return cursor.rowcount == 1
            in_order = sorted(arrivals, key=attrgetter("study_uid"))
            if self._is_sqlite:
                cursor.execute("BEGIN IMMEDIATE")
            cursor.executemany(self._insert, [self._values(arrival) for arrival in in_order])
            if cursor.rowcount == len(arrivals):
                cursor.connection.commit()
                return True
            cursor.connection.rollback()
        except Exception:  # noqa: BLE001  a driver may refuse a value by any error, in a transaction
            self.close()  # which rolls back, on whatever is left of the connection
        return False  # the general way meets the same, and says it in SQLAlchemy's terms

    def _open(self) -> DBAPICursor:
        self._connection = self._engine.raw_connection()
        self._cursor = self._connection.cursor()
        return self._cursor
