"""Requests for storage commitment, kept until their sender has heard the answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from node.index.tables import METADATA, insert_into, reading

COMMITMENT = sa.Table(
    "commitment",
    METADATA,
    sa.Column("transaction_uid", sa.String(64), primary_key=True),
    sa.Column("calling_ae", sa.String(16), primary_key=True),
    sa.Column("instances", sa.Text, nullable=False),  # JSON: [[SOP class, SOP instance], ...]
    sa.Column("received_s", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    # When to report on an association of our own; null: not, or no longer.
    sa.Column("next_try_s", sa.Float, index=True),
    sa.Column("told", sa.Boolean, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class CommitmentRequest:
    """Somebody wants to know whether instances are safe here."""

    transaction_uid: str
    calling_ae: str
    instances: tuple[tuple[str, str], ...]
    """(SOP class UID, SOP instance UID)."""
    received_s: float
    attempts: int = 0


def add_request(engine: sa.Engine, request: CommitmentRequest, next_try_s: float | None) -> None:
    """Keep a request durably; the same transaction again asks anew."""
    row = {
        "transaction_uid": request.transaction_uid,
        "calling_ae": request.calling_ae,
        "instances": json.dumps(request.instances),
        "received_s": request.received_s,
        "attempts": 0,
        "next_try_s": next_try_s,
        "told": False,
    }
    statement = insert_into(COMMITMENT, engine.dialect).values(row)
    with engine.begin() as connection:
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[COMMITMENT.c.transaction_uid, COMMITMENT.c.calling_ae], set_=row
            )
        )


def due_requests(engine: sa.Engine, now_s: float) -> tuple[CommitmentRequest, ...]:
    """Return the requests whose next report is due."""
    with reading(engine) as connection:
        rows: Sequence[sa.Row[tuple[object, ...]]] = connection.execute(
            sa.select(COMMITMENT)
            .where(COMMITMENT.c.next_try_s <= now_s)
            .order_by(COMMITMENT.c.next_try_s)
        ).all()
    return tuple(
        CommitmentRequest(
            transaction_uid=row.transaction_uid,
            calling_ae=row.calling_ae,
            instances=tuple((pair[0], pair[1]) for pair in json.loads(row.instances)),
            received_s=row.received_s,
            attempts=row.attempts,
        )
        for row in rows
    )


def mark_told(engine: sa.Engine, request: CommitmentRequest) -> None:
    """Note that the sender has the answer."""
    _change(engine, request, told=True, next_try_s=None)


def postpone(engine: sa.Engine, request: CommitmentRequest, next_try_s: float | None) -> None:
    """Note that a report failed; try again then, or no more (None)."""
    _change(engine, request, attempts=request.attempts + 1, next_try_s=next_try_s)


def _change(engine: sa.Engine, request: CommitmentRequest, **values: object) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.update(COMMITMENT)
            .where(
                COMMITMENT.c.transaction_uid == request.transaction_uid,
                COMMITMENT.c.calling_ae == request.calling_ae,
            )
            .values(**values)
        )
