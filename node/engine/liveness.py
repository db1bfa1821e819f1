"""Who is alive: a lock that the kernel lets go when its process dies, however it dies.

The open-source engine never notices a dead executor by itself; whoever gets a dead one's lock may
take over its work.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Liveness:
    """One process's lock file in a folder that all workers of a node share."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.executor_id = f"{os.uname().nodename}-{uuid.uuid4().hex[:12]}"
        # Unique for each start: a successor must never be taken for its dead predecessor.
        self._file = (folder / self.executor_id).open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    @contextmanager
    def seized(self, executor_id: str) -> Iterator[bool]:
        """Hold the lock of another executor if it is dead; yields whether it is.

        Two survivors cannot both hold it, so only one of them recovers the dead one's work.
        """
        if executor_id == self.executor_id or "/" in executor_id:
            yield False
            return
        path = self._folder / executor_id
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove the lock files of the dead, which would otherwise pile up with every restart.

        Only call it while no work of theirs is left to recover.
        """
        for path in self._folder.iterdir():
            with self.seized(path.name):
                pass

    def close(self) -> None:
        """Let go; the same as dying, for whoever watches."""
        (self._folder / self.executor_id).unlink(missing_ok=True)
        self._file.close()
