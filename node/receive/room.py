"""Whether the spool is there and may take more, looked up a few times a second, not per image."""

import time
from collections.abc import Callable

from node.errors import SpoolError
from node.spool import Spool

LOOK_AGAIN_S = 0.02
"""So long a look is good for. What is taken meanwhile is subtracted; of what others write, little
fits into the time, and nothing that was flushed is lost by it."""


class Room:
    """The room of a spool above its watermark, for any number of threads."""

    def __init__(
        self,
        spool: Spool,
        *,
        minimum_free_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._minimum_free_bytes = minimum_free_bytes
        self._clock = clock
        self._left_bytes = 0
        self._good_until_s = float("-inf")

    def look(self) -> None:
        """Look now.

        Raises
        ------
        SpoolError
            The spool is not there, or may not take more.
        """
        self._left_bytes = self._spool.free_bytes() - self._minimum_free_bytes
        self._good_until_s = self._clock() + LOOK_AGAIN_S
        if self._left_bytes < 0:
            raise SpoolError("the disk is nearly full")

    def take(self, size_bytes: int) -> None:
        """Count so many bytes as taken; raises as `look`."""
        if self._clock() >= self._good_until_s or self._left_bytes < size_bytes:
            self.look()
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise SpoolError("the disk is nearly full")
