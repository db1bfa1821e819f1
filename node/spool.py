"""The spool: folders, flushes and atomic moves. Every name is ours, none comes from a tag.

A file is written to `incoming/`, flushed, and only then moved to its place, whose folder is
flushed too: a reader never sees a torn file, and what was placed survives power loss.

```
spool/
  incoming/<32 hex digits>.part      on its way, never acknowledged
  instances/<day>/<the same>.dcm     in its place, named by a row of the index
```
"""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from node.config import Storage
from node.errors import SpoolError

Buffer = bytes | bytearray | memoryview

_MOST_PIECES = 1000  # writev takes at most IOV_MAX buffers, 1024 on Linux


class SpoolFile:
    """A new file on its way: written in pieces, sealed, then placed or discarded."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self.name = os.urandom(16).hex()
        self.size_bytes = 0
        self.placed = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self.part, flags, 0o640, dir_fd=folder)

    @property
    def part(self) -> str:
        """The name in `incoming/`."""
        return f"{self.name}.part"

    def write(self, pieces: Sequence[Buffer]) -> None:
        """Append pieces, without joining them first."""
        rest = [memoryview(piece) for piece in pieces if len(piece)]
        while rest:
            written = os.writev(self._descriptor, rest[:_MOST_PIECES])
            self.size_bytes += written
            while rest and written >= len(rest[0]):
                written -= len(rest.pop(0))
            if written:
                rest[0] = rest[0][written:]

    def seal(self) -> None:
        """Flush the bytes: from now on they survive power loss."""
        try:
            os.fsync(self._descriptor)
        finally:
            self._close()

    def discard(self) -> None:
        """Leave nothing behind of what is not in its place; may be repeated."""
        self._close()
        if self.placed:
            return
        try:
            os.unlink(self.part, dir_fd=self._folder)
        except FileNotFoundError:
            return

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Spool:
    """The folders below one root, all on one filesystem.

    Folders are held open, so that an unmount cannot send files to the disk below.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            _make_folder(root / "incoming")
            _make_folder(root / "instances")
            for folder in (root.parent.parent, root.parent, root):
                _flush_folder(folder)  # whoever made them may not have
            self._root = _open_folder(root)
            self._incoming = _open_folder(root / "incoming")
        except OSError as error:
            raise SpoolError(f"the spool cannot be opened: {error.strerror}") from error
        self._days: dict[str, int] = {}

    @classmethod
    def open(cls, storage: Storage) -> Self:
        """Open the spool of a node, making its folders where they are missing."""
        return cls(storage.directory / "spool")

    def claim(self) -> None:
        """Take the spool for the only receiver of this machine, until the process ends.

        Raises
        ------
        SpoolError
            Another receiver has it.
        """
        try:
            fcntl.flock(self._root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SpoolError("another receiver uses this spool") from error

    def close(self) -> None:
        """Let go of the folders."""
        for descriptor in (self._root, self._incoming, *self._days.values()):
            os.close(descriptor)
        self._days.clear()

    def path(self, relative: str) -> Path:
        """Return where a file of the index lies."""
        return self.root / relative

    def begin(self) -> SpoolFile:
        """Begin a new file; raises `OSError` where the disk refuses."""
        return SpoolFile(self._incoming)

    def place(self, files: Sequence[SpoolFile]) -> list[str]:
        """Move sealed files to their place and flush the folder once.

        Returns their names for the index.

        Raises
        ------
        SpoolError
            Any of them could not be moved; some may have been.
        """
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        try:
            folder = self._day(day)
            for file in files:
                os.rename(
                    file.part,
                    f"{file.name}.dcm",
                    src_dir_fd=self._incoming,
                    dst_dir_fd=folder,
                )
                file.placed = True
            os.fsync(folder)
        except OSError as error:
            raise SpoolError(f"the spool cannot move a file: {error.strerror}") from error
        return [f"instances/{day}/{file.name}.dcm" for file in files]

    def _day(self, day: str) -> int:
        folder = self._days.get(day)
        if folder is None:
            _make_folder(self.root / "instances" / day)
            folder = self._days[day] = _open_folder(self.root / "instances" / day)
        return folder

    def drop(self, relative: str) -> None:
        """Remove a file that no row names."""
        self.path(relative).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Return how much an ordinary user may still write.

        Raises
        ------
        SpoolError
            The spool is not there, or another folder lies in its place (unmounted).
        """
        try:
            here, held = os.stat(self.root), os.fstat(self._root)
            status = os.fstatvfs(self._incoming)
        except OSError as error:
            raise SpoolError(f"the spool is not there: {error.strerror}") from error
        if (here.st_dev, here.st_ino) != (held.st_dev, held.st_ino):
            raise SpoolError("the spool is not there: another folder lies in its place")
        return status.f_bavail * status.f_frsize

    def parts(self) -> Iterator[Path]:
        """Give the files in `incoming/`."""
        yield from self.root.glob("incoming/*.part")

    def placed(self) -> Iterator[str]:
        """Give the names of all files that are in their place."""
        for day in (self.root / "instances").iterdir():
            for file in day.iterdir():
                yield file.relative_to(self.root).as_posix()

    def link_study(self, files: Iterable[str], folder: Path) -> None:
        """Fill a folder with the files in the given order, as hard links named by position.

        Copies where the folder lies on another filesystem. May be repeated.

        Raises
        ------
        SpoolError
            A file of the index is missing.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for position, relative in enumerate(files):
            target = folder / f"{position:06d}.dcm"
            target.unlink(missing_ok=True)
            try:
                target.hardlink_to(self.path(relative))
            except FileNotFoundError as error:
                raise SpoolError("a file of the index is missing in the spool") from error
            except OSError:
                shutil.copyfile(self.path(relative), target)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each entry flushed."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        _make_folder(folder.parent)
    folder.mkdir(mode=0o750, exist_ok=True)
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = _open_folder(folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
