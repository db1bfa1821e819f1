"""How results enter the index: what a revision made, and what is to be sent of it to whom."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from node.index.arrivals import LOCK_STUDY
from node.index.ledger import (
    DELIVERY,
    NO_ANSWER,
    REJECTION,
    UNDER_WAY,
    DeliveryState,
    Result,
)
from node.index.tables import INSTANCE, METADATA, reading

RESULT = sa.Table(
    "result",
    METADATA,
    sa.Column("study_uid", sa.String(64), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
    sa.Column("sop_class_uid", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("file", sa.Text, nullable=False),
)


def register(
    index: sa.Engine,
    study_uid: str,
    revision: int,
    results: Sequence[Result],
    *,
    first_states: Mapping[str, Mapping[str, DeliveryState]],
    now_s: float,
    newest: int | None = None,
) -> bool:
    """Enter results and their deliveries; what is entered already stays as it is.

    False, and nothing is entered: later images are here, whose revision speaks for the study.

    Parameters
    ----------
    first_states
        Destination to kind to the state in which a delivery begins; a kind that is absent does
        not go there.
    newest
        The newest revision that may be here: one whose analysis failed; None: this one.
    """
    with index.begin() as connection:
        study = connection.execute(LOCK_STUDY, {"uid": study_uid}).one_or_none()
        if study is not None and study.revision > (newest or revision):
            return False
        for result in results:
            _enter_result(connection, study_uid, revision, result)
            first = {
                destination: states[result.kind]
                for destination, states in first_states.items()
                if result.kind in states
            }
            if result.kind == REJECTION:
                first = _where_earlier_results_went(connection, study_uid, revision)
            for destination, state in first.items():
                _enter_delivery(connection, study_uid, revision, result, destination, state, now_s)
        _supersede_earlier(connection, study_uid, revision, now_s)
    return True


def revisions_with_results(index: sa.Engine, study_uid: str, before: int) -> tuple[int, ...]:
    """Return the revisions before one that made results, the oldest first."""
    query = (
        sa.select(RESULT.c.revision)
        .where(RESULT.c.study_uid == study_uid, RESULT.c.revision < before)
        .distinct()
        .order_by(RESULT.c.revision)
    )
    with reading(index) as connection:
        return tuple(connection.scalars(query))


def result_files(index: sa.Engine, study_uid: str, revision: int) -> tuple[str, ...]:
    """Return the files of what a revision made, relative to the folder of results, in order."""
    query = (
        sa.select(RESULT.c.file)
        .where(RESULT.c.study_uid == study_uid, RESULT.c.revision == revision)
        .order_by(RESULT.c.file)
    )
    with reading(index) as connection:
        return tuple(connection.scalars(query))


def all_result_files(index: sa.Engine, study_uid: str, revision: int) -> tuple[str, ...]:
    """Return the files of what a study's revisions up to one have made."""
    query = sa.select(RESULT.c.file).where(
        RESULT.c.study_uid == study_uid, RESULT.c.revision <= revision
    )
    with reading(index) as connection:
        return tuple(connection.scalars(query))


def _where_earlier_results_went(
    connection: sa.Connection, study_uid: str, revision: int
) -> dict[str, DeliveryState]:
    """Find the destinations that may have to hear that earlier results are replaced.

    Whatever a destination's rules let it have: it has the earlier ones.
    """
    destinations = connection.scalars(
        sa.select(DELIVERY.c.destination)
        .where(DELIVERY.c.study_uid == study_uid, DELIVERY.c.revision < revision)
        .distinct()
    )
    return dict.fromkeys(destinations, DeliveryState.HELD)


def _supersede_earlier(
    connection: sa.Connection, study_uid: str, revision: int, now_s: float
) -> None:
    """End what an earlier revision has not sent by now: this one speaks for it.

    What may have arrived without an answer is brought to its end first, so that it can be
    rejected; and an earlier note rejects still what was there before it.
    """
    connection.execute(
        DELIVERY.update()
        .where(DELIVERY.c.study_uid == study_uid, DELIVERY.c.revision < revision)
        .where(DELIVERY.c.state.in_((DeliveryState.PENDING, DeliveryState.HELD)))
        .where(DELIVERY.c.kind != REJECTION, DELIVERY.c.reason.not_in((UNDER_WAY, NO_ANSWER)))
        .values(
            state=DeliveryState.SUPERSEDED,
            reason=f"replaced by revision {revision}",
            changed_s=now_s,
        )
    )


def brings_only_own_results(index: sa.Engine, study_uid: str, revision: int) -> bool:
    """Whether a revision adds nothing but what this node made: a PACS may send it back."""
    foreign = (
        sa.select(INSTANCE.c.sop_instance_uid)
        .outerjoin(RESULT, RESULT.c.sop_instance_uid == INSTANCE.c.sop_instance_uid)
        .where(INSTANCE.c.study_uid == study_uid, INSTANCE.c.revision == revision)
        .where(RESULT.c.sop_instance_uid.is_(None))
        .limit(1)
    )
    with reading(index) as connection:
        return revision > 1 and connection.execute(foreign).first() is None


def _enter_result(connection: sa.Connection, study_uid: str, revision: int, result: Result) -> None:
    same = sa.select(RESULT.c.file).where(
        RESULT.c.study_uid == study_uid,
        RESULT.c.revision == revision,
        RESULT.c.sop_instance_uid == result.sop_instance_uid,
    )
    if connection.execute(same).one_or_none() is None:
        connection.execute(
            RESULT.insert().values(study_uid=study_uid, revision=revision, **vars(result))
        )


def _enter_delivery(
    connection: sa.Connection,
    study_uid: str,
    revision: int,
    result: Result,
    destination: str,
    state: DeliveryState,
    now_s: float,
) -> None:
    same = (
        DELIVERY.c.sop_instance_uid == result.sop_instance_uid,
        DELIVERY.c.destination == destination,
    )
    if connection.execute(sa.select(DELIVERY.c.state).where(*same)).one_or_none() is None:
        connection.execute(
            DELIVERY.insert().values(
                study_uid=study_uid,
                revision=revision,
                destination=destination,
                state=state,
                attempts=0,
                created_s=now_s,
                next_try_s=now_s,
                status=None,
                reason="",
                changed_s=now_s,
                confirmation="",
                questions=0,
                **vars(result),
            )
        )
        return
    # The same instance by a later revision: it goes on under the new one, at most once.
    open_states = (DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.SUPERSEDED)
    connection.execute(
        DELIVERY.update()
        .where(*same, DELIVERY.c.revision < revision, DELIVERY.c.state.in_(open_states))
        .values(revision=revision, file=result.file, state=state, changed_s=now_s)
    )
