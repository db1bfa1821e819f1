"""What is done where an analysis lacked something: ask an archive for it, then conclude.

In a lane of its own, so that an archive that is slow stops no other study.
"""

import logging
import time
from collections.abc import Callable

import sqlalchemy as sa

from node.index import jobs
from node.index.jobs import Job, JobState
from node.workflow.folders import Folders
from node.workflow.study import Steps, StudyWork
from node.workflow.ticket import Ticket

log = logging.getLogger(__name__)


class FetchWork:
    """The handler of the lane ``fetch``."""

    def __init__(
        self,
        index: sa.Engine,
        study: StudyWork,
        folders: Folders,
        fetch_missing: Callable[[str], object] | None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare.

        Parameters
        ----------
        fetch_missing
            Brings what a study lacks; None: no archive is configured any more.
        """
        self._index = index
        self._study = study
        self._folders = folders
        self._fetch_missing = fetch_missing
        self._clock = clock

    def handle(self, steps: Steps, key: str) -> None:
        """Bring one attempt to its end."""
        steps.step("fetch", self.fetch, key)
        steps.step("conclude", self.conclude, key)

    def fetch(self, key: str) -> None:
        """Have fetched what the analysis lacked.

        What comes makes the next revision, which then speaks for the study.
        """
        job = self._waiting(key)
        if job is None or self._fetch_missing is None:
            return
        try:
            self._fetch_missing(job.study_uid)
        except Exception as error:  # noqa: BLE001  whatever an archive does, results are sent
            log.error(  # noqa: TRY400  its text may repeat what the archive said
                "what study %s lacks was not fetched (%s)", job.study_uid, type(error).__name__
            )

    def conclude(self, key: str) -> None:
        """Conclude as if nothing had been lacking, with what the analysis has left."""
        job = self._waiting(key)
        if job is None:
            return
        outcome = self._folders.outcome(*job.place)
        if outcome is None:
            now_s = self._clock()
            reason = "what the analysis made is gone"
            jobs.repeat_job(self._index, job.place, reason=reason, not_before_s=now_s, now_s=now_s)
        else:
            self._study.conclude(key, outcome)

    def _waiting(self, key: str) -> Job | None:
        """Return the job, if nobody closed it meanwhile."""
        ticket = Ticket.from_key(key)
        job = jobs.find_job(self._index, ticket.study_uid, ticket.revision)
        wanted = job is not None and (job.state, job.attempt) == (JobState.FETCHING, ticket.attempt)
        return job if wanted else None
