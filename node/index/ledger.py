"""The delivery ledger: one row for each result instance and destination, and what becomes of it.

A row that is stored is never sent again, whatever is repeated: the UID of a result follows from
its input, so the same result can only ever meet its own row. `entry` makes the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from node.index.tables import METADATA, reading

REJECTION = "rejection"
"""The kind of a note that takes replaced results out of sight; see `superseding`."""

UNDER_WAY = "under way"
"""The reason of a row from the claim of an attempt until its answer. A crash leaves it."""
NO_ANSWER = "no answer to C-STORE: timeout, abort or lost connection"
"""The reason of a row that was sent and not answered. Like a row under way, it may have arrived."""


class DeliveryState(StrEnum):
    """The life of a delivery."""

    PENDING = "pending"
    """To be sent, at `next_try_s` at the earliest."""
    STORED = "stored"
    """The destination has it; `status` may hold a warning (0xB000 ...)."""
    HELD = "held"
    """Sent only if the destination refuses what it stands in for; a rejection note, once the
    destination has the results that replace what it rejects."""
    STOOD_IN = "stood-in"
    """Refused, and what stands in for it goes or is there."""
    REFUSED = "refused"
    """Waits for a person: trying again cannot help, and nothing stands in."""
    EXPIRED = "expired"
    """Waits for a person: tried for as long as the configuration says."""
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


DELIVERY = sa.Table(
    "delivery",
    METADATA,
    sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
    sa.Column("destination", sa.String(32), primary_key=True),
    sa.Column("study_uid", sa.String(64), nullable=False, index=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("sop_class_uid", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("next_try_s", sa.Float, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("changed_s", sa.Float, nullable=False),
    # See `confirmations`.
    sa.Column("confirmation", sa.String(12), nullable=False),
    sa.Column("questions", sa.Integer, nullable=False),
    sa.Column("transaction_uid", sa.String(64), index=True),
    # Destinations are asked about every second; nearly all rows are answered.
    sa.Index("delivery_to_confirm", "destination", "state", "confirmation"),
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """One result instance on disk."""

    sop_instance_uid: str
    sop_class_uid: str
    kind: str
    file: str
    """Relative to the node's folder of results."""


@dataclass(frozen=True, kw_only=True)
class Delivery(Result):
    """One result instance for one destination."""

    destination: str
    study_uid: str
    revision: int
    state: DeliveryState
    attempts: int
    created_s: float
    """When it was first asked for [epoch seconds]: patience is counted from here."""
    next_try_s: float
    """Of a stored row: when the destination is next asked whether it has it."""
    status: int | None
    """The last DIMSE status, if one came."""
    reason: str
    changed_s: float
    confirmation: str
    questions: int
    transaction_uid: str | None


@dataclass(frozen=True, kw_only=True)
class Consignment:
    """What goes to one destination in one association."""

    study_uid: str
    revision: int
    destination: str
    round: int
    """Attempts made so far by any of its rows: names the next one."""
    next_try_s: float


def consignments(index: sa.Engine) -> tuple[Consignment, ...]:
    """Everything that is still to be sent, the most urgent first."""
    key = (DELIVERY.c.study_uid, DELIVERY.c.revision, DELIVERY.c.destination)
    pending = DELIVERY.c.state == DeliveryState.PENDING
    next_try_s = sa.func.min(sa.case((pending, DELIVERY.c.next_try_s)))
    # The round counts the finished rows too, or a row that a person revives would reuse a key.
    query = (
        sa.select(*key, sa.func.max(DELIVERY.c.attempts), next_try_s)
        .where(DELIVERY.c.study_uid.in_(sa.select(DELIVERY.c.study_uid).where(pending)))
        .group_by(*key)
        .having(sa.func.count(sa.case((pending, 1))) > 0)
        .order_by(next_try_s)
    )
    with reading(index) as connection:
        return tuple(
            Consignment(
                study_uid=study,
                revision=revision,
                destination=destination,
                round=attempts,
                next_try_s=at,
            )
            for study, revision, destination, attempts, at in connection.execute(query)
        )


def claim(index: sa.Engine, consignment: Consignment, *, not_before_s: float) -> None:
    """Count an attempt for every pending row before it is made, so that none goes uncounted.

    A row whose attempt ends without an answer to it, by an error that nobody foresaw, is not tried
    again before `not_before_s`.
    """
    with index.begin() as connection:
        connection.execute(
            DELIVERY.update()
            .where(*belongs(consignment), DELIVERY.c.state == DeliveryState.PENDING)
            .where(DELIVERY.c.attempts <= consignment.round)
            .values(attempts=consignment.round + 1, next_try_s=not_before_s, reason=UNDER_WAY)
        )


def due(index: sa.Engine, consignment: Consignment) -> tuple[Delivery, ...]:
    """Pending rows of a consignment."""
    return deliveries(index, sa.and_(*belongs(consignment)), states=(DeliveryState.PENDING,))


def study_deliveries(index: sa.Engine, study_uid: str) -> tuple[Delivery, ...]:
    """All rows of a study."""
    return deliveries(index, DELIVERY.c.study_uid == study_uid)


def deliveries(
    index: sa.Engine, where: sa.ColumnElement[bool], states: Sequence[DeliveryState] = ()
) -> tuple[Delivery, ...]:
    """Rows that meet a condition, in the order in which they are sent."""
    query = (
        sa.select(DELIVERY)
        .where(where)
        .order_by(DELIVERY.c.revision, DELIVERY.c.destination, DELIVERY.c.file)
    )
    if states:
        query = query.where(DELIVERY.c.state.in_(states))
    with reading(index) as connection:
        return tuple(_delivery(row) for row in connection.execute(query))


def settle(
    index: sa.Engine,
    row: Delivery,
    *,
    state: DeliveryState,
    status: int | None,
    reason: str,
    next_try_s: float,
    now_s: float,
) -> None:
    """Write down what became of one delivery; a row that is stored stays stored."""
    with index.begin() as connection:
        connection.execute(
            DELIVERY.update()
            .where(*is_row(row), DELIVERY.c.state != DeliveryState.STORED)
            .values(
                state=state, status=status, reason=reason, next_try_s=next_try_s, changed_s=now_s
            )
        )


def stand_in(index: sa.Engine, refused: Delivery, kind: str, now_s: float) -> bool:
    """Let the instances of `kind` go in place of one that was refused; whether they can.

    They can where they are held, on their way or there already: of several objects that are
    refused, the first lets them go.
    """
    here = (
        DELIVERY.c.study_uid == refused.study_uid,
        DELIVERY.c.revision == refused.revision,
        DELIVERY.c.destination == refused.destination,
        DELIVERY.c.kind == kind,
    )
    with index.begin() as connection:
        connection.execute(
            DELIVERY.update()
            .where(*here, DELIVERY.c.state == DeliveryState.HELD)
            .values(
                state=DeliveryState.PENDING,
                reason=f"in place of {refused.kind}, which was refused",
                next_try_s=now_s,
                changed_s=now_s,
            )
        )
        standing = DELIVERY.c.state.in_((DeliveryState.PENDING, DeliveryState.STORED))
        query = sa.select(DELIVERY.c.state).where(*here, standing).limit(1)
        return connection.execute(query).first() is not None


def retry_deliveries(index: sa.Engine, study_uid: str, now_s: float) -> int:
    """Send again what was given up or waits long, because a person asks for it; counts them."""
    states = (
        DeliveryState.PENDING,
        DeliveryState.STOOD_IN,
        DeliveryState.REFUSED,
        DeliveryState.EXPIRED,
    )
    return _change_study(
        index,
        study_uid,
        states,
        state=DeliveryState.PENDING,
        next_try_s=now_s,
        created_s=now_s,
        changed_s=now_s,
    )


def cancel_deliveries(index: sa.Engine, study_uid: str, now_s: float) -> int:
    """Send nothing more of a study, because a person asks for it; counts them."""
    states = (DeliveryState.PENDING, DeliveryState.HELD)
    return _change_study(
        index,
        study_uid,
        states,
        state=DeliveryState.CANCELLED,
        reason="cancelled by a person",
        changed_s=now_s,
    )


def _change_study(
    index: sa.Engine, study_uid: str, states: Sequence[DeliveryState], **values: object
) -> int:
    with index.begin() as connection:
        changed = connection.execute(
            DELIVERY.update()
            .where(DELIVERY.c.study_uid == study_uid, DELIVERY.c.state.in_(states))
            .values(**values)
        )
        return changed.rowcount


def belongs(consignment: Consignment) -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions for the rows of a consignment."""
    return (
        DELIVERY.c.study_uid == consignment.study_uid,
        DELIVERY.c.revision == consignment.revision,
        DELIVERY.c.destination == consignment.destination,
    )


def is_row(delivery: Delivery) -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions for the one row of a delivery."""
    return (
        DELIVERY.c.sop_instance_uid == delivery.sop_instance_uid,
        DELIVERY.c.destination == delivery.destination,
    )


def _delivery(row: sa.Row[tuple[object, ...]]) -> Delivery:
    values = dict(row._mapping)
    return Delivery(**{**values, "state": DeliveryState(str(values["state"]))})
