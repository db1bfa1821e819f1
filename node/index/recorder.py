"""The ordinary way of an instance into the index, without what a library adds to each statement.

Recording is the largest part of the processor time that an instance costs. Here the statements of
`arrivals` are compiled once and go straight to the driver. Whatever is not ordinary (a new study,
a duplicate, an error) goes the general way.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPICursor

from node.index.arrivals import INSERT, LOCK_STUDY, Arrival, Outcome, record


class Recorder:
    """Records arrivals; for one thread at a time."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._errors = engine.dialect.loaded_dbapi.Error
        self._lock_study = _Statement(LOCK_STUDY, engine.dialect)
        self._insert = _Statement(INSERT, engine.dialect)

    def record(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """As `arrivals.record`."""
        if self._record_ordinary(arrivals):
            return [Outcome.NEW] * len(arrivals)
        return record(self._engine, arrivals)

    def _record_ordinary(self, arrivals: Sequence[Arrival]) -> bool:
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            if self._is_sqlite:
                cursor.execute("BEGIN IMMEDIATE")
            revisions = {}
            for study_uid in sorted({arrival.study_uid for arrival in arrivals}):
                self._lock_study.execute(cursor, {"uid": study_uid})
                known = cursor.fetchone()
                if known is None or known[0] != known[1] + 1:
                    connection.rollback()
                    return False
                revisions[study_uid] = known[0]
            for arrival in arrivals:
                values = vars(arrival) | {"revision": revisions[arrival.study_uid]}
                self._insert.execute(cursor, values)
            connection.commit()
        except self._errors:
            connection.rollback()
            return False  # the general way meets the same, and says it in SQLAlchemy's terms
        finally:
            connection.close()
        return True


class _Statement:
    """A statement as the driver takes it."""

    def __init__(self, statement: sa.sql.ClauseElement, dialect: sa.Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self._text = str(compiled)
        self._order = getattr(compiled, "positiontup", None)

    def execute(self, cursor: DBAPICursor, values: Mapping[str, object]) -> None:
        if self._order is None:
            cursor.execute(self._text, values)
        else:
            cursor.execute(self._text, [values[name] for name in self._order])
