"""Many answers after one transaction: whoever's turn it is commits for all who wait.

Each association flushes its own file, at the same time as the others; moving to the place and the
transaction of the index are shared. With one association nothing waits.

What is placed and the index did not take, for want of room or a lock, is recorded before anything
else is taken: so an index that fails for days costs one file an association, and not one a try.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence

import sqlalchemy as sa

from node.errors import SpoolError
from node.index.arrivals import Arrival, Outcome
from node.index.recorder import Recorder
from node.spool import Spool, SpoolFile

LOGGER = logging.getLogger(__name__)

_PASSING = (sa.exc.OperationalError, sa.exc.InterfaceError, SpoolError)
"""What ends by itself: no room, a lock, a server that is away. Not what one instance brings."""


class _Wish:
    """One sealed file that wants to be placed and recorded."""

    __slots__ = ("arrival", "error", "file", "outcome")

    def __init__(self, file: SpoolFile, arrival: Arrival) -> None:
        self.file = file
        self.arrival = arrival
        self.outcome: Outcome | None = None
        self.error: Exception | None = None


class Committer:
    """Places and records sealed files, for any number of threads."""

    def __init__(self, spool: Spool, index: sa.Engine) -> None:
        self._spool = spool
        self._recorder = Recorder(index)
        self._turn = threading.Lock()
        self._waiting: deque[_Wish] = deque()  # whose ends any thread may use without a lock
        self._left: list[_Wish] = []  # placed and not recorded

    def check(self) -> None:
        """Record what the index did not take; raises where it still does not."""
        if self._left:
            with self._turn:
                if self._left:  # and no other thread was faster
                    self._record(self._left)
                    self._left = []
                    LOGGER.warning("the index takes instances again")

    def commit(self, file: SpoolFile, arrival: Arrival) -> Outcome:
        """Place and record; when this returns, other processes see the instance.

        Where this raises, the file stays in the spool: the
        transaction may have reached the disk all the same.
        """
        wish = _Wish(file, arrival)
        self._waiting.append(wish)
        with self._turn:
            if wish.outcome is None and wish.error is None:
                self._fulfil([self._waiting.popleft() for _ in range(len(self._waiting))])
        if wish.error is not None:
            raise wish.error
        if wish.outcome is None:
            raise RuntimeError("a wish was forgotten")
        return wish.outcome

    def close(self) -> None:
        """Let go of the index."""
        with self._turn:
            self._recorder.close()

    def _fulfil(self, wishes: Sequence[_Wish]) -> None:
        try:
            for wish in wishes:
                self._spool.place(wish.file)
            self._record(wishes)
        except Exception as error:  # noqa: BLE001  handed to every thread that waits
            for wish in wishes:
                wish.error = error
            if isinstance(error, _PASSING):
                self._left += [wish for wish in wishes if wish.file.placed]

    def _record(self, wishes: Sequence[_Wish]) -> None:
        outcomes = self._recorder.record([wish.arrival for wish in wishes])
        for wish, outcome in zip(wishes, outcomes, strict=True):
            if not outcome.needs_file:
                self._spool.drop(wish.arrival.file)
            wish.outcome = outcome
