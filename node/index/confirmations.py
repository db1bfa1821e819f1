"""What destinations say that they have: asked after delivery, and believed.

Rows of the ledger that are stored are asked for; `next_try_s` of a stored row is the time of the
next question. What a destination says it does not have is sent again.
"""

import logging
from collections.abc import Collection, Mapping
from enum import StrEnum

import sqlalchemy as sa
from pydicom.dataset import Dataset

from node.index.ledger import (
    DELIVERY,
    REJECTION,
    Consignment,
    Delivery,
    DeliveryState,
    belongs,
    deliveries,
    is_row,
)
from node.index.tables import reading

log = logging.getLogger(__name__)


class Confirmation(StrEnum):
    """What is known of a stored delivery beyond the answer to its C-STORE."""

    NONE = ""
    ASKED = "asked"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    """Asked in vain for as long as the configuration says, or the destination cannot tell."""


OPEN = (Confirmation.NONE, Confirmation.ASKED)
"""Not answered yet."""


def questions(index: sa.Engine, destinations: Collection[str]) -> tuple[Consignment, ...]:
    """Find what these destinations are to be asked about, the most urgent first."""
    key = (DELIVERY.c.study_uid, DELIVERY.c.revision, DELIVERY.c.destination)
    asked = sa.and_(*_unanswered())
    next_try_s = sa.func.min(sa.case((asked, DELIVERY.c.next_try_s)))
    open_studies = sa.select(DELIVERY.c.study_uid).where(
        DELIVERY.c.destination.in_(destinations), asked
    )
    query = (
        sa.select(*key, sa.func.max(DELIVERY.c.questions), next_try_s)
        .where(DELIVERY.c.destination.in_(destinations), DELIVERY.c.study_uid.in_(open_studies))
        .group_by(*key)
        .having(sa.func.count(sa.case((asked, 1))) > 0)
        # While something is still to be sent, the question would have to be asked again anyway.
        .having(sa.func.count(sa.case((DELIVERY.c.state == DeliveryState.PENDING, 1))) == 0)
        .order_by(next_try_s)
    )
    with reading(index) as connection:
        return tuple(
            Consignment(
                study_uid=study, revision=revision, destination=destination, round=number,
                next_try_s=at,
            )
            for study, revision, destination, number, at in connection.execute(query)
        )  # fmt: skip


def _unanswered() -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions for rows to ask about. A PACS that acts on a rejection note may hide the note."""
    return (
        DELIVERY.c.state == DeliveryState.STORED,
        DELIVERY.c.kind != REJECTION,
        DELIVERY.c.confirmation.in_(OPEN),
    )


def claim_question(
    index: sa.Engine, consignment: Consignment, *, transaction_uid: str, ask_again_s: float
) -> None:
    """Count a question and note its transaction before it is asked: the answer may come fast."""
    with index.begin() as connection:
        connection.execute(
            DELIVERY.update()
            .where(*belongs(consignment), *_unanswered())
            .where(DELIVERY.c.questions <= consignment.round)
            .values(
                confirmation=Confirmation.ASKED,
                questions=consignment.round + 1,
                transaction_uid=transaction_uid,
                next_try_s=ask_again_s,
            )
        )


def asked_about(index: sa.Engine, transaction_uid: str) -> tuple[Delivery, ...]:
    """Rows that a transaction asks about and that are not answered."""
    return deliveries(
        index,
        sa.and_(
            DELIVERY.c.transaction_uid == transaction_uid,
            DELIVERY.c.confirmation == Confirmation.ASKED,
        ),
        states=(DeliveryState.STORED,),
    )


def record_answer(
    index: sa.Engine,
    transaction_uid: str,
    *,
    present: Collection[str],
    absent: Mapping[str, str],
    now_s: float,
) -> int:
    """Write down what a destination said about a transaction; counts the rows that it settles.

    Parameters
    ----------
    present
        SOP Instance UIDs that it has.
    absent
        SOP Instance UIDs that it does not have, each with why; they are sent again.
    """
    rows = asked_about(index, transaction_uid)
    confirmed = lacking = 0
    with index.begin() as connection:
        for row in rows:
            uid = row.sop_instance_uid
            if uid in present:
                confirmed += _settle(
                    connection, row, confirmation=Confirmation.CONFIRMED, changed_s=now_s
                )
            elif uid in absent:
                lacking += _settle(
                    connection,
                    row,
                    state=DeliveryState.PENDING,
                    confirmation=Confirmation.NONE,
                    reason=f"the destination does not have it ({absent[uid]})",
                    next_try_s=now_s,
                    changed_s=now_s,
                )
    if confirmed:
        log.info("%d of %d stored results are confirmed", confirmed, len(rows))
    if lacking:
        log.warning("%d results are not where they were stored, and are sent again", lacking)
    return confirmed + lacking


def _settle(connection: sa.Connection, row: Delivery, **values: object) -> int:
    """Change a row that is still asked about by the same transaction; counts it if it is."""
    return connection.execute(
        DELIVERY.update()
        .where(
            *is_row(row),
            DELIVERY.c.transaction_uid == row.transaction_uid,
            DELIVERY.c.confirmation == Confirmation.ASKED,
        )
        .values(**values)
    ).rowcount


def record_report(index: sa.Engine, report: Dataset, now_s: float) -> int:
    """Write down a storage commitment report (PS3.4 table J.3-3); counts the rows it settles.

    A report about a transaction that we did not begin, or that was answered, settles nothing.
    """
    present = {
        str(item.ReferencedSOPInstanceUID) for item in report.get("ReferencedSOPSequence", [])
    }
    absent = {
        str(item.ReferencedSOPInstanceUID): f"failure 0x{item.get('FailureReason', 0x0110):04X}"
        for item in report.get("FailedSOPSequence", [])
    }
    return record_answer(
        index, str(report.TransactionUID), present=present, absent=absent, now_s=now_s
    )


def give_up_asking(index: sa.Engine, transaction_uid: str, reason: str, now_s: float) -> None:
    """Leave the rows of a transaction stored but unconfirmed."""
    with index.begin() as connection:
        connection.execute(
            DELIVERY.update()
            .where(DELIVERY.c.transaction_uid == transaction_uid)
            .where(DELIVERY.c.confirmation == Confirmation.ASKED)
            .values(confirmation=Confirmation.UNCONFIRMED, reason=reason, changed_s=now_s)
        )
