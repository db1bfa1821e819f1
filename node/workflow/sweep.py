"""The reconciler: whatever the tables say is unfinished and the engine does not drive is started.

No timer is kept anywhere: after any downtime, or with the engine's database lost, the next sweep
finds the same work.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import sqlalchemy as sa

from node.completion import judge
from node.config import Completion
from node.engine import Progress, Work
from node.index import jobs
from node.index.holdings import frozen_studies, open_studies
from node.index.jobs import UNFINISHED, Job, JobState
from node.workflow.announced import Announcements
from node.workflow.ticket import FETCH_LANE, LANE, LANES, Ticket

log = logging.getLogger(__name__)

GIVE_UP_AFTER = 8
"""Attempts of one job that may end without a conclusion, by an error of ours, before a person is
asked. The pause doubles from one to the next: two hours in all. A full disk is waited for."""
FIRST_PAUSE_S = 60.0
LONGEST_DOUBLING = 4
"""Of the pause before a try that found no room: a quarter of an hour."""
LONGEST_PAUSE_S = FIRST_PAUSE_S * 2**GIVE_UP_AFTER
_LANES = tuple(f"{lane}:" for lane in LANES)
EARLIER_S = 1.0
"""A waiting job is moved only if it is due earlier by more than this."""


class Driver(Protocol):
    """The part of the engine that a sweep uses."""

    def start(self, key: str, not_before_s: float | None = None) -> None:
        """Start a key unless it was started before; move it if it waits."""

    def cancel(self, key: str) -> None:
        """Let a key not begin another step."""

    def status(self, key: str) -> Progress | None:
        """How far a key is."""


def freeze_complete_studies(
    index: sa.Engine, settings: Completion, announcements: Announcements, now_s: float
) -> None:
    """Queue every study that has arrived whole, or has been quiet for long enough."""
    studies = open_studies(index, now_s)
    announcements.forget_others({one.series_uid for study in studies for one in study.series})
    for study in studies:
        if judge(study, now_s, settings, announcements.prove_both).complete:
            jobs.freeze_and_add(index, study.study_uid, study.revision, now_s)


def adopt_frozen_studies(index: sa.Engine, now_s: float) -> None:
    """Queue what is frozen but has no job; at start, after a restored backup for example."""
    for study_uid, revision in frozen_studies(index):
        jobs.freeze_and_add(index, study_uid, revision, now_s)


def drive_jobs(
    index: sa.Engine,
    engine: Driver,
    live: dict[str, Work],
    now_s: float,
    *,
    has_room: bool = True,
    lacked_room: Callable[[str], bool] = lambda _: False,
    gave_up: Callable[[str], None] = lambda _: None,
) -> None:
    """See to it that every unfinished job is under way, and no cancelled one.

    Parameters
    ----------
    has_room
        Without room on the disk nothing new begins: it waits as it is.
    lacked_room
        Whether the work of a key ended because a database had no room: that is no fault, and
        tried again for as long as it takes.
    gave_up
        Told the study of a job that is left to a person.
    """
    unfinished = jobs.jobs(index, states=UNFINISHED)
    wanted = {_ticket(job).key: job for job in unfinished}
    for key, job in wanted.items():
        work = live.get(key)
        if work is not None:
            _move(engine, job, key, work)
        elif has_room and _start(index, engine, job, key, now_s, lacked_room):
            gave_up(job.study_uid)
    for key, work in live.items():
        if key.startswith(_LANES) and key not in wanted and not _is_running(work):
            engine.cancel(key)


def _start(
    index: sa.Engine,
    engine: Driver,
    job: Job,
    key: str,
    now_s: float,
    lacked_room: Callable[[str], bool],
) -> bool:
    """Start what was never started, repeat what ended without a conclusion; True: given up."""
    progress = engine.status(key)
    if progress is None:
        engine.start(key, job.next_try_s if job.next_try_s > now_s else None)
        return False
    # The engine is through with it, and yet the row is open.
    waits = lacked_room(key)
    reason = (
        "the disk of the database is full"
        if waits
        else f"the work on it ended unforeseen ({progress}); the log has the cause"
    )
    log.error("study %s revision %d: %s", job.study_uid, job.revision, reason)
    if job.attempt + 1 >= GIVE_UP_AFTER and not waits:
        return jobs.end_job(
            index, job.place, state=JobState.FAILED, verdict="", reason=reason, now_s=now_s
        )
    longest = LONGEST_DOUBLING if waits else GIVE_UP_AFTER
    again_s = now_s + FIRST_PAUSE_S * 2 ** min(job.attempt, longest)
    jobs.repeat_job(index, job.place, reason=reason, not_before_s=again_s, now_s=now_s)
    return False


def _move(engine: Driver, job: Job, key: str, work: Work) -> None:
    """Begin earlier than was planned, where a person or a clock that was set back wants it."""
    if work.not_before_s is not None and job.next_try_s < work.not_before_s - EARLIER_S:
        engine.start(key, job.next_try_s)


def _ticket(job: Job) -> Ticket:
    lane = FETCH_LANE if job.state is JobState.FETCHING else LANE
    return Ticket(study_uid=job.study_uid, revision=job.revision, attempt=job.attempt, lane=lane)


def _is_running(work: Work) -> bool:
    # A running one notices by itself, and has its conclusion to write.
    return work.progress is Progress.RUNNING
