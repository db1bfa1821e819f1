"""What was made of a study before, by an earlier revision: the results that new ones replace."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from node.dicom_write.kinds import REJECTION, kind_of
from node.identity import read_identity


@dataclass(frozen=True, kw_only=True, eq=False)
class EarlierResults:
    """What one earlier revision made."""

    name: str
    """For a person, as in ``revision 1``."""
    objects: tuple[Dataset, ...]
    """The identifying attributes of each object, without the notes that reject others."""

    @property
    def uids(self) -> frozenset[str]:
        """SOP Instance UIDs of the objects."""
        return _uids(self.objects)

    @property
    def reports(self) -> tuple[Dataset, ...]:
        """Those that a new report names as its predecessors."""
        return tuple(one for one in self.objects if kind_of(one) == "report")


@dataclass(frozen=True, kw_only=True, eq=False)
class Replacing:
    """What the results that are about to be made replace."""

    latest: EarlierResults | None = None
    salt: str = ""
    """Makes identifiers that no rejected object had."""

    @property
    def sentences(self) -> list[str]:
        """Say it in words."""
        if self.latest is None:
            return []
        told = f"These results replace those of {self.latest.name}"
        return [f"{told}, which were made before later images of this study came."]


Make = Callable[[Replacing], list[Dataset]]


def read_earlier(folder: Path) -> EarlierResults:
    """Read which objects lie in a folder that an earlier run wrote, named after its revision."""
    headers = [read_identity(path) for path in sorted(folder.glob("*.dcm"))]
    return EarlierResults(
        name=folder.name.replace("-", " "),
        objects=tuple(one for one in headers if kind_of(one) != REJECTION),
    )


def make_replacing(make: Make, earlier: Sequence[EarlierResults]) -> list[Dataset]:
    """Make results that replace earlier ones, and the latest ones again where nothing has changed.

    An object that was rejected stays rejected: a PACS may never show its identifier again. So
    where the same object comes back after it had been replaced, it gets a new one.

    Parameters
    ----------
    make
        Encodes the results; the same argument gives the same identifiers.
    earlier
        What was made before, the oldest first.
    """
    if earlier:
        again = _make(make, earlier[:-1])
        if _uids(again) == earlier[-1].uids:
            return again
    return _make(make, earlier)


def _make(make: Make, earlier: Sequence[EarlierResults]) -> list[Dataset]:
    if not earlier:
        return make(Replacing())
    latest = earlier[-1]
    rejected = frozenset[str]().union(*(one.uids for one in earlier)) - latest.uids
    made = make(Replacing(latest=latest))
    if rejected & _uids(made):
        return make(Replacing(latest=latest, salt=f"again after {latest.name}"))
    return made


def _uids(objects: Sequence[Dataset]) -> frozenset[str]:
    return frozenset(
        str(one.SOPInstanceUID)
        for one in objects
        if one.SOPClassUID != KeyObjectSelectionDocumentStorage
    )
