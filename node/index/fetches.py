"""For which studies an archive was asked for what is missing: once each."""

import sqlalchemy as sa

from node.index.tables import METADATA, insert_into

FETCH = sa.Table(
    "fetch",
    METADATA,
    sa.Column("study_uid", sa.String(64), primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("asked_s", sa.Float, nullable=False),
)


def may_ask(index: sa.Engine, study_uid: str, revision: int, now_s: float) -> bool:
    """Note that a revision asks for what its study lacks; False if another one did.

    The same revision may ask again: a crash has interrupted it.
    """
    row = {"study_uid": study_uid, "revision": revision, "asked_s": now_s}
    with index.begin() as connection:
        connection.execute(
            insert_into(FETCH, connection.dialect).values(row).on_conflict_do_nothing()
        )
        query = sa.select(FETCH.c.revision).where(FETCH.c.study_uid == study_uid)
        return bool(connection.scalar(query) == revision)
