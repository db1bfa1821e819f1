"""One file of the spool while it is written: in one piece to the disk directly, or in many."""

import errno
import os
from typing import NamedTuple

Buffer = bytes | bytearray | memoryview

BLOCK_BYTES = 4096
"""Of which a file may be a multiple, to go to any disk directly."""


class Folder(NamedTuple):
    """The folder of one day, held open."""

    day: str
    descriptor: int


class SpoolFile:
    """A new file on its way: written whole, or in pieces and sealed; then placed or discarded."""

    def __init__(self, folder: Folder, name: str) -> None:
        self.folder = folder
        self.name = name
        self.placed = False
        self._appends = False
        self._descriptor = _make_empty(f"{name}.part", folder)

    @property
    def part(self) -> str:
        """The name until it is placed."""
        return f"{self.name}.part"

    @property
    def relative(self) -> str:
        """The name for the index, once it is placed."""
        return f"instances/{self.folder.day}/{self.name}.dcm"

    def write_whole(self, content: memoryview) -> None:
        """Write all of it and flush it to survive power loss.

        A content that begins on a page of memory and fills whole blocks goes to the disk in one
        call and without a copy in the page cache.
        """
        try:
            written = os.pwrite(self._descriptor, content, 0)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            written = 0
        if written < len(content):  # not directly, or not all of it
            self._open(0)
            _write_all(self._descriptor, content[written:], written)
            os.fdatasync(self._descriptor)
        self._close()

    def append(self, piece: Buffer) -> None:
        """Write a piece after those before, not flushed."""
        if not self._appends:
            self._open(os.O_APPEND)
            self._appends = True
        _write_all(self._descriptor, memoryview(piece))

    def seal(self, mark: bytes, position: int) -> None:
        """Write the mark that says that the file is whole, and flush it to survive power loss."""
        self._open(0)  # pwrite would append, too, where the file is open for appending
        os.pwrite(self._descriptor, mark, position)
        os.fdatasync(self._descriptor)
        self._close()

    def discard(self) -> None:
        """Leave nothing behind of what is not in its place; may be repeated."""
        if self.placed:
            return
        self._close()
        try:
            os.unlink(self.part, dir_fd=self.folder.descriptor)
        except FileNotFoundError:
            return

    def _open(self, flags: int) -> None:
        self._close()
        flags |= os.O_WRONLY | os.O_CLOEXEC
        self._descriptor = os.open(self.part, flags, dir_fd=self.folder.descriptor)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _make_empty(name: str, folder: Folder) -> int:
    """Make a file and open it for one write that goes directly to the disk, where that is there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_DSYNC
    try:
        return os.open(name, flags | os.O_DIRECT, 0o640, dir_fd=folder.descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # The file is there all the same (open(2), NOTES).
        return os.open(name, flags & ~os.O_EXCL, 0o640, dir_fd=folder.descriptor)


def _write_all(descriptor: int, content: memoryview, position: int | None = None) -> None:
    while content:
        if position is None:
            written = os.write(descriptor, content)
        else:
            written = os.pwrite(descriptor, content, position)
            position += written
        content = content[written:]
