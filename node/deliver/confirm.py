"""One question to one destination: whether it has what was sent to it."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import build_context, evt
from pynetdicom.association import Association

from node.config import Config, Destination
from node.errors import TransientDeliveryError
from node.index import confirmations
from node.index.ledger import Consignment, Delivery
from node.peers import peer_of
from node.query_scu import FIND, has_instance
from node.store_scu import NoAssociationError, NothingAcceptedError, associated

log = logging.getLogger(__name__)

STORAGE_COMMITMENT = UID("1.2.840.10008.1.20.1")
_WELL_KNOWN_INSTANCE = UID("1.2.840.10008.1.20.1.1")
_REQUEST = 1  # action type (PS3.4 table J.3-2)
_SAME_ASSOCIATION_S = 3.0
"""Some peers report on the association of the request; others call back, or do so only later."""


def transaction_of(key: str) -> str:
    """Return the transaction UID of a question: a repeated question is the same transaction."""
    return f"2.25.{int(hashlib.sha256(key.encode()).hexdigest()[:32], 16)}"


class Confirmer:
    """Asks destinations, by C-FIND or by storage commitment; every method may be repeated."""

    def __init__(
        self,
        index: sa.Engine,
        config: Config,
        *,
        results: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._index = index
        self._config = config
        self._results = results
        self._clock = clock
        self._destinations: Mapping[str, Destination] = {
            destination.name: destination for destination in config.delivery.destinations
        }

    def claim(self, key: str, consignment: Consignment) -> None:
        """Count the question before it is asked."""
        confirmations.claim_question(
            self._index,
            consignment,
            transaction_uid=transaction_of(key),
            ask_again_s=self._clock() + self._config.delivery.confirm_within_s,
        )

    def ask(self, key: str, consignment: Consignment) -> None:
        """Ask about every row of the question that is not answered yet."""
        transaction = transaction_of(key)
        rows = confirmations.asked_about(self._index, transaction)
        if not rows:
            return
        destination = self._destinations[consignment.destination]
        by_find = destination.confirm == "find"
        try:
            (self._find if by_find else self._commit)(destination, transaction, rows)
        except NothingAcceptedError:
            service = "C-FIND" if by_find else "storage commitment"
            self._give_up(transaction, f"it does not offer {service}")
        except (NoAssociationError, TransientDeliveryError) as error:
            log.warning("%s cannot be asked what it has: %s", destination.name, error)
            oldest_s = min(row.created_s for row in rows)
            if self._clock() - oldest_s > self._config.delivery.give_up_after_h * 3600:
                self._give_up(transaction, "asked in vain for too long")

    def _give_up(self, transaction: str, reason: str) -> None:
        log.warning("results stay unconfirmed: %s", reason)
        confirmations.give_up_asking(self._index, transaction, reason, self._clock())

    def _find(self, destination: Destination, transaction: str, rows: Sequence[Delivery]) -> None:
        present: set[str] = set()
        absent: dict[str, str] = {}
        with associated(peer_of(destination, self._config), [build_context(FIND)]) as association:
            for row in rows:
                series = _series_of(self._results / row.file)
                if has_instance(association, row.study_uid, series, row.sop_instance_uid):
                    present.add(row.sop_instance_uid)
                else:
                    absent[row.sop_instance_uid] = "not found"
        confirmations.record_answer(
            self._index, transaction, present=present, absent=absent, now_s=self._clock()
        )

    def _commit(self, destination: Destination, transaction: str, rows: Sequence[Delivery]) -> None:
        heard = threading.Event()

        def hear(event: evt.Event) -> tuple[int, None]:
            confirmations.record_report(self._index, event.event_information, self._clock())
            heard.set()
            return 0x0000, None

        with associated(
            peer_of(destination, self._config),
            [build_context(STORAGE_COMMITMENT)],
            handlers=[(evt.EVT_N_EVENT_REPORT, hear)],
        ) as association:
            _request(association, transaction, rows)
            heard.wait(_SAME_ASSOCIATION_S)


def _request(association: Association, transaction: str, rows: Sequence[Delivery]) -> None:
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = []
    for row in rows:
        item = Dataset()
        item.ReferencedSOPClassUID = row.sop_class_uid
        item.ReferencedSOPInstanceUID = row.sop_instance_uid
        request.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(
        request, _REQUEST, STORAGE_COMMITMENT, _WELL_KNOWN_INSTANCE
    )
    if status.get("Status") != 0x0000:
        raise TransientDeliveryError("the request for storage commitment was not taken")


def _series_of(path: Path) -> str:
    try:
        return str(dcmread(path, specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID)
    except (OSError, AttributeError, ValueError) as error:
        raise TransientDeliveryError("a result is no longer on disk") from error
