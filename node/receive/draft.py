"""The bytes of one file while they come, in memory from which they go to the disk directly.

An association has one and uses it again: fresh memory for each instance would cost page faults.
"""

import mmap

from node.spool import BLOCK_BYTES, Buffer

_FIRST_BYTES = 2**18


class Draft:
    """A data set that grows, with room for a file header before it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _FIRST_BYTES)
        self._end = BLOCK_BYTES

    def __len__(self) -> int:
        return self._end - BLOCK_BYTES

    @property
    def data(self) -> memoryview:
        """What has come, until the next call of any method."""
        return memoryview(self._memory)[BLOCK_BYTES : self._end]

    def add(self, piece: Buffer) -> None:
        """Append."""
        end = self._end + len(piece)
        if end > len(self._memory):
            larger = mmap.mmap(-1, 2 * end)
            larger[: self._end] = self._memory[: self._end]
            self._memory = larger
        self._memory[self._end : end] = piece
        self._end = end

    def clear(self) -> None:
        """Begin again."""
        self._end = BLOCK_BYTES

    def below(self, header: bytes) -> memoryview:
        """Return header and data as one, beginning on a page; nothing may be added any more."""
        start, count = len(header), len(self)
        self._memory.move(start, BLOCK_BYTES, count)
        self._memory[:start] = header
        return memoryview(self._memory)[: start + count]
