"""One file of the spool while it is written: in one piece to the disk directly, or in many."""

import contextlib
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
    """A new file: written whole, or in pieces and sealed; or discarded."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder = folder
        self._name = f"{name}.dcm"
        self._part = f"{name}.part"
        self._descriptor = _make_empty(self._name, folder)
        self._is_part = False

    @property
    def relative(self) -> str:
        """The name for the index."""
        return f"instances/{self._folder.day}/{self._name}"

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
            self.append(content[written:])
            self._finish()
        else:
            self._close()

    def append(self, piece: Buffer) -> None:
        """Write a piece after those before, not flushed; until it is sealed, the file is a part."""
        if not self._is_part:
            self._rename(self._name, self._part)
            self._is_part = True
            self._open_part(os.O_APPEND)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def seal(self, mark: bytes, position: int) -> None:
        """Write the mark that says that the file is whole, and flush it to survive power loss."""
        self._open_part(0)  # pwrite would append, too, where the file is open for appending
        os.pwrite(self._descriptor, mark, position)
        self._finish()

    def discard(self) -> None:
        """Leave nothing behind; may be repeated."""
        self._close()
        with contextlib.suppress(FileNotFoundError):
            name = self._part if self._is_part else self._name
            os.unlink(name, dir_fd=self._folder.descriptor)

    def _finish(self) -> None:
        os.fdatasync(self._descriptor)
        self._close()
        self._rename(self._part, self._name)
        self._is_part = False

    def _rename(self, before: str, after: str) -> None:
        folder = self._folder.descriptor
        os.rename(before, after, src_dir_fd=folder, dst_dir_fd=folder)

    def _open_part(self, flags: int) -> None:
        self._close()
        flags |= os.O_WRONLY | os.O_CLOEXEC
        self._descriptor = os.open(self._part, flags, dir_fd=self._folder.descriptor)

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
