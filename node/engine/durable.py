"""DBOS Transact behind the port. Everything that is particular about DBOS is in this file.

What is done about its traps: the application version is a constant (its default, a hash of the
code, strands all work at every upgrade); the journal is WAL with full sync (its default journal
does not sync the directory, so a commit can roll back at power loss); executors are unique and
watched by a lock (see `liveness`); work of this process that got lost in a database fault is
resumed; checkpoints are JSON (its default is pickle); retries never sleep in a slot.
"""

import functools
import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ParamSpec, TypeVar

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID, WorkflowStatus
from dbos._serialization import DBOSPortableJSONSerializer

from node.engine.liveness import Liveness, liveness
from node.errors import EngineError
from node.lifeline import leave
from node.repair import what_helps

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger(__name__)

STEPS_VERSION = "3"
"""Changed only when the order of a workflow's steps changes: work begun under another version is
then cancelled at launch and started anew by the reconciler, because its checkpoints do not fit."""

CRASHES_FORGIVEN = 5
"""A piece of work that takes its process down so often is given up and shown to a person."""

_PATIENCE_S = 30.0
"""How long to wait at the start for a lock that another program holds."""

_BEGIN_ANEW = {
    True: "stop the node, move this database away (with its -wal and -shm files) and start again; "
    "studies and deliveries are kept elsewhere, and unfinished work is found and repeated",
    False: "stop the node, drop the schema dbos and start again; studies and deliveries are kept "
    "elsewhere, and unfinished work is found and repeated",
}
"""What helps where a file of SQLite (True) or what a server holds (False) is damaged."""

LOST_AFTER_ROUNDS = 5
"""Rounds of the watch in which our own work is pending but in no thread, before it is resumed."""


class Progress(StrEnum):
    """How far a piece of work is, as the engine sees it."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


_PROGRESS = {
    "DELAYED": Progress.WAITING,
    "ENQUEUED": Progress.WAITING,
    "PENDING": Progress.RUNNING,
    "SUCCESS": Progress.FINISHED,
    "ERROR": Progress.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": Progress.FAILED,
    "CANCELLED": Progress.CANCELLED,
}
_LIVE = ["DELAYED", "ENQUEUED", "PENDING"]


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A queue with its worker function; a key belongs to the lane that its prefix names."""

    name: str
    slots: int
    """How many pieces of work of this lane run at once in one process."""
    handler: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Work:
    """One live piece of work."""

    progress: Progress
    not_before_s: float | None
    """Epoch seconds; None: at once."""


class Engine:
    """Starts durable work by key: ``<lane>:<anything>``. One a process.

    A key is started at most once, whatever is repeated; handlers run again from their last
    finished step after a crash, so what they do must bear repeating.
    """

    def __init__(
        self, database: str, *, locks: Path, lanes: Sequence[Lane], poll_s: float = 1.0
    ) -> None:
        """Prepare; nothing runs before `launch`.

        Parameters
        ----------
        database
            SQLAlchemy URL of SQLite or PostgreSQL.
        locks
            Folder for the executors' lock files, where the database cannot hold locks.
        lanes
            All queues with their handlers.
        poll_s
            How often queues are looked at [s].
        """
        self._database = database
        self._locks = locks
        self._lanes: Mapping[str, Lane] = {lane.name: lane for lane in lanes}
        self._poll_s = poll_s
        self._running: set[str] = set()
        self._stop = threading.Event()

    def launch(self) -> None:
        """Open the database, recover what was under way, begin to work.

        Raises
        ------
        EngineError
            The database is locked by a stranger, damaged or away; the message says what to do.
        """
        _prepare_sqlite(self._database)
        self._alive = self._take_lock()
        settings: DBOSConfig = {
            "name": "perfusion-node",
            "system_database_url": self._database,
            "application_version": STEPS_VERSION,
            "executor_id": self._alive.executor_id,
            "log_level": "WARNING",
            "serializer": DBOSPortableJSONSerializer(),
            "notification_listener_polling_interval_sec": self._poll_s,
        }
        try:
            DBOS(config=settings)
            self._workflow = DBOS.workflow(name="work", max_recovery_attempts=CRASHES_FORGIVEN)(
                functools.partial(self._run)  # DBOS marks the function, which a method forbids
            )
            DBOS.launch()
        except sa.exc.DBAPIError as error:
            raise EngineError(_advice(self._database, error)) from error
        self._retire_other_versions()
        for lane in self._lanes.values():
            DBOS.register_queue(
                lane.name,
                worker_concurrency=lane.slots,
                polling_interval_sec=self._poll_s,
                on_conflict="always_update",
            )
        self._watch = threading.Thread(target=self._watch_for_lost_work, daemon=True)
        self._watch.start()
        threading.Thread(target=self._leave_when_lost, daemon=True).start()

    def _take_lock(self) -> Liveness:
        try:
            return liveness(self._database, self._locks)
        except sa.exc.DBAPIError as error:
            raise EngineError(_advice(self._database, error)) from error

    def start(self, key: str, not_before_s: float | None = None) -> None:
        """Start `key` unless it was started before; a waiting one is moved to `not_before_s`."""
        lane = self._lanes[key.partition(":")[0]]
        delay_s = None if not_before_s is None else max(0.0, not_before_s - time.time())
        with SetWorkflowID(key), SetEnqueueOptions(delay_seconds=delay_s or None):
            DBOS.enqueue_workflow(lane.name, self._workflow, key)
        status = DBOS.get_workflow_status(key)
        if status is not None and status.status == "DELAYED":
            DBOS.set_workflow_delay(key, delay_seconds=delay_s or 0.0)

    def cancel(self, key: str) -> None:
        """Let `key` not begin another step; a step that is under way is not interrupted."""
        DBOS.cancel_workflow(key)

    def status(self, key: str) -> Progress | None:
        """How far `key` is, or None if it was never started."""
        found = DBOS.get_workflow_status(key)
        return None if found is None else _PROGRESS[found.status]

    def live(self) -> dict[str, Work]:
        """Everything that waits or runs, by key."""
        return {
            found.workflow_id: Work(
                progress=_PROGRESS[found.status],
                not_before_s=(found.delay_until_epoch_ms or 0) / 1000 or None
                if found.status == "DELAYED"
                else None,
            )
            for found in self._list(_LIVE)
        }

    def step(self, name: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run one step of a handler: once finished, its result is kept and it never runs again.

        Arguments and results are small and JSON: keys, names, numbers.
        """
        return DBOS.run_step({"name": name}, function, *args, **kwargs)

    def forget(self, *, older_than_s: float) -> None:
        """Delete finished work that began more than `older_than_s` ago: retention is ours to do."""
        before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - older_than_s))
        done = DBOS.list_workflows(
            status=[name for name in _PROGRESS if name not in _LIVE],
            end_time=before,
            load_input=False,
            load_output=False,
            limit=1000,
        )
        if done:
            DBOS.delete_workflows([found.workflow_id for found in done])

    def close(self) -> None:
        """Stop; work under way stays recorded as under way and is recovered by the next start."""
        self._stop.set()
        self._watch.join(timeout=10)
        DBOS.destroy(destroy_registry=True)
        self._alive.close()

    def _run(self, key: str) -> None:
        self._running.add(key)
        try:
            self._lanes[key.partition(":")[0]].handler(key)
        finally:
            self._running.discard(key)

    def _list(self, status: list[str]) -> list[WorkflowStatus]:
        return DBOS.list_workflows(status=status, load_input=False, load_output=False)

    def _retire_other_versions(self) -> None:
        old = [w.workflow_id for w in self._list(_LIVE) if w.app_version != STEPS_VERSION]
        if old:
            log.warning("%d pieces of work of another version are started anew", len(old))
            DBOS.cancel_workflows(old)

    def _leave_when_lost(self) -> None:
        """End the process when others may have its work: the supervisor starts it anew."""
        while not self._stop.wait(self._poll_s):
            if not self._alive.holds() and not self._stop.is_set():
                log.critical("the database has lost sight of this worker, which begins anew")
                leave(1)

    def _watch_for_lost_work(self) -> None:
        lost: Counter[str] = Counter()
        while not self._stop.wait(self._poll_s):
            try:
                lost = self._watch_once(lost)
            except Exception:
                log.exception("the watch for lost work failed and is repeated")

    def _watch_once(self, lost: Counter[str]) -> Counter[str]:
        """One round: take over from dead executors, resume our own work that no thread has."""
        pending = [(w.workflow_id, w.executor_id or "") for w in self._list(["PENDING"])]
        for executor_id in {owner for _, owner in pending} - {self._alive.executor_id}:
            with self._alive.seized(executor_id) as dead:
                if dead:
                    log.warning("taking over the work of a dead worker")
                    # The private call keeps the count of crashes, which the public one resets:
                    # with that, poisonous work would loop for ever.
                    DBOS._recover_pending_workflows([executor_id])
        ours = {key for key, owner in pending if owner == self._alive.executor_id}
        lost = Counter({key: lost[key] + 1 for key in ours - self._running})
        stranded = [key for key, rounds in lost.items() if rounds >= LOST_AFTER_ROUNDS]
        for key in stranded:
            log.warning("work that was lost in a database fault is resumed")
            DBOS.resume_workflow(key, queue_name=key.partition(":")[0])
            del lost[key]
        return lost


def _prepare_sqlite(database: str) -> None:
    """Set the journal, which the file itself remembers, and refuse a damaged file."""
    url = sa.make_url(database)
    if url.get_backend_name() != "sqlite" or not url.database:
        return
    try:
        connection = sqlite3.connect(url.database, timeout=_PATIENCE_S)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise EngineError(_advice(database, error)) from error
    if verdict != "ok":
        raise EngineError(_advice(database, sqlite3.DatabaseError(verdict)))


def _advice(database: str, error: Exception) -> str:
    url = sa.make_url(database)
    where = url.render_as_string(hide_password=True)
    helps = what_helps(error, url, damaged=_BEGIN_ANEW[url.get_backend_name() == "sqlite"])
    return (
        f"the engine's database {where} cannot be used ({getattr(error, 'orig', error)}): {helps}"
    )
