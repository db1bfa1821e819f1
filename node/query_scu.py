"""C-FIND, C-MOVE and C-GET as a user (PS3.4 annex C, Study Root)."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.association import Association

from node.errors import TransientDeliveryError

FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
GET = UID("1.2.840.10008.5.1.4.1.2.2.3")
PENDING = (0xFF00, 0xFF01)


def find(association: Association, level: str, keys: Mapping[str, str]) -> Iterator[Dataset]:
    """Ask what a peer has; yields one identifier for each match.

    Raises
    ------
    TransientDeliveryError
        The peer fails, or does not answer to the end.
    """
    for status, identifier in association.send_c_find(identifier_of(level, keys), FIND):
        answer = status.get("Status")
        if answer in PENDING and identifier is not None:
            yield identifier
        elif answer != 0x0000:
            raise TransientDeliveryError(f"C-FIND ended with {_said(answer)}")


def has_instance(association: Association, study: str, series: str, instance: str) -> bool:
    """Whether a peer says that it has one instance."""
    keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": instance}
    # Every answer must be heard before the association can take another question.
    matches = {str(match.get("SOPInstanceUID")) for match in find(association, "IMAGE", keys)}
    return instance in matches


def identifier_of(level: str, keys: Mapping[str, str]) -> Dataset:
    """Build a query from keywords; an empty value asks for an attribute."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def transfer(
    answers: Iterable[tuple[Dataset, Dataset | None]], told: Callable[[int], None]
) -> tuple[int, int]:
    """Follow the answers to a C-MOVE or C-GET to their end; returns (taken, failed).

    Parameters
    ----------
    told
        Called with the number of images taken so far, each time the peer says it.

    Raises
    ------
    TransientDeliveryError
        The transfer ended with a failure as a whole, or without an answer.
    """
    taken = failed = 0
    for status, _ in answers:
        answer = status.get("Status")
        taken = int(status.get("NumberOfCompletedSuboperations") or taken)
        failed = int(status.get("NumberOfFailedSuboperations") or failed)
        if answer in PENDING:
            told(taken)
        elif answer not in (0x0000, 0xB000):  # 0xB000: some of them failed
            raise TransientDeliveryError(f"the transfer ended with {_said(answer)}")
    return taken, failed


def _said(status: int | None) -> str:
    return "no answer" if status is None else f"status 0x{status:04X}"
