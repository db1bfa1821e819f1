"""Notes that reject replaced results: held until the destination has what replaces them.

A destination hears about a replacement when nothing of the study waits to be sent or confirmed
there and it has something of the newest results, or was to get nothing of them.
"""

from collections.abc import Collection

import sqlalchemy as sa

from node.index.confirmations import OPEN
from node.index.entry import RESULT
from node.index.ledger import DELIVERY, REJECTION, Delivery, DeliveryState, deliveries, is_row
from node.index.tables import reading

_WANTED = (
    DeliveryState.PENDING,
    DeliveryState.STORED,
    DeliveryState.STOOD_IN,
    DeliveryState.REFUSED,
    DeliveryState.EXPIRED,
)


def held_notes(index: sa.Engine, *, confirmed_at: Collection[str]) -> tuple[Delivery, ...]:
    """Find the notes whose time has come.

    Parameters
    ----------
    confirmed_at
        Destinations that are asked afterwards what they have.
    """
    held = deliveries(index, DELIVERY.c.kind == REJECTION, states=(DeliveryState.HELD,))
    return tuple(note for note in held if _may_go(index, note, confirmed_at))


def _may_go(index: sa.Engine, note: Delivery, confirmed_at: Collection[str]) -> bool:
    here = (
        DELIVERY.c.study_uid == note.study_uid,
        DELIVERY.c.destination == note.destination,
        DELIVERY.c.kind != REJECTION,
    )
    waits = DELIVERY.c.state == DeliveryState.PENDING
    if note.destination in confirmed_at:
        stored = DELIVERY.c.state == DeliveryState.STORED
        waits = sa.or_(waits, sa.and_(stored, DELIVERY.c.confirmation.in_(OPEN)))
    newest = sa.select(sa.func.max(RESULT.c.revision)).where(RESULT.c.study_uid == note.study_uid)
    of_newest = sa.select(RESULT.c.sop_instance_uid).where(
        RESULT.c.study_uid == note.study_uid, RESULT.c.revision == newest.scalar_subquery()
    )
    states = sa.select(DELIVERY.c.state).where(*here, DELIVERY.c.sop_instance_uid.in_(of_newest))
    with reading(index) as connection:
        if connection.execute(sa.select(DELIVERY.c.state).where(*here, waits).limit(1)).first():
            return False
        wanted = [state for state in connection.scalars(states) if state in _WANTED]
        return not wanted or DeliveryState.STORED in wanted


def stored_at(index: sa.Engine, study_uid: str, destination: str) -> frozenset[str]:
    """Return the SOP Instance UIDs of a study's results that a destination has."""
    query = sa.select(DELIVERY.c.sop_instance_uid).where(
        DELIVERY.c.study_uid == study_uid,
        DELIVERY.c.destination == destination,
        DELIVERY.c.state == DeliveryState.STORED,
    )
    with reading(index) as connection:
        return frozenset(connection.scalars(query))


def release_note(index: sa.Engine, note: Delivery, file: str, now_s: float) -> None:
    """Let a note go, in the file in which it fits its destination; may be repeated."""
    _change(
        index,
        note,
        state=DeliveryState.PENDING,
        file=file,
        created_s=now_s,
        next_try_s=now_s,
        changed_s=now_s,
    )


def drop_note(index: sa.Engine, note: Delivery, now_s: float) -> None:
    """End a note that has nothing to reject at its destination."""
    reason = "nothing that it rejects is there"
    _change(index, note, state=DeliveryState.SUPERSEDED, reason=reason, changed_s=now_s)


def _change(index: sa.Engine, note: Delivery, **values: object) -> None:
    with index.begin() as connection:
        connection.execute(
            DELIVERY.update()
            .where(*is_row(note), DELIVERY.c.state == DeliveryState.HELD)
            .values(**values)
        )
