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
from node.index.jobs import JobState
from node.index.ledger import Result
from node.index.retirement import find_retired
from node.representation import first_states, gets_results
from node.spool import Spool
from node.workflow.answer import essence, results_of
from node.workflow.child import COMMAND, NO_ROOM, Outcome, run_analysis
from node.workflow.folders import Folders
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
        fetch_missing: Callable[[str], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._index = index
        self._config = config
        self._command = command
        self._fetch_missing = fetch_missing
        self._clock = clock
        self._audit = audit
        self._without_room: set[str] = set()
        self._spool = Spool.open(config.storage)
        self._folders = Folders(config.storage)

    def handle(self, steps: Steps, key: str) -> None:
        """Bring one attempt to its end.

        Where a database has no room to say what came of it, nobody is at fault: see `lacked_room`.
        """
        try:
            self._handle(steps, key)
        except Exception as error:
            if is_for_want_of_room(error):
                self._without_room.add(key)
            raise

    def lacked_room(self, key: str) -> bool:
        """Whether an attempt ended without a conclusion because a disk was full."""
        return key in self._without_room

    def _handle(self, steps: Steps, key: str) -> None:
        ticket = Ticket.from_key(key)
        if not steps.step("begin", self.begin, key):
            return
        outcome = cast("dict[str, object]", steps.step("analyse", self.analyse, key))
        steps.step("complete", self.complete, key, outcome)
        steps.step("conclude", self.conclude, key, outcome)
        self._folders.drop_work(ticket.study_uid, ticket.revision, ticket.attempt)

    def begin(self, key: str) -> bool:
        """Mark the job as running, if it is still wanted and there is something new."""
        ticket = Ticket.from_key(key)
        if not jobs.begin_job(self._index, *_place(key), now_s=self._clock()):
            return False
        reason = self._why_not(ticket)
        if reason is None:
            return True
        jobs.end_job(
            self._index,
            *_place(key),
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
        place = (ticket.study_uid, ticket.revision, ticket.attempt)
        earlier = self._earlier(ticket)
        try:
            out = self._work(ticket) / f"made-{time.monotonic_ns()}"
            ended = self._run(ticket, out, earlier)
            if ended.answer is not None:
                folder = self._folders.keep_results(out, *place)
                return {"answer": essence(ended.answer), "folder": folder, "replaces": earlier}
        except OSError as error:
            if not is_for_want_of_room(error):
                raise
            ended = NO_ROOM
        # At once, and not when all is over: the databases may need the room.
        self._folders.drop_work(*place)
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

    def complete(self, key: str, outcome: dict[str, object]) -> None:
        """Have fetched, once for each study, what the analysis lacked.

        What comes makes the next revision, which then speaks for the study.
        """
        ticket = Ticket.from_key(key)
        if self._fetch_missing is None or "answer" not in outcome:
            return
        missing = cast("dict[str, object]", outcome["answer"])["missing"]
        if missing is not None and may_ask(
            self._index, ticket.study_uid, ticket.revision, self._clock()
        ):
            log.info("study %s lacks %s", ticket.study_uid, missing)
            try:
                self._fetch_missing(ticket.study_uid)
            except Exception as error:  # noqa: BLE001  whatever an archive does, results are sent
                # The text of the error may repeat what the archive said.
                log.error(  # noqa: TRY400
                    "what study %s lacks was not fetched (%s)",
                    ticket.study_uid,
                    type(error).__name__,
                )

    def conclude(self, key: str, outcome: dict[str, object]) -> str:
        """Enter the results and what is to be sent, and close the job; returns its state."""
        ticket = Ticket.from_key(key)
        if outcome.get("no_room"):
            return self._wait_for_room(ticket, str(outcome["failure"]))
        if "answer" not in outcome:
            return self._give_up(ticket, str(outcome["failure"]), bool(outcome["repeat_helps"]))
        answer = cast("dict[str, object]", outcome["answer"])
        if outcome["replaces"] != self._earlier(ticket):
            return self._give_up(ticket, "an earlier revision ended meanwhile", repeat_helps=True)
        verdict, reason = str(answer["status"]), str(answer["reason"])
        state = JobState.DONE
        if not self._register(ticket, verdict, results_of(answer, str(outcome["folder"]))):
            state, reason = JobState.SUPERSEDED, "later images came before the results were sent"
        jobs.end_job(
            self._index,
            *_place(key),
            state=state,
            verdict=verdict,
            reason=reason,
            now_s=self._clock(),
        )
        log.info("study %s revision %d: %s, %s", ticket.study_uid, ticket.revision, state, verdict)
        return state

    def _register(self, ticket: Ticket, verdict: str, results: Sequence[Result]) -> bool:
        kinds = {result.kind for result in results}
        senders = jobs.senders(self._index, ticket.study_uid, ticket.revision)
        return entry.register(
            self._index,
            ticket.study_uid,
            ticket.revision,
            results,
            first_states={
                destination.name: first_states(kinds, destination.objects)
                for destination in self._config.delivery.destinations
                if gets_results(destination, verdict=verdict, senders=senders)
            },
            now_s=self._clock(),
        )

    def _wait_for_room(self, ticket: Ticket, failure: str) -> str:
        now_s = self._clock()
        log.error("study %s revision %d waits: %s", ticket.study_uid, ticket.revision, failure)
        jobs.repeat_job(
            self._index,
            *(ticket.study_uid, ticket.revision, ticket.attempt),
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

    def _give_up(self, ticket: Ticket, failure: str, repeat_helps: bool) -> str:  # noqa: FBT001
        now_s = self._clock()
        place = (ticket.study_uid, ticket.revision, ticket.attempt)
        log.error("study %s revision %d: %s", ticket.study_uid, ticket.revision, failure)
        if repeat_helps and ticket.attempt < CRASHES_REPEATED:
            jobs.repeat_job(
                self._index,
                *place,
                reason=failure,
                not_before_s=now_s + REPEAT_AFTER_S * 2**ticket.attempt,
                now_s=now_s,
            )
            return JobState.QUEUED
        jobs.end_job(
            self._index, *place, state=JobState.FAILED, verdict="", reason=failure, now_s=now_s
        )
        return JobState.FAILED

    def _link(self, ticket: Ticket) -> Path:
        """Give the analysis a folder of its own with the images of the revision, hard-linked."""
        rows = self._snapshot(ticket)
        folder = self._work(ticket) / "images"
        self._spool.link_study([row.file for row in rows], folder)
        log.info("study %s revision %d: %d images", ticket.study_uid, ticket.revision, len(rows))
        self._audit.instances_accessed(ticket.study_uid, Counter(row.sop_class_uid for row in rows))
        return folder

    def _earlier(self, ticket: Ticket) -> list[int]:
        """Revisions whose results these replace."""
        return list(entry.revisions_with_results(self._index, ticket.study_uid, ticket.revision))

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
        return self._folders.work(ticket.study_uid, ticket.revision, ticket.attempt)


def _place(key: str) -> tuple[str, int, int]:
    ticket = Ticket.from_key(key)
    return ticket.study_uid, ticket.revision, ticket.attempt
