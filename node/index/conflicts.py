"""Two different images under one SOP Instance UID: which is used is for a person to settle."""

from dataclasses import dataclass

import sqlalchemy as sa

from node.errors import NodeError
from node.index.arrivals import Arrival, open_revision
from node.index.tables import CONFLICT, INSTANCE, reading


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """An image that is kept aside, and the one that is used."""

    file: str
    """Kept aside; relative to the root of the spool, as is the other."""
    used_file: str
    sop_instance_uid: str
    study_uid: str
    calling_ae: str
    received_s: float
    used_calling_ae: str
    used_received_s: float


def conflicts(index: sa.Engine, *, file: str | None = None) -> tuple[Conflict, ...]:
    """All conflicts, the oldest first, or that of one file."""
    query = (
        sa.select(
            CONFLICT.c.file,
            INSTANCE.c.file.label("used_file"),
            CONFLICT.c.sop_instance_uid,
            CONFLICT.c.study_uid,
            CONFLICT.c.calling_ae,
            CONFLICT.c.received_s,
            INSTANCE.c.calling_ae.label("used_calling_ae"),
            INSTANCE.c.received_s.label("used_received_s"),
        )
        .join_from(CONFLICT, INSTANCE, CONFLICT.c.sop_instance_uid == INSTANCE.c.sop_instance_uid)
        .order_by(CONFLICT.c.received_s, CONFLICT.c.file)
    )
    if file is not None:
        query = query.where(CONFLICT.c.file == file)
    with reading(index) as connection:
        return tuple(Conflict(**row._mapping) for row in connection.execute(query))


def forget(index: sa.Engine, file: str) -> None:
    """Settle for the image that is used: the other is no longer listed, and its file nobody's."""
    with index.begin() as connection:
        connection.execute(sa.delete(CONFLICT).where(CONFLICT.c.file == file))


def exchange(index: sa.Engine, aside: Arrival) -> None:
    """Use the image that was kept aside, from the next revision on, and keep the other aside.

    Raises
    ------
    NodeError
        It says that it belongs to another study, or somebody else has settled the conflict.
    """
    with index.begin() as connection:
        revision = open_revision(connection, aside.study_uid, [aside])
        used = connection.execute(
            sa.select(INSTANCE).where(INSTANCE.c.sop_instance_uid == aside.sop_instance_uid)
        ).one()
        if used.study_uid != aside.study_uid:
            raise NodeError("the two images say that they belong to different studies")
        change = sa.update(CONFLICT).where(CONFLICT.c.file == aside.file)
        values = {column.name: used._mapping[column.name] for column in CONFLICT.c}
        if connection.execute(change.values(values)).rowcount != 1:
            raise NodeError("this conflict is settled already")
        connection.execute(
            sa.update(INSTANCE)
            .where(INSTANCE.c.sop_instance_uid == aside.sop_instance_uid)
            .values(**aside._asdict(), revision=revision)
        )
