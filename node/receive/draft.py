"""The bytes of one file while they come, in memory from which they go to the disk directly.

An association has one and uses it again: fresh memory for each instance would cost page faults.
"""

import mmap

from node.spool import BLOCK_BYTES, Buffer

_FIRST_BYTES = 2**18
_ROOM_BYTES = 2 * BLOCK_BYTES  # for any header of ours, and zeros to a full block


class Draft:
    """A data set that grows, with room for a file header before it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _FIRST_BYTES)
        self._start = self._end = _ROOM_BYTES

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def data(self) -> memoryview:
        """What has come, until the next call of any method."""
        return memoryview(self._memory)[self._start : self._end]

    def add(self, piece: Buffer) -> None:
        """Append."""
        if not self:
            # Mostly it is all there is: so placed that its header fits before it, nothing moves.
            self._start = self._end = _ROOM_BYTES - len(piece) % BLOCK_BYTES
        end = self._end + len(piece)
        if end > len(self._memory):
            larger = mmap.mmap(-1, 2 * end)
            larger[: self._end] = self._memory[: self._end]
            self._memory = larger
        self._memory[self._end : end] = piece
        self._end = end

    def clear(self) -> None:
        """Begin again."""
        self._end = self._start

    def below(self, header: bytes) -> memoryview:
        """Return header and data as one, beginning on a page; nothing may be added any more."""
        begin = self._start - len(header)
        if begin % BLOCK_BYTES or begin < 0:
            begin = 0
            self._memory.move(len(header), self._start, len(self))
        self._memory[begin : begin + len(header)] = header
        return memoryview(self._memory)[begin : begin + len(header) + len(self)]
