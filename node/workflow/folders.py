"""Where the work on a study lies: names are ours, never taken from a tag."""

import hashlib
import json
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from node.config import Storage
from node.disk import flush, make_folder
from node.identity import shrink_to_identity

_OUTCOME = "outcome.json"


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

    def keep_results(
        self, made: Path, study_uid: str, revision: int, attempt: int, *, said: Mapping[str, object]
    ) -> dict[str, object]:
        """Move finished results to where they stay; returns what was said of them and the folder.

        Files and folders are flushed first: the ledger's promise must not outlive them. What was
        said lies beside them, for who enters them later.
        """
        name = _name(study_uid, revision, attempt)
        kept = self.results / name
        make_folder(kept.parent)
        outcome = {**said, "folder": name}
        if made.is_dir():
            (made / _OUTCOME).write_text(json.dumps(outcome))
            for path in [*made.iterdir(), made]:
                flush(path)
            shutil.rmtree(kept, ignore_errors=True)  # of a run that a crash made us repeat
            made.rename(kept)
            flush(kept.parent)
        return outcome

    def outcome(self, study_uid: str, revision: int, attempt: int) -> dict[str, object] | None:
        """Return what was said of kept results, or None where they are gone."""
        path = self.results / _name(study_uid, revision, attempt) / _OUTCOME
        try:
            return dict(json.loads(path.read_text()))
        except (OSError, ValueError):
            return None

    def link_results(self, files: Iterable[str], folder: Path) -> None:
        """Fill a folder with hard links to results; may be repeated."""
        folder.mkdir(exist_ok=True)
        for file in files:
            link = folder / Path(file).name
            link.unlink(missing_ok=True)
            link.hardlink_to(self.results / file)

    def keep_only_identities(self, study_uid: str, revision: int, files: Collection[str]) -> None:
        """Delete the results of a study up to a revision, but for what names each object.

        May be repeated. What no file of `files` is goes altogether.
        """
        for folder in self.results.glob(f"{_name_of(study_uid)}-r*-a*"):
            if int(folder.name.split("-r")[1].split("-a")[0]) > revision:
                continue
            for path in folder.iterdir():
                if f"{folder.name}/{path.name}" in files:
                    shrink_to_identity(path)
                else:
                    path.unlink()
            if not any(folder.iterdir()):
                folder.rmdir()

    def drop_work(self, study_uid: str, revision: int, attempt: int) -> None:
        """Remove the scratch folder of one attempt."""
        shutil.rmtree(self._work / _name(study_uid, revision, attempt), ignore_errors=True)


def _name(study_uid: str, revision: int, attempt: int) -> str:
    return f"{_name_of(study_uid)}-r{revision}-a{attempt}"


def _name_of(study_uid: str) -> str:
    return hashlib.sha256(study_uid.encode()).hexdigest()[:16]
