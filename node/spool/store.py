"""The folders of the spool: names made in advance, moves, and what lies there."""

import contextlib
import errno
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from node.config import Storage
from node.disk import flush, make_folder
from node.errors import SpoolError
from node.spool.file import Folder, SpoolFile

_PREPARED = 64
_APART = 16  # inodes of 256 bytes in a block of 4 kB
_NAMED = "instances/*/*.dcm"


class Spool:
    """The folders below one root, all on one filesystem.

    Folders are held open, so that an unmount cannot send files to the disk below.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            make_folder(root / "instances")
            for folder in (root.parent.parent, root.parent, root):
                flush(folder)  # whoever made them may not have
            self._root = _open_folder(root)
            self._identity = _identity(os.fstat(self._root))
        except OSError as error:
            raise SpoolError(f"the spool cannot be opened: {error.strerror}") from error
        self._days: dict[str, Folder] = {}
        self._prepared: list[SpoolFile] = []
        self._preparing = threading.Lock()
        self._few_are_left = threading.Event()
        self._closed = False

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
        threading.Thread(target=self._prepare_ahead, daemon=True).start()

    def close(self) -> None:
        """Let go of the folders, and of the files that wait for an instance."""
        with self._preparing:  # not under the hands of who makes files ahead
            self._closed = True
            self._few_are_left.set()
            while self._prepared:
                self._prepared.pop().discard()
            for descriptor in (self._root, *(folder.descriptor for folder in self._days.values())):
                os.close(descriptor)
            self._days.clear()

    def path(self, relative: str) -> Path:
        """Return where a file of the index lies."""
        return self.root / relative

    def begin(self) -> SpoolFile:
        """Begin a new file, whose name is durable; raises `OSError` where the disk refuses."""
        while True:
            try:
                file = self._prepared.pop(0)
            except IndexError:
                self._prepare()
                continue
            if len(self._prepared) < _PREPARED // 2 and not self._few_are_left.is_set():
                self._few_are_left.set()
            return file

    def _prepare_ahead(self) -> None:
        while not self._closed:
            self._few_are_left.wait()
            self._few_are_left.clear()
            # Whoever needs a name will meet the same error, and say it.
            with contextlib.suppress(OSError):
                self._prepare()

    def _prepare(self) -> None:
        """Make empty files in advance, and one flush for all their names."""
        with self._preparing:
            if self._closed:
                raise OSError(errno.EBADF, "the spool is closed")
            if len(self._prepared) >= _PREPARED:
                return
            folder = self._today()
            # In the order of time, so that a row's place in the index is near the one before.
            chance = os.urandom(8 * _PREPARED).hex()
            names = [
                f"{time.time_ns():016x}{chance[16 * number : 16 * number + 16]}"
                for number in range(_PREPARED)
            ]
            files: list[SpoolFile] = []
            try:
                for name in names:
                    files.append(SpoolFile(folder, name))  # noqa: PERF401  for the case of an error
                os.fsync(folder.descriptor)
            except OSError:
                for file in files:
                    file.discard()
                raise
            # Neighbours share a block of inodes, for which flushes at the same time would wait.
            self._prepared += [file for first in range(_APART) for file in files[first::_APART]]

    def place_part(self, part: Path) -> str:
        """Give a whole file that the last end left its place."""
        return part.rename(part.with_suffix(".dcm")).relative_to(self.root).as_posix()

    def _today(self) -> Folder:
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        if day not in self._days:
            path = self.root / "instances" / day
            make_folder(path)
            self._days[day] = Folder(day, _open_folder(path))
        return self._days[day]

    def drop(self, relative: str) -> None:
        """Remove a file that no row names."""
        self.path(relative).unlink(missing_ok=True)

    def remove(self, files: Collection[str]) -> None:
        """Remove files durably: no power cut brings one back. May be repeated."""
        for relative in files:
            self.path(relative).unlink(missing_ok=True)
        for folder in {self.path(relative).parent for relative in files}:
            if folder.is_dir():
                flush(folder)

    def free_bytes(self) -> int:
        """Return how much an ordinary user may still write.

        Raises
        ------
        SpoolError
            The spool is not there, or another folder lies in its place (unmounted).
        """
        try:
            here = _identity(os.stat(self.root))
            status = os.fstatvfs(self._root)
        except OSError as error:
            raise SpoolError(f"the spool is not there: {error.strerror}") from error
        if here != self._identity:
            raise SpoolError("the spool is not there: another folder lies in its place")
        return status.f_bavail * status.f_frsize

    def unfinished(self) -> Iterator[Path]:
        """Give the files that hold no whole instance: parts, and the empty ones."""
        yield from self.root.glob("instances/*/*.part")
        yield from (file for file in self.root.glob(_NAMED) if not file.stat().st_size)

    def placed(self) -> Iterator[str]:
        """Give the names of all files that are in their place."""
        for file in self.root.glob(_NAMED):
            if file.stat().st_size:
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


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
