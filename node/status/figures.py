"""The figures behind page and metrics, by a few counts over the index."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from node.index.jobs import JOB
from node.index.ledger import DELIVERY, DeliveryState
from node.index.tables import CONFLICT, INSTANCE, STUDY, reading


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The node at one moment."""

    images: int
    conflicts: int
    """Images kept aside because others have their UID."""
    arriving: int
    """Studies of which something is in no frozen revision."""
    jobs: Mapping[str, int]
    """State to number of revisions."""
    deliveries: Mapping[tuple[str, str], int]
    """(destination, state) to number of result instances."""
    oldest_pending_s: Mapping[str, float]
    """Destination to how long its oldest delivery has been waiting [s]."""


def count(index: sa.Engine, now_s: float) -> Figures:
    """Count everything in one consistent state of the index."""
    arriving = sa.select(sa.func.count()).select_from(STUDY)
    pending = DELIVERY.c.state == DeliveryState.PENDING
    with reading(index) as connection:
        return Figures(
            images=connection.scalar(sa.select(sa.func.count()).select_from(INSTANCE)) or 0,
            conflicts=connection.scalar(sa.select(sa.func.count()).select_from(CONFLICT)) or 0,
            arriving=connection.scalar(arriving.where(STUDY.c.revision > STUDY.c.frozen)) or 0,
            jobs={
                row.state: row.number
                for row in connection.execute(
                    sa.select(JOB.c.state, sa.func.count().label("number")).group_by(JOB.c.state)
                )
            },
            deliveries={
                (destination, state): number
                for destination, state, number in connection.execute(
                    sa.select(DELIVERY.c.destination, DELIVERY.c.state, sa.func.count()).group_by(
                        DELIVERY.c.destination, DELIVERY.c.state
                    )
                )
            },
            oldest_pending_s={
                destination: max(0.0, now_s - created_s)
                for destination, created_s in connection.execute(
                    sa.select(DELIVERY.c.destination, sa.func.min(DELIVERY.c.created_s))
                    .where(pending)
                    .group_by(DELIVERY.c.destination)
                )
            },
        )
