"""Where the work on a study lies: names are ours, never taken from a tag."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from node.config import Storage


class Folders:
    """Folders below the storage directory; moves are atomic."""

    def __init__(self, storage: Storage) -> None:
        self.results = storage.directory / "results"
        self._work = storage.directory / "work"

    def work(self, study_uid: str, revision: int, attempt: int) -> Path:
        """Give the scratch folder of one attempt, made if missing."""
        folder = self._work / _name(study_uid, revision, attempt)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def keep_results(self, made: Path, study_uid: str, revision: int, attempt: int) -> str:
        """Move finished results to where they stay; returns the folder relative to `results`.

        Files and folders are flushed first: the ledger's promise must not outlive them.
        """
        name = _name(study_uid, revision, attempt)
        kept = self.results / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        if made.is_dir():
            for path in [*made.iterdir(), made]:
                _flush(path)
            shutil.rmtree(kept, ignore_errors=True)  # of a run that a crash made us repeat
            made.rename(kept)
            _flush(kept.parent)
        return name

    def link_results(self, files: Iterable[str], folder: Path) -> None:
        """Fill a folder with hard links to results; may be repeated."""
        folder.mkdir(exist_ok=True)
        for file in files:
            link = folder / Path(file).name
            link.unlink(missing_ok=True)
            link.hardlink_to(self.results / file)

    def drop_work(self, study_uid: str, revision: int, attempt: int) -> None:
        """Remove the scratch folder of one attempt."""
        shutil.rmtree(self._work / _name(study_uid, revision, attempt), ignore_errors=True)


def _name(study_uid: str, revision: int, attempt: int) -> str:
    return f"{hashlib.sha256(study_uid.encode()).hexdigest()[:16]}-r{revision}-a{attempt}"


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
