"""Which revision of a study speaks in the PACS: the newest, or one before it where that fails."""

import logging
from collections.abc import Callable, Mapping
from typing import cast

import sqlalchemy as sa

from node.config import Config
from node.index import entry, jobs
from node.index.jobs import Job, JobState
from node.representation import first_states, gets_results
from node.workflow.answer import results_of
from node.workflow.folders import Folders

log = logging.getLogger(__name__)


class Speaker:
    """Enters what revisions have made, for delivery."""

    def __init__(
        self, index: sa.Engine, config: Config, folders: Folders, clock: Callable[[], float]
    ) -> None:
        self._index = index
        self._destinations = config.delivery.destinations
        self._folders = folders
        self._clock = clock

    def speak(
        self, study_uid: str, revision: int, outcome: Mapping[str, object], *, newest: int
    ) -> bool:
        """Enter the results of a revision; may be repeated.

        False, and nothing is entered: images are here that are newer than the revision `newest`.
        """
        answer = cast("dict[str, object]", outcome["answer"])
        results = results_of(answer, str(outcome["folder"]))
        kinds = {result.kind for result in results}
        senders = jobs.senders(self._index, study_uid, revision)
        return entry.register(
            self._index,
            study_uid,
            revision,
            results,
            newest=newest,
            first_states={
                destination.name: first_states(kinds, destination.objects)
                for destination in self._destinations
                if gets_results(destination, verdict=str(answer["status"]), senders=senders)
            },
            now_s=self._clock(),
        )

    def replaced_by(self, study_uid: str, revision: int) -> list[int]:
        """Return the revisions whose results those of a revision replace."""
        return list(entry.revisions_with_results(self._index, study_uid, revision))

    def fall_back(self, study_uid: str) -> None:
        """Where the newest revision has failed, send what was held back for it. May be repeated.

        A later image or a fetched series may be what the analysis cannot bear: what is known
        without it must not wait for a person.
        """
        newest, *others = reversed(sorted_by_revision(jobs.jobs(self._index, study_uid=study_uid)))
        if newest.state is not JobState.FAILED:
            return
        for job in others:
            if job.state is JobState.DONE:
                return  # its results are there
            if job.state is JobState.SUPERSEDED and self._speak_after_all(job, newest.revision):
                return

    def _speak_after_all(self, job: Job, newest: int) -> bool:
        outcome = self._folders.outcome(*job.place)
        if outcome is None or outcome["replaces"] != self.replaced_by(job.study_uid, job.revision):
            return False
        if not self.speak(job.study_uid, job.revision, outcome, newest=newest):
            return False
        reason = f"sent after all: the analysis of revision {newest} failed"
        verdict = str(cast("dict[str, object]", outcome["answer"])["status"])
        jobs.revive_job(self._index, job.place, verdict=verdict, reason=reason, now_s=self._clock())
        log.warning("study %s revision %d: %s", job.study_uid, job.revision, reason)
        return True


def sorted_by_revision(found: tuple[Job, ...]) -> list[Job]:
    """Sort the jobs of one study."""
    return sorted(found, key=lambda job: job.revision)
