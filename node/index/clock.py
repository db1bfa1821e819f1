"""A clock that was set back leaves times in the future, and work that would wait for them."""

import logging

import sqlalchemy as sa

from node.index.tables import reading

log = logging.getLogger(__name__)


def pull_in(index: sa.Engine, column: sa.Column[float], now_s: float, longest_s: float) -> None:
    """Let nothing wait longer than the longest pause that we ever make: then it is due now."""
    late = column > now_s + longest_s
    with reading(index) as connection:
        if connection.execute(sa.select(column).where(late).limit(1)).first() is None:
            return
    with index.begin() as connection:
        moved = connection.execute(
            sa.update(column.table).where(late).values({column.name: now_s})
        ).rowcount
    log.warning("the clock was set back: %d rows of %s are due now", moved, column.table.name)
