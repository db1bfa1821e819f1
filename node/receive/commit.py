"""Many answers after one transaction: whoever's turn it is commits for all who wait.

Each association flushes its own file, at the same time as the others; the transaction of the index
is shared. With one association nothing waits.

An instance that the index refuses for its own sake fails nobody else: where the common transaction
fails by a value, each is recorded by itself. Its file goes, because no row will ever name it.

What the index did not take for any other cause (no room, a lock, a server that is away) is recorded
before anything else is taken: so an index that fails for days costs one file an association, and
not one a try.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence

import sqlalchemy as sa

from node.errors import NodeError
from node.index.arrivals import Arrival, Outcome, is_brought_by_a_value
from node.index.recorder import Recorder
from node.spool import Spool

LOGGER = logging.getLogger(__name__)


class RefusedValueError(NodeError):
    """The database does not take a value of an instance, however often it is sent."""


class _Wish:
    """One whole file that wants to be recorded."""

    __slots__ = ("arrival", "error", "outcome")

    def __init__(self, arrival: Arrival) -> None:
        self.arrival = arrival
        self.outcome: Outcome | None = None
        self.error: Exception | None = None


class Committer:
    """Records whole files, for any number of threads."""

    def __init__(self, spool: Spool, index: sa.Engine) -> None:
        self._spool = spool
        self._recorder = Recorder(index)
        self._turn = threading.Lock()
        self._waiting: deque[_Wish] = deque()  # whose ends any thread may use without a lock
        self._left: list[_Wish] = []  # not recorded yet

    def check(self) -> None:
        """Record what the index did not take; raises where it still does not."""
        if self._left:
            with self._turn:
                if self._left:  # and no other thread was faster
                    left, self._left = self._left, []
                    self._record(left)
                    if self._left and self._left[0].error is not None:
                        raise self._left[0].error
                    LOGGER.warning("the index takes instances again")

    def commit(self, arrival: Arrival) -> Outcome:
        """Record; when this returns, other processes see the instance.

        Where this raises an error of the database, the file stays in the spool: the transaction
        may have reached the disk all the same.

        Raises
        ------
        RefusedValueError, SQLAlchemyError
        """
        wish = _Wish(arrival)
        self._waiting.append(wish)
        with self._turn:
            if wish.outcome is None and wish.error is None:
                self._record([self._waiting.popleft() for _ in range(len(self._waiting))])
        if wish.error is not None:
            raise wish.error
        if wish.outcome is None:
            raise RuntimeError("a wish was forgotten")
        return wish.outcome

    def close(self) -> None:
        """Let go of the index."""
        with self._turn:
            self._recorder.close()

    def _record(self, wishes: Sequence[_Wish]) -> None:
        try:
            outcomes = self._recorder.record([wish.arrival for wish in wishes])
        except Exception as error:  # noqa: BLE001  handed to every thread that waits
            self._bear(error, wishes)
            return
        for wish, outcome in zip(wishes, outcomes, strict=True):
            wish.outcome = outcome
            if not outcome.needs_file:
                self._drop(wish)

    def _bear(self, error: Exception, wishes: Sequence[_Wish]) -> None:
        """Find out whom an error is about; nothing of the wishes is recorded."""
        if not is_brought_by_a_value(error):
            for wish in wishes:
                wish.error = error
            self._left += wishes
        elif len(wishes) > 1:
            for wish in wishes:
                self._record([wish])
        else:
            (guilty,) = wishes
            LOGGER.error("the index refuses a value (%s)", type(error).__name__)
            guilty.error = RefusedValueError("the index does not take its values")
            self._drop(guilty)

    def _drop(self, wish: _Wish) -> None:
        try:
            self._spool.drop(wish.arrival.file)
        except OSError as error:  # the next start removes it
            LOGGER.error("a file that is not needed stays: %s", error.strerror)  # noqa: TRY400  no more to say
