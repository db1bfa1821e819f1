"""The worker: analyses what is complete and delivers what is made, until it is told to stop."""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence

from node.audit import AuditTrail
from node.config import Config
from node.deliver.attempt import Deliverer
from node.deliver.confirm import Confirmer
from node.deliver.rejection import release_notes
from node.deliver.rounds import Errand
from node.engine import Engine, Lane
from node.errors import is_for_want_of_room
from node.index import confirmations, ledger
from node.index.clock import pull_in
from node.index.health import refuse_damage
from node.index.jobs import JOB
from node.index.ledger import Consignment
from node.index.tables import open_index
from node.partners import Partners
from node.workflow import sweep
from node.workflow.announced import Announcements
from node.workflow.child import COMMAND
from node.workflow.fetching import FetchWork
from node.workflow.folders import Folders
from node.workflow.retention import Retention
from node.workflow.study import StudyWork
from node.workflow.ticket import FETCH_LANE, LANE

log = logging.getLogger(__name__)

ASSOCIATIONS_A_DESTINATION = 2
FETCHES = 2
"""Studies for which an archive is asked at once."""
SWEEP_S = 1.0
UNFORESEEN_PAUSE_S = 60.0
"""Between an attempt that ended in an error of ours and the next one."""
FORGET_AFTER_S = 30 * 86400.0
FORGET_EVERY_S = 3600.0
RETIRE_EVERY_S = 600.0


class Worker:
    """The engine with its lanes, and the sweep that feeds it. One a process."""

    def __init__(self, config: Config, *, command: Sequence[str] = COMMAND) -> None:
        """Open the index and prepare the engine.

        Parameters
        ----------
        command
            What analyses a study: it is given a folder, ``--out`` with another, and ``--json``.
        """
        self._config = config
        self._index = open_index(config.storage)
        refuse_damage(self._index)
        self._audit = AuditTrail(config.audit, config.storage, ae_title=config.receive.ae_title)
        self._study = StudyWork(
            self._index,
            config,
            audit=self._audit,
            command=command,
            fetches=config.completion.fetch_missing_from is not None,
        )
        self._fetch = FetchWork(self._index, self._study, Folders(config.storage), self._partners())
        self._lacked_room: set[str] = set()
        destinations = [destination.name for destination in config.delivery.destinations]
        spool = config.storage.directory / "spool"
        self._announcements = Announcements(self._index, spool, config.analysis)
        self._retention = Retention(self._index, config, self._audit)
        self._asked = [d.name for d in config.delivery.destinations if d.confirm != "none"]
        self._results = Folders(config.storage).results
        self._errands = {
            self._delivery(destinations): destinations,
            self._question(self._asked): self._asked,
        }
        self._had_room = True
        self._engine = Engine(
            config.storage.database_url or f"sqlite:///{config.storage.directory}/engine.sqlite",
            locks=config.storage.directory / "workers",
            lanes=list(self._lanes()),
        )

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set.

        Raises
        ------
        EngineError
            The engine's database cannot be used.
        """
        self._engine.launch()
        log.info("the worker is ready")
        sweep.adopt_frozen_studies(self._index, time.time())
        forgotten_s = swept_s = -math.inf
        while not stop.is_set():
            try:
                self._sweep()
                if time.monotonic() - forgotten_s > FORGET_EVERY_S:
                    forgotten_s = time.monotonic()
                    self._engine.forget(older_than_s=FORGET_AFTER_S)
                if time.monotonic() - swept_s > RETIRE_EVERY_S:
                    swept_s = time.monotonic()
                    self._retention.sweep(time.time())
            except Exception:  # a sweep that fails is repeated, whatever it was
                log.exception("a sweep failed and is repeated")
            stop.wait(SWEEP_S)
        log.info("the worker stops; what is under way is taken up again at the next start")

    def _sweep(self) -> None:
        now_s = time.time()
        sweep.freeze_complete_studies(
            self._index, self._config.completion, self._announcements, now_s
        )
        self._right_the_clock(now_s)
        live = self._engine.live()
        has_room = self._study.has_room()
        if has_room != self._had_room:
            self._had_room = has_room
            if has_room:
                log.info("there is room on the disk again")
            else:
                log.error("the disk is nearly full: no analysis begins before there is room")
        sweep.drive_jobs(
            self._index,
            self._engine,
            live,
            now_s,
            has_room=has_room,
            lacked_room=self._lacked_room.__contains__,
            gave_up=self._study.fall_back,
        )
        for errand in self._errands:
            errand.drive(self._engine, live, now_s)
        # Last, because it writes files: a full disk must not keep anything from being sent.
        release_notes(self._index, self._results, confirmed_at=self._asked, now_s=now_s)

    def _right_the_clock(self, now_s: float) -> None:
        patience = self._config.delivery
        longest_s = max(
            patience.longest_retry_s,
            patience.first_retry_s,
            patience.confirm_after_s,
            patience.confirm_within_s,
            UNFORESEEN_PAUSE_S,
        )
        pull_in(self._index, JOB.c.next_try_s, now_s, sweep.LONGEST_PAUSE_S)
        pull_in(self._index, ledger.DELIVERY.c.next_try_s, now_s, longest_s)

    def _partners(self) -> Callable[[str], int] | None:
        wanted = self._config.completion.fetch_missing_from
        for archive in self._config.retrieve.archives:
            if archive.name == wanted:
                return Partners(self._index, self._config, archive).fetch
        return None

    def _lanes(self) -> Iterator[Lane]:
        yield Lane(name=LANE, slots=1, handler=self._noting_room(self._study))
        yield Lane(name=FETCH_LANE, slots=FETCHES, handler=self._noting_room(self._fetch))
        for errand, destinations in self._errands.items():
            for name in destinations:
                yield Lane(
                    name=errand.lane(name),
                    slots=ASSOCIATIONS_A_DESTINATION,
                    handler=self._handler(errand),
                )

    def _noting_room(self, work: StudyWork | FetchWork) -> Callable[[str], None]:
        """Note where a database had no room to say what came of it: nobody is at fault."""

        def handle(key: str) -> None:
            try:
                work.handle(self._engine, key)
            except Exception as error:
                if is_for_want_of_room(error):
                    self._lacked_room.add(key)
                raise

        return handle

    def _handler(self, errand: Errand) -> Callable[[str], None]:
        return lambda key: errand.handle(self._engine, key)

    def _delivery(self, destinations: Collection[str]) -> Errand:
        index = self._index
        deliverer = Deliverer(index, self._config, results=self._results, audit=self._audit)

        def waiting() -> list[Consignment]:
            # Rows of a destination that left the configuration stay until it comes back.
            return [one for one in ledger.consignments(index) if one.destination in destinations]

        return Errand(
            name="deliver",
            waiting=waiting,
            claim=lambda _, consignment: ledger.claim(
                index, consignment, not_before_s=time.time() + UNFORESEEN_PAUSE_S
            ),
            make=lambda _, consignment: deliverer.attempt(consignment),
        )

    def _question(self, destinations: Collection[str]) -> Errand:
        index = self._index
        confirmer = Confirmer(index, self._config, results=self._results)
        return Errand(
            name="confirm",
            waiting=lambda: confirmations.questions(index, destinations),
            claim=confirmer.claim,
            make=confirmer.ask,
        )
