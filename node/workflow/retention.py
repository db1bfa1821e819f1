"""Deletes what has been delivered, for as long as a site wants it kept: never anything else.

Of results their identity stays (UIDs and image type, a few hundred bytes each), so that late images
can still replace them in the PACS.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice

import sqlalchemy as sa

from node.audit import AuditTrail
from node.config import Config, Destination
from node.index import entry, retirement
from node.index.confirmations import Confirmation
from node.index.jobs import Job, JobState
from node.index.ledger import REJECTION, Delivery, DeliveryState
from node.index.retirement import Candidate
from node.spool import Spool
from node.workflow.folders import Folders

log = logging.getLogger(__name__)

_MOST_AT_ONCE = 20
_DAY_S = 86400.0


class Retention:
    """The broom; every method may be repeated, after a crash at any moment too."""

    def __init__(self, index: sa.Engine, config: Config, audit: AuditTrail) -> None:
        self._index = index
        self._days = config.storage.delete_after_days
        self._destinations: Mapping[str, Destination] = {
            destination.name: destination for destination in config.delivery.destinations
        }
        self._spool = Spool.open(config.storage)
        self._folders = Folders(config.storage)
        self._audit = audit

    def sweep(self, now_s: float) -> None:
        """Delete what may go; what an earlier sweep has begun is finished first, in any case."""
        self._finish()
        if self._days is None:
            return
        quiet = retirement.quiet_studies(self._index, now_s - self._days * _DAY_S)
        may_go = (study for study in quiet if why_kept(study, self._destinations) is None)
        for study in islice(may_go, _MOST_AT_ONCE):
            retirement.retire(self._index, study.study_uid, study.revision, now_s)
        self._finish()

    def _finish(self) -> None:
        for study in retirement.unfinished(self._index):
            files = retirement.doomed_files(self._index, study.study_uid)
            self._spool.remove(files)
            results = entry.all_result_files(self._index, study.study_uid, study.revision)
            self._folders.keep_only_identities(study.study_uid, study.revision, results)
            self._audit.study_deleted(study.study_uid, Counter(files.values()))
            retirement.finish(self._index, study.study_uid)
            log.info("study %s: %d images and their results deleted", study.study_uid, study.images)


def why_kept(study: Candidate, destinations: Mapping[str, Destination]) -> str | None:
    """Say why a quiet study must stay, or None where it may be deleted.

    Pure. It may go when its newest analysis is done and every destination has what it was to get,
    confirmed where the configuration asks for it.
    """
    if not destinations:
        return "nothing is delivered anywhere"
    if study.job is None or study.job.state is not JobState.DONE:
        return "it is not analysed"
    # What was analysed and withheld is a result, too; where nothing was found there is none.
    if study.job.verdict != "nothing" and not _has_arrived(study.job, study.deliveries):
        return "no destination has its results"
    for row in study.deliveries:
        reason = _why_open(row, destinations.get(row.destination))
        if reason is not None:
            return f"{row.kind} to {row.destination}: {reason}"
    return None


def _has_arrived(job: Job, rows: Sequence[Delivery]) -> bool:
    return any(
        row.state is DeliveryState.STORED and row.revision <= job.revision and row.kind != REJECTION
        for row in rows
    )


def _why_open(row: Delivery, destination: Destination | None) -> str | None:
    """Say what is still to be done for a delivery; None: nothing."""
    if row.state is DeliveryState.STORED:
        asked = destination is not None and destination.confirm != "none" and row.kind != REJECTION
        return "not confirmed" if asked and row.confirmation != Confirmation.CONFIRMED else None
    if row.state is DeliveryState.HELD:
        return "held" if row.kind == REJECTION else None
    settled = (DeliveryState.SUPERSEDED, DeliveryState.STOOD_IN)
    return None if row.state in settled else row.state
