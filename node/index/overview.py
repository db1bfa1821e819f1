"""How far each study is, in one row: for the command line and the status page. No patient data."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from node.index.jobs import JOB, JobState
from node.index.ledger import DELIVERY, DeliveryState
from node.index.retirement import RETIRED
from node.index.tables import INSTANCE, STUDY, reading

ARRIVING = "arriving"
"""The state of a study, or of its newest revision, that is not complete yet."""
DELETED = "deleted"
"""The state of a study whose images and results were deleted after delivery."""


@dataclass(frozen=True, kw_only=True)
class StudyOverview:
    """One study at a glance."""

    study_uid: str
    images: int
    revision: int
    state: str
    """`ARRIVING`, a `JobState` or `DELETED`: of the newest revision."""
    verdict: str
    reason: str
    first_s: float
    last_s: float
    """When the first and the last image came [epoch seconds], or all were deleted."""
    deliveries: Mapping[str, Mapping[DeliveryState, int]] = field(default_factory=dict)
    """Destination to state to number of result instances."""

    @property
    def delivered(self) -> str:
        """How many results are where, in words."""
        return "; ".join(
            f"{destination}: " + ", ".join(f"{number} {state}" for state, number in states.items())
            for destination, states in self.deliveries.items()
        )

    @property
    def needs_a_person(self) -> bool:
        """Whether something of it will not go on by itself."""
        stuck = (DeliveryState.REFUSED, DeliveryState.EXPIRED)
        return self.state == JobState.FAILED or any(
            states.get(state) for states in self.deliveries.values() for state in stuck
        )


def overview(
    index: sa.Engine, *, study_uid: str | None = None, newest: int = 1000
) -> tuple[StudyOverview, ...]:
    """Studies by the time of their last image, the newest first."""
    images = (
        sa.select(
            INSTANCE.c.study_uid,
            sa.func.count().label("images"),
            sa.func.max(INSTANCE.c.received_s).label("last_s"),
        )
        .group_by(INSTANCE.c.study_uid)
        .subquery()
    )
    last_s = sa.func.coalesce(images.c.last_s, RETIRED.c.retired_s)
    job = sa.and_(JOB.c.study_uid == STUDY.c.study_uid, JOB.c.revision == STUDY.c.revision)
    query = (
        sa.select(
            STUDY,
            images.c.images,
            last_s.label("last_s"),
            JOB.c.state,
            JOB.c.verdict,
            JOB.c.reason,
            RETIRED.c.images.label("deleted"),
        )
        .outerjoin_from(STUDY, images, images.c.study_uid == STUDY.c.study_uid)
        .outerjoin(JOB, job)
        .outerjoin(RETIRED, RETIRED.c.study_uid == STUDY.c.study_uid)
        .order_by(last_s.desc())
        .limit(newest)
    )
    if study_uid is not None:
        query = query.where(STUDY.c.study_uid == study_uid)
    with reading(index) as connection:
        studies = connection.execute(query).all()
        deliveries = _count_deliveries(connection, study_uid)
    return tuple(_one(row, deliveries.get(row.study_uid, {})) for row in studies)


def _one(
    row: sa.Row[tuple[Any, ...]], deliveries: Mapping[str, Mapping[DeliveryState, int]]
) -> StudyOverview:
    state, reason = row.state or ARRIVING, row.reason or ""
    if row.images is None:
        state, reason = DELETED, f"its {row.deleted} images were deleted after delivery"
    return StudyOverview(
        study_uid=row.study_uid,
        images=row.images or 0,
        revision=row.revision,
        state=state,
        verdict=row.verdict or "",
        reason=reason,
        first_s=row.first_s,
        last_s=row.last_s,
        deliveries=deliveries,
    )


def _count_deliveries(
    connection: sa.Connection, study_uid: str | None
) -> dict[str, dict[str, Counter[DeliveryState]]]:
    query = sa.select(
        DELIVERY.c.study_uid, DELIVERY.c.destination, DELIVERY.c.state, sa.func.count()
    ).group_by(DELIVERY.c.study_uid, DELIVERY.c.destination, DELIVERY.c.state)
    if study_uid is not None:
        query = query.where(DELIVERY.c.study_uid == study_uid)
    counts: dict[str, dict[str, Counter[DeliveryState]]] = {}
    for study_uid, destination, state, number in connection.execute(query):
        by_state = counts.setdefault(study_uid, {}).setdefault(destination, Counter())
        by_state[DeliveryState(state)] = number
    return counts
