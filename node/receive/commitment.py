"""Storage Commitment Push Model SCP (PS3.4 annex J): a scanner asks, and gets the truth.

An instance is safe when its row is in the index and the file in the spool still has the bytes that
came: each file is read and its digest compared, whatever the index says.
"""

import hashlib
import logging
import time
from dataclasses import dataclass
from io import BytesIO

import sqlalchemy as sa
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dsutils import decode, encode

from node.config import Receive
from node.errors import EncodingError, UnreadableInstanceError
from node.index.commitments import CommitmentRequest, add_request, mark_told
from node.index.confirmations import record_report
from node.index.holdings import InstanceRow, find_instances
from node.receive.header import is_uid
from node.receive.part10 import read_file_header
from node.spool import Spool

LOGGER = logging.getLogger(__name__)

REQUEST_STORAGE_COMMITMENT = 1  # action type
ALL_SAFE, SOME_FAILED = 1, 2  # event types

_SUCCESS = 0x0000
_INVALID_ARGUMENT = 0x0115  # PS3.7 annex C.5
_NO_SUCH_ACTION = 0x0123
_PROCESSING_FAILURE = 0x0110
_NO_SUCH_INSTANCE = 0x0112
_CLASS_INSTANCE_CONFLICT = 0x0119
_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Report:
    """The answer to a request, ready for an N-EVENT-REPORT."""

    request: CommitmentRequest
    event_type: int
    dataset: Dataset

    def encoded(self, transfer_syntax_uid: str) -> bytes:
        """Return the event information as bytes."""
        implicit = transfer_syntax_uid == ImplicitVRLittleEndian
        encoded = encode(self.dataset, implicit, is_little_endian=True)
        if encoded is None:
            raise EncodingError("a commitment report that cannot be encoded")
        return bytes(encoded)


class CommitmentDesk:
    """Takes requests and finds their answers; the network is elsewhere."""

    def __init__(self, spool: Spool, index: sa.Engine, settings: Receive) -> None:
        self._spool = spool
        self._index = index
        self._called_back = {sender.ae_title for sender in settings.senders if sender.host}

    def take(
        self, data: bytes, transfer_syntax_uid: str, *, action_type: int, calling_ae: str
    ) -> tuple[int, Report | None]:
        """Take a request durably; return the status, and the report to send at once, if any.

        Whose address the configuration knows is called back on an association of its own.
        """
        if action_type != REQUEST_STORAGE_COMMITMENT:
            return _NO_SUCH_ACTION, None
        try:
            request = _read_request(data, transfer_syntax_uid, calling_ae)
        except UnreadableInstanceError as error:
            LOGGER.warning("%s: %s", calling_ae, error)
            return _INVALID_ARGUMENT, None
        calls_back = calling_ae in self._called_back
        try:
            add_request(self._index, request, request.received_s if calls_back else None)
            return _SUCCESS, None if calls_back else self.report(request)
        except sa.exc.SQLAlchemyError as error:
            LOGGER.error("commitment: the index fails (%s)", type(error).__name__)  # noqa: TRY400  its text may repeat values
            return _PROCESSING_FAILURE, None

    def hear(self, data: bytes, transfer_syntax_uid: str) -> int:
        """Take what a PACS reports about results that we sent to it; return the status."""
        try:
            implicit = transfer_syntax_uid == ImplicitVRLittleEndian
            report = decode(BytesIO(data), implicit, is_little_endian=True)
            record_report(self._index, report, time.time())
        except sa.exc.SQLAlchemyError as error:
            LOGGER.error("commitment: the index fails (%s)", type(error).__name__)  # noqa: TRY400  its text may repeat values
            return _PROCESSING_FAILURE
        except Exception:  # noqa: BLE001  whatever a stranger's data set does to the decoder
            LOGGER.warning("a commitment report cannot be read")
            return _INVALID_ARGUMENT
        return _SUCCESS

    def told(self, report: Report) -> None:
        """Note that the peer has confirmed the report."""
        mark_told(self._index, report.request)

    def report(self, request: CommitmentRequest) -> Report:
        """Look at every instance now and say what is true."""
        rows = find_instances(self._index, [uid for _, uid in request.instances])
        dataset = Dataset()
        dataset.TransactionUID = request.transaction_uid
        safe, failed = [], []
        for sop_class_uid, uid in request.instances:
            item = Dataset()
            item.ReferencedSOPClassUID = sop_class_uid
            item.ReferencedSOPInstanceUID = uid
            reason = self._failure(sop_class_uid, rows.get(uid))
            if reason is None:
                safe.append(item)
            else:
                item.FailureReason = reason
                failed.append(item)
        if safe:
            dataset.ReferencedSOPSequence = safe
        if failed:
            dataset.FailedSOPSequence = failed
        LOGGER.info(
            "%s: commitment of %d instances: %d safe",
            request.calling_ae,
            len(request.instances),
            len(safe),
        )
        return Report(request, SOME_FAILED if failed else ALL_SAFE, dataset)

    def _failure(self, sop_class_uid: str, row: InstanceRow | None) -> int | None:
        if row is None:
            return _NO_SUCH_INSTANCE
        if row.sop_class_uid != sop_class_uid:
            return _CLASS_INSTANCE_CONFLICT
        try:
            with self._spool.path(row.file).open("rb") as stream:
                read_file_header(stream)
                digest = hashlib.sha256()
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
        except (OSError, UnreadableInstanceError):
            return _PROCESSING_FAILURE
        return None if digest.hexdigest() == row.sha256 else _PROCESSING_FAILURE


def _read_request(data: bytes, transfer_syntax_uid: str, calling_ae: str) -> CommitmentRequest:
    try:
        implicit = transfer_syntax_uid == ImplicitVRLittleEndian
        dataset = decode(BytesIO(data), implicit, is_little_endian=True)
        transaction_uid = str(dataset.TransactionUID)
        instances = tuple(
            (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
            for item in dataset.ReferencedSOPSequence
        )
    except Exception as error:
        raise UnreadableInstanceError("a commitment request that cannot be read") from error
    if not (is_uid(transaction_uid) and all(is_uid(uid) for pair in instances for uid in pair)):
        raise UnreadableInstanceError("a commitment request with a UID that is none")
    return CommitmentRequest(
        transaction_uid=transaction_uid,
        calling_ae=calling_ae,
        instances=instances,
        received_s=time.time(),
    )
