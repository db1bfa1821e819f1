"""The worker: analyses what is complete and delivers what is made, until it is told to stop."""

import logging
import os
import threading
import time
from collections.abc import Sequence

from node.config import Config
from node.deliver.attempt import Deliverer
from node.deliver.rounds import drive_deliveries, handle, lane
from node.engine import Engine, Lane
from node.index.tables import open_index
from node.workflow import sweep
from node.workflow.child import COMMAND
from node.workflow.folders import Folders
from node.workflow.study import LANE, StudyWork

log = logging.getLogger(__name__)

ASSOCIATIONS_A_DESTINATION = 2
SWEEP_S = 1.0
FORGET_AFTER_S = 30 * 86400.0
FORGET_EVERY_S = 3600.0


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
        study = StudyWork(self._index, config, command=command)
        deliverer = Deliverer(self._index, config, results=Folders(config.storage).results)
        self._destinations = [destination.name for destination in config.delivery.destinations]
        self._engine = Engine(
            config.storage.database_url or f"sqlite:///{config.storage.directory}/engine.sqlite",
            locks=config.storage.directory / "workers",
            lanes=[
                Lane(name=LANE, slots=1, handler=lambda key: study.handle(self._engine, key)),
                *(
                    Lane(
                        name=lane(name),
                        slots=ASSOCIATIONS_A_DESTINATION,
                        handler=lambda key: handle(self._engine, self._index, deliverer, key),
                    )
                    for name in self._destinations
                ),
            ],
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
        forgotten_s = 0.0
        while not stop.is_set():
            try:
                self._sweep()
                if time.monotonic() - forgotten_s > FORGET_EVERY_S:
                    forgotten_s = time.monotonic()
                    self._engine.forget(older_than_s=FORGET_AFTER_S)
            except Exception:
                log.exception("a sweep failed and is repeated")
            stop.wait(SWEEP_S)
        log.info("the worker stops; what is under way is taken up again at the next start")

    def _sweep(self) -> None:
        now_s = time.time()
        sweep.freeze_complete_studies(self._index, self._config.completion, now_s)
        live = self._engine.live()
        sweep.drive_jobs(self._index, self._engine, live, now_s)
        drive_deliveries(
            self._index, self._engine, live, destinations=self._destinations, now_s=now_s
        )


def leave() -> None:
    """End the process without unwinding the threads.

    A step that is unwound would be recorded as failed; one that ends with its process is
    repeated. The analysis ends by itself when its parent is gone.
    """
    logging.shutdown()
    os._exit(0)
