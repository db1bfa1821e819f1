"""The spool: folders, flushes and atomic moves. Every name is ours, none comes from a tag.

A file is written to `incoming/`, flushed, and only then moved to its place, whose folder is
flushed too: a reader never sees a torn file, and what `keep` has returned survives power loss.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from node.config import Storage
from node.errors import SpoolError

Buffer = bytes | bytearray | memoryview

_MOST_PIECES = 1000  # writev takes at most IOV_MAX buffers, 1024 on Linux


@dataclass(frozen=True)
class Staged:
    """A file whose bytes are safe, not yet in its place."""

    path: Path
    size_bytes: int


class Spool:
    """The folders below one root, all on one filesystem."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._known_folders: set[Path] = set()

    @classmethod
    def open(cls, storage: Storage) -> Self:
        """Open the spool of a node, making its folders where they are missing."""
        spool = cls(storage.directory / "spool")
        try:
            _make_folder(spool.root)
            _make_folder(spool._incoming)
        except OSError as error:
            raise SpoolError(f"the spool cannot be opened: {error.strerror}") from error
        return spool

    def path(self, relative: str) -> Path:
        """Return where a file of the index lies."""
        return self.root / relative

    def stage(self, pieces: Sequence[Buffer]) -> Staged:
        """Write a new file and flush its bytes; it is not in its place yet.

        Raises
        ------
        SpoolError
            The disk is full, or the spool is not there. Nothing is left behind.
        """
        path = self._incoming / f"{os.urandom(16).hex()}.part"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            try:
                size_bytes = _write_all(descriptor, pieces)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise SpoolError(f"the spool cannot take a file: {error.strerror}") from error
        return Staged(path, size_bytes)

    def place(self, staged: Staged, *, day: datetime) -> str:
        """Move a staged file to its place and flush the folder; return the name for the index."""
        folder = self.root / "instances" / f"{day:%Y-%m-%d}"
        target = folder / f"{staged.path.stem}.dcm"
        try:
            if folder not in self._known_folders:
                _make_folder(folder)
                self._known_folders.add(folder)
            staged.path.rename(target)
            _flush_folder(folder)
        except OSError as error:
            self._known_folders.discard(folder)
            raise SpoolError(f"the spool cannot move a file: {error.strerror}") from error
        return target.relative_to(self.root).as_posix()

    def keep(self, pieces: Sequence[Buffer]) -> tuple[str, int]:
        """Write a file durably; return its name for the index and its size in bytes."""
        staged = self.stage(pieces)
        return self.place(staged, day=datetime.now(UTC)), staged.size_bytes

    def drop(self, relative: str) -> None:
        """Remove a file that no row names."""
        self.path(relative).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Return how much an ordinary user may still write.

        Raises
        ------
        SpoolError
            The spool is not there.
        """
        try:
            status = os.statvfs(self.root)
        except OSError as error:
            raise SpoolError(f"the spool is not there: {error.strerror}") from error
        return status.f_bavail * status.f_frsize

    def link_study(self, files: Iterable[str], folder: Path) -> None:
        """Fill a folder with the files in the given order, as hard links named by position.

        Copies where the folder lies on another filesystem. May be repeated.
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


def _write_all(descriptor: int, pieces: Sequence[Buffer]) -> int:
    """Write all pieces without joining them first; return the number of bytes."""
    rest = [memoryview(piece) for piece in pieces if len(piece)]
    total = 0
    while rest:
        written = os.writev(descriptor, rest[:_MOST_PIECES])
        total += written
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if written:
            rest[0] = rest[0][written:]
    return total


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each entry flushed."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        _make_folder(folder.parent)
    folder.mkdir(mode=0o750, exist_ok=True)
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
