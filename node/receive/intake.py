"""One instance: into the spool, into the index, then the status. It knows nothing of sockets."""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from node.errors import NodeError
from node.index.arrivals import Arrival, Outcome, record
from node.receive.header import read_header
from node.receive.part10 import file_header
from node.spool import Buffer, Spool

LOGGER = logging.getLogger(__name__)

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700  # PS3.4 table B.2-1
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
OTHER_BYTES_UNDER_THIS_UID = 0xC111


@dataclass(frozen=True, kw_only=True)
class Received:
    """A C-STORE request as it came over the network."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str
    data: Sequence[Buffer]
    """The data set in pieces, untouched."""


class Intake:
    """Takes instances, from any number of threads."""

    def __init__(self, spool: Spool, index: sa.Engine, *, minimum_free_bytes: int) -> None:
        self._spool = spool
        self._index = index
        self._minimum_free_bytes = minimum_free_bytes

    def has_room(self) -> bool:
        """Whether the disk may take more."""
        return self._spool.free_bytes() >= self._minimum_free_bytes

    def store(self, received: Received) -> int:
        """Keep one instance durably and return the DIMSE status to answer.

        Success is returned only when bytes, folder entry and row would survive power loss.
        """
        try:
            if not self.has_room():
                LOGGER.error("an instance is refused: the disk is nearly full")
                return OUT_OF_RESOURCES
            return self._store(received)
        except NodeError as error:
            LOGGER.warning("an instance is refused: %s", error)
            return error.dimse_status
        except sa.exc.SQLAlchemyError as error:
            # The class says enough; the text may repeat values of the row.
            LOGGER.error("an instance is refused: the index fails (%s)", type(error).__name__)  # noqa: TRY400
            return OUT_OF_RESOURCES

    def _store(self, received: Received) -> int:
        meta = file_header(
            sop_class_uid=received.sop_class_uid,
            sop_instance_uid=received.sop_instance_uid,
            transfer_syntax_uid=received.transfer_syntax_uid,
            calling_ae=received.calling_ae,
        )
        header = read_header(b"".join((meta, *received.data)))
        if (header.sop_class_uid, header.sop_instance_uid) != (
            received.sop_class_uid,
            received.sop_instance_uid,
        ):
            LOGGER.warning("an instance is refused: it is another one than the request says")
            return DOES_NOT_MATCH
        digest = hashlib.sha256()
        for piece in received.data:
            digest.update(piece)
        file, size_bytes = self._spool.keep((meta, *received.data))
        arrival = Arrival(
            sop_instance_uid=header.sop_instance_uid,
            study_uid=header.study_uid,
            series_uid=header.series_uid,
            sop_class_uid=header.sop_class_uid,
            transfer_syntax_uid=received.transfer_syntax_uid,
            file=file,
            size_bytes=size_bytes,
            sha256=digest.hexdigest(),
            modality=header.modality,
            expected_images=header.expected_images,
            calling_ae=received.calling_ae,
            received_s=time.time(),
        )
        return self._record(arrival)

    def _record(self, arrival: Arrival) -> int:
        # Where this raises, the file stays: the row may have been committed all the same.
        (outcome,) = record(self._index, [arrival])
        if outcome is Outcome.DUPLICATE:
            self._spool.drop(arrival.file)
        elif outcome is Outcome.CONFLICT:
            LOGGER.error("other bytes under a known SOP Instance UID: kept aside, not used")
            return OTHER_BYTES_UNDER_THIS_UID
        return SUCCESS
