"""One row for each revision of a study: what became of its analysis.

A revision is a fixed set of images (see `arrivals.freeze`); a later image makes the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import sqlalchemy as sa

from node.index.arrivals import freeze
from node.index.tables import INSTANCE, METADATA, reading


class JobState(StrEnum):
    """The life of a job."""

    QUEUED = "queued"
    """To be analysed, at `next_try_s` at the earliest."""
    RUNNING = "running"
    FETCHING = "fetching"
    """Analysed; an archive is asked for what was lacking, before anything is sent."""
    DONE = "done"
    """Analysed, withheld or found to hold nothing to analyse: `verdict` says which."""
    FAILED = "failed"
    """Waits for a person: `reason` says why."""
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    """Later images came before the results were sent: the next revision speaks for the study."""


UNFINISHED = (JobState.QUEUED, JobState.RUNNING, JobState.FETCHING)

JOB = sa.Table(
    "job",
    METADATA,
    sa.Column("study_uid", sa.String(64), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("next_try_s", sa.Float, nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("changed_s", sa.Float, nullable=False),
)


class Place(NamedTuple):
    """Which attempt at which analysis."""

    study_uid: str
    revision: int
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Job:
    """The analysis of one revision of a study."""

    study_uid: str
    revision: int
    state: JobState
    attempt: int
    """Attempts given up so far: names the attempt that is due or under way."""
    next_try_s: float
    """Not before this time [epoch seconds]."""
    verdict: str
    """``analysed``, ``withheld`` or ``nothing``; empty before."""
    reason: str
    created_s: float
    changed_s: float

    @property
    def place(self) -> Place:
        """The attempt that is due or under way."""
        return Place(self.study_uid, self.revision, self.attempt)


def freeze_and_add(index: sa.Engine, study_uid: str, revision: int, now_s: float) -> bool:
    """End a revision and queue it for analysis in one transaction; may be repeated.

    False: the study does not have that revision.
    """
    with index.begin() as connection:
        if not freeze(connection, study_uid, revision):
            return False
        if _find(connection, study_uid, revision) is None:
            connection.execute(
                JOB.insert().values(
                    study_uid=study_uid,
                    revision=revision,
                    state=JobState.QUEUED,
                    attempt=0,
                    next_try_s=now_s,
                    verdict="",
                    reason="",
                    created_s=now_s,
                    changed_s=now_s,
                )
            )
        return True


def find_job(index: sa.Engine, study_uid: str, revision: int) -> Job | None:
    """Return the job of one revision."""
    with reading(index) as connection:
        return _find(connection, study_uid, revision)


def jobs(
    index: sa.Engine, *, study_uid: str | None = None, states: Sequence[JobState] = ()
) -> tuple[Job, ...]:
    """All jobs, or those of one study or in some states, oldest first."""
    query = sa.select(JOB).order_by(JOB.c.created_s, JOB.c.study_uid, JOB.c.revision)
    if study_uid is not None:
        query = query.where(JOB.c.study_uid == study_uid)
    if states:
        query = query.where(JOB.c.state.in_(states))
    with reading(index) as connection:
        return tuple(_job(row) for row in connection.execute(query))


def begin_job(index: sa.Engine, place: Place, now_s: float) -> bool:
    """Mark an attempt as running; False if it is no longer wanted (cancelled, superseded, old).

    Nor if it is analysed already and an archive is asked: that goes on in a lane of its own.
    """
    return _move(
        index,
        _is_attempt(place),
        (JobState.QUEUED, JobState.RUNNING),
        now_s,
        state=JobState.RUNNING,
    )


def await_partner(index: sa.Engine, place: Place, now_s: float) -> bool:
    """Mark an attempt as analysed and lacking something; False if it is no longer wanted."""
    was = (JobState.RUNNING, JobState.FETCHING)
    return _move(index, _is_attempt(place), was, now_s, state=JobState.FETCHING)


def revive_job(index: sa.Engine, place: Place, *, verdict: str, reason: str, now_s: float) -> bool:
    """Mark as done what was superseded: it speaks for the study after all."""
    values = {"state": JobState.DONE, "verdict": verdict, "reason": reason}
    return _move(index, _is_attempt(place), (JobState.SUPERSEDED,), now_s, **values)


def end_job(
    index: sa.Engine, place: Place, *, state: JobState, verdict: str, reason: str, now_s: float
) -> bool:
    """Close an attempt; False if somebody else (a person) closed the job meanwhile."""
    return _move(
        index, _is_attempt(place), UNFINISHED, now_s, state=state, verdict=verdict, reason=reason
    )


def repeat_job(
    index: sa.Engine, place: Place, *, reason: str, not_before_s: float, now_s: float
) -> bool:
    """Give up one attempt and queue the next."""
    return _move(index, _is_attempt(place), UNFINISHED, now_s, **_queued(reason, not_before_s))


def retry_job(index: sa.Engine, study_uid: str, revision: int, now_s: float) -> bool:
    """Queue a failed or cancelled job again, because a person asks for it."""
    was = (JobState.FAILED, JobState.CANCELLED)
    return _move(index, _is_job(study_uid, revision), was, now_s, **_queued("", now_s))


def cancel_job(index: sa.Engine, study_uid: str, revision: int, now_s: float) -> bool:
    """Take an unfinished job off the list, because a person asks for it."""
    values = {"state": JobState.CANCELLED, "reason": "cancelled by a person"}
    return _move(index, _is_job(study_uid, revision), UNFINISHED, now_s, **values)


def senders(index: sa.Engine, study_uid: str, revision: int) -> frozenset[str]:
    """AE titles that sent images of a study up to a revision."""
    query = (
        sa.select(INSTANCE.c.calling_ae)
        .where(INSTANCE.c.study_uid == study_uid, INSTANCE.c.revision <= revision)
        .distinct()
    )
    with reading(index) as connection:
        return frozenset(connection.scalars(query))


def _queued(reason: str, not_before_s: float) -> dict[str, object]:
    """Return what the row of the next attempt says."""
    return {
        "state": JobState.QUEUED,
        "attempt": JOB.c.attempt + 1,
        "reason": reason,
        "next_try_s": not_before_s,
    }


def _is_attempt(place: Place) -> sa.ColumnElement[bool]:
    return sa.and_(_is_job(place.study_uid, place.revision), JOB.c.attempt == place.attempt)


def _is_job(study_uid: str, revision: int) -> sa.ColumnElement[bool]:
    """Whichever attempt it is at: a person does not ask for one."""
    return sa.and_(JOB.c.study_uid == study_uid, JOB.c.revision == revision)


def _move(
    index: sa.Engine,
    which: sa.ColumnElement[bool],
    was: Sequence[JobState],
    now_s: float,
    **values: object,
) -> bool:
    """Change a row only from a state in which the caller believes it to be."""
    change = JOB.update().where(which, JOB.c.state.in_(was)).values(changed_s=now_s, **values)
    with index.begin() as connection:
        return bool(connection.execute(change).rowcount)


def _find(connection: sa.Connection, study_uid: str, revision: int) -> Job | None:
    query = sa.select(JOB).where(_is_job(study_uid, revision))
    row = connection.execute(query).one_or_none()
    return None if row is None else _job(row)


def _job(row: sa.Row[tuple[object, ...]]) -> Job:
    values = dict(row._mapping)
    return Job(**{**values, "state": JobState(str(values["state"]))})
