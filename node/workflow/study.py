"""What is done with one frozen revision of a study: analyse it, enter what came of it.

Each step may be repeated: the snapshot of a revision never changes, the analysis writes into a
folder of its own, results carry UIDs that follow from their input, and rows are entered once.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, cast

import sqlalchemy as sa

from node.audit import AuditTrail
from node.config import Config
from node.errors import SpoolError, is_for_want_of_room
from node.index import entry, holdings, jobs
from node.index.fetches import may_ask
from node.index.holdings import InstanceRow
from node.index.jobs import UNFINISHED, JobState
from node.index.retirement import find_retired
from node.spool import Spool
from node.workflow.answer import essence
from node.workflow.child import COMMAND, NO_ROOM, Outcome, run_analysis
from node.workflow.folders import Folders
from node.workflow.speaking import Speaker
from node.workflow.ticket import Ticket

log = logging.getLogger(__name__)

CRASHES_REPEATED = 2
"""How often an analysis that was ended from outside (out of memory) is tried again."""
REPEAT_AFTER_S = 60.0
LOOK_FOR_ROOM_S = 60.0


class Steps(Protocol):
    """The part of the engine that a handler uses."""

    def step(self, name: str, function: Callable[..., object], *args: object) -> object:
        """Run one step, once."""


class StudyWork:
    """The handler of the lane ``study``."""

    def __init__(
        self,
        index: sa.Engine,
        config: Config,
        *,
        audit: AuditTrail,
        command: Sequence[str] = COMMAND,
        fetches: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._index = index
        self._config = config
        self._command = command
        self._fetches = fetches
        self._clock = clock
        self._audit = audit
        self._spool = Spool.open(config.storage)
        self._folders = Folders(config.storage)
        self._speaker = Speaker(index, config, self._folders, clock)

    def handle(self, steps: Steps, key: str) -> None:
        """Bring one attempt to its end, or to where an archive is to be asked."""
        ticket = Ticket.from_key(key)
        if not steps.step("begin", self.begin, key):
            return
        outcome = cast("dict[str, object]", steps.step("analyse", self.analyse, key))
        if not steps.step("await", self.await_partner, key, outcome):
            steps.step("conclude", self.conclude, key, outcome)
        self._folders.drop_work(*ticket.place)

    def begin(self, key: str) -> bool:
        """Mark the job as running, if it is still wanted and there is something new."""
        ticket = Ticket.from_key(key)
        if not jobs.begin_job(self._index, ticket.place, now_s=self._clock()):
            return False
        reason = self._why_not(ticket)
        if reason is None:
            return True
        jobs.end_job(
            self._index,
            ticket.place,
            state=JobState.DONE,
            verdict="nothing",
            reason=reason,
            now_s=self._clock(),
        )
        return False

    def _why_not(self, ticket: Ticket) -> str | None:
        """Say why a revision is not analysed, or None where it is."""
        if entry.brings_only_own_results(self._index, ticket.study_uid, ticket.revision):
            # Otherwise a PACS that sends results back would have us analyse for ever.
            return "only results of this node came back"
        deleted = find_retired(self._index, ticket.study_uid)
        if deleted is None or deleted.images <= len(self._snapshot(ticket)):
            return None
        # What a part of a study gives must not replace what the whole gave.
        return (
            f"the {deleted.images} images of this study were deleted after delivery, and fewer "
            "came again: fetch the whole study"
        )

    def analyse(self, key: str) -> dict[str, object]:
        """Run the analysis and keep what it made; returns its answer, or why there is none."""
        ticket = Ticket.from_key(key)
        earlier = self._speaker.replaced_by(ticket.study_uid, ticket.revision)
        try:
            out = self._work(ticket) / f"made-{time.monotonic_ns()}"
            ended = self._run(ticket, out, earlier)
            if ended.answer is not None:
                said = {"answer": essence(ended.answer), "replaces": earlier}
                return self._folders.keep_results(out, *ticket.place, said=said)
        except OSError as error:
            if not is_for_want_of_room(error):
                raise
            ended = NO_ROOM
        # At once, and not when all is over: the databases may need the room.
        self._folders.drop_work(*ticket.place)
        return {
            "failure": ended.failure,
            "repeat_helps": ended.repeat_helps,
            "no_room": ended.no_room,
        }

    def _run(self, ticket: Ticket, out: Path, earlier: Sequence[int]) -> Outcome:
        return run_analysis(
            self._command,
            self._link(ticket),
            out,
            replaces=[self._link_results(ticket, revision) for revision in earlier],
            timeout_s=self._config.analysis.timeout_s,
            wanted=lambda: self._is_wanted(ticket),
        )

    def await_partner(self, key: str, outcome: dict[str, object]) -> bool:
        """Whether an archive is asked, once for each study, for what the analysis lacked.

        The work then goes on in the lane for that.
        """
        ticket = Ticket.from_key(key)
        if not self._fetches or "answer" not in outcome:
            return False
        missing = cast("dict[str, object]", outcome["answer"])["missing"]
        now_s = self._clock()
        if missing is None or not may_ask(self._index, ticket.study_uid, ticket.revision, now_s):
            return False
        log.info("study %s lacks %s", ticket.study_uid, missing)
        return jobs.await_partner(self._index, ticket.place, now_s=now_s)

    def conclude(self, key: str, outcome: dict[str, object]) -> str:
        """Enter the results and what is to be sent, and close the job; returns its state."""
        ticket = Ticket.from_key(key)
        job = jobs.find_job(self._index, ticket.study_uid, ticket.revision)
        if (
            job is None or job.state not in UNFINISHED
        ):  # a person closed it, or this is a repetition
            self._speaker.fall_back(ticket.study_uid)
            return "closed before"
        if outcome.get("no_room"):
            return self._wait_for_room(ticket, str(outcome["failure"]))
        if "answer" not in outcome:
            repeat_helps = bool(outcome["repeat_helps"])
            return self._give_up(ticket, str(outcome["failure"]), repeat_helps=repeat_helps)
        answer = cast("dict[str, object]", outcome["answer"])
        if outcome["replaces"] != self._speaker.replaced_by(ticket.study_uid, ticket.revision):
            return self._give_up(ticket, "an earlier revision ended meanwhile", repeat_helps=True)
        verdict, reason = str(answer["status"]), str(answer["reason"])
        state = JobState.DONE
        if not self._speaker.speak(
            ticket.study_uid, ticket.revision, outcome, newest=ticket.revision
        ):
            state, reason = JobState.SUPERSEDED, "later images came before the results were sent"
        jobs.end_job(
            self._index,
            ticket.place,
            state=state,
            verdict=verdict,
            reason=reason,
            now_s=self._clock(),
        )
        log.info("study %s revision %d: %s, %s", ticket.study_uid, ticket.revision, state, verdict)
        self._speaker.fall_back(ticket.study_uid)
        return state

    def fall_back(self, study_uid: str) -> None:
        """Where the newest revision was given up, send what was held back for it."""
        self._speaker.fall_back(study_uid)

    def _wait_for_room(self, ticket: Ticket, failure: str) -> str:
        now_s = self._clock()
        log.error("study %s revision %d waits: %s", ticket.study_uid, ticket.revision, failure)
        jobs.repeat_job(
            self._index,
            ticket.place,
            reason=failure,
            not_before_s=now_s + LOOK_FOR_ROOM_S,
            now_s=now_s,
        )
        return JobState.QUEUED

    def has_room(self) -> bool:
        """Whether an analysis may begin: the disk has as much room as the receiver wants left."""
        try:
            return self._spool.free_bytes() >= self._config.receive.minimum_free_mb * 2**20
        except SpoolError:
            return False

    def _give_up(self, ticket: Ticket, failure: str, *, repeat_helps: bool) -> str:
        now_s = self._clock()
        log.error("study %s revision %d: %s", ticket.study_uid, ticket.revision, failure)
        if repeat_helps and ticket.attempt < CRASHES_REPEATED:
            jobs.repeat_job(
                self._index,
                ticket.place,
                reason=failure,
                not_before_s=now_s + REPEAT_AFTER_S * 2**ticket.attempt,
                now_s=now_s,
            )
            return JobState.QUEUED
        jobs.end_job(
            self._index,
            ticket.place,
            state=JobState.FAILED,
            verdict="",
            reason=failure,
            now_s=now_s,
        )
        self._speaker.fall_back(ticket.study_uid)
        return JobState.FAILED

    def _link(self, ticket: Ticket) -> Path:
        """Give the analysis a folder of its own with the images of the revision, hard-linked."""
        rows = self._snapshot(ticket)
        folder = self._work(ticket) / "images"
        self._spool.link_study([row.file for row in rows], folder)
        log.info("study %s revision %d: %d images", ticket.study_uid, ticket.revision, len(rows))
        self._audit.instances_accessed(ticket.study_uid, Counter(row.sop_class_uid for row in rows))
        return folder

    def _link_results(self, ticket: Ticket, revision: int) -> Path:
        """Give the analysis the results of an earlier revision, in a folder named after it."""
        files = entry.result_files(self._index, ticket.study_uid, revision)
        folder = self._work(ticket) / f"revision-{revision}"
        self._folders.link_results(files, folder)
        return folder

    def _snapshot(self, ticket: Ticket) -> tuple[InstanceRow, ...]:
        return holdings.snapshot(self._index, ticket.study_uid, ticket.revision)

    def _is_wanted(self, ticket: Ticket) -> bool:
        job = jobs.find_job(self._index, ticket.study_uid, ticket.revision)
        return job is not None and job.state is JobState.RUNNING

    def _work(self, ticket: Ticket) -> Path:
        return self._folders.work(*ticket.place)
