"""One instance: into the spool, into the index, then the status. It knows nothing of sockets."""

import hashlib
import logging
import time
from dataclasses import dataclass

import sqlalchemy as sa

from node.errors import NodeError, SpoolError, UnreadableInstanceError
from node.index.arrivals import Arrival, Outcome
from node.receive.commit import Committer
from node.receive.header import Header, is_uid, read_header
from node.receive.part10 import DIGEST_BYTES, file_header
from node.spool import Buffer, Spool, SpoolFile

LOGGER = logging.getLogger(__name__)

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700  # PS3.4 table B.2-1
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
OTHER_BYTES_UNDER_THIS_UID = 0xC111  # ours, in the range of "cannot understand"

_HELD_IN_MEMORY = 8 * 2**20  # what is longer goes to the disk while it comes


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """A C-STORE request before its data set."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str


@dataclass(frozen=True)
class Answer:
    """The DIMSE status, and the study for the audit trail where it could be read."""

    status: int
    study_uid: str = ""


class Intake:
    """Takes instances, from any number of threads."""

    def __init__(
        self,
        spool: Spool,
        index: sa.Engine,
        *,
        minimum_free_bytes: int = 0,
        maximum_instance_bytes: int = 2**32,
    ) -> None:
        self._spool = spool
        self._committer = Committer(spool, index)
        self._minimum_free_bytes = minimum_free_bytes
        self._maximum_instance_bytes = maximum_instance_bytes

    def check_room(self, size_bytes: int = 0) -> None:
        """Make sure that the spool is there and may take more.

        Raises
        ------
        SpoolError
            It is not, or may not.
        """
        if size_bytes > self._maximum_instance_bytes:
            raise SpoolError("the data set is larger than the configuration allows")
        if self._spool.free_bytes() - size_bytes < self._minimum_free_bytes:
            raise SpoolError("the disk is nearly full")

    def begin(self, announcement: Announcement) -> "Incoming":
        """Begin to take one instance."""
        return Incoming(self, announcement, self._spool, self._committer)


class Incoming:
    """One instance on its way in: `add` its pieces, then `finish`, or `abandon` it.

    The pieces are kept as they came. A failure is remembered and answered at the end, because the
    peer sends its whole data set anyway.
    """

    def __init__(
        self, intake: Intake, announcement: Announcement, spool: Spool, committer: Committer
    ) -> None:
        self._intake = intake
        self._announcement = announcement
        self._spool = spool
        self._committer = committer
        self._pieces: list[memoryview] = []
        self._held_bytes = 0
        self._size_bytes = 0
        self._digest = hashlib.sha256()
        self._digest_position = 0
        self._file: SpoolFile | None = None
        self._header: Header | None = None
        self._failure: Exception | None = None

    def add(self, piece: memoryview) -> None:
        """Take the next piece of the data set."""
        self._size_bytes += len(piece)
        if self._failure is not None:
            return
        self._pieces.append(piece)
        self._held_bytes += len(piece)
        if self._held_bytes > _HELD_IN_MEMORY:
            try:
                self._spill()
            except (NodeError, OSError) as error:
                self._failure = error
                self.abandon()

    def finish(self) -> Answer:
        """Keep the instance durably and return what to answer.

        Success is returned only when the row is there, and bytes, name and all that the row says
        would survive power loss.
        """
        try:
            if self._failure is not None:
                raise self._failure
            return self._keep()
        except NodeError as error:
            LOGGER.warning("an instance is refused: %s", error)
            return Answer(error.dimse_status)
        except OSError as error:
            LOGGER.error("an instance is refused: the spool fails: %s", error.strerror)  # noqa: TRY400  the origin says no more
            return Answer(OUT_OF_RESOURCES)
        except sa.exc.SQLAlchemyError as error:
            # Its text may repeat values of the row.
            LOGGER.error("an instance is refused: the index fails (%s)", type(error).__name__)  # noqa: TRY400
            return Answer(OUT_OF_RESOURCES)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Leave nothing behind of what is not in its place; may be repeated."""
        self._pieces.clear()
        if self._file is not None:
            self._file.discard()
            self._file = None

    def _spill(self) -> SpoolFile:
        """Write what is held in memory; the first time, look at the header before."""
        self._intake.check_room(self._size_bytes)
        pieces: list[Buffer] = [*self._pieces]
        if self._file is None:
            self._header = self._read_header()
            self._file = self._spool.begin()
            meta = self._meta()
            self._digest_position = len(meta) - DIGEST_BYTES
            pieces.insert(0, meta)
        for piece in self._pieces:
            self._digest.update(piece)
        self._file.write(pieces)
        self._pieces.clear()
        self._held_bytes = 0
        return self._file

    def _read_header(self) -> Header:
        told = self._announcement
        if not (is_uid(told.sop_instance_uid) and is_uid(told.sop_class_uid)):
            raise UnreadableInstanceError("the request names the instance by no UID")
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        header = read_header(data, told.transfer_syntax_uid)
        if (header.sop_class_uid, header.sop_instance_uid) != (
            told.sop_class_uid,
            told.sop_instance_uid,
        ):
            raise AnotherInstanceError("the data set is another instance than the request says")
        return header

    def _meta(self) -> bytes:
        told = self._announcement
        return file_header(
            sop_class_uid=told.sop_class_uid,
            sop_instance_uid=told.sop_instance_uid,
            transfer_syntax_uid=told.transfer_syntax_uid,
            calling_ae=told.calling_ae,
        )

    def _keep(self) -> Answer:
        file = self._spill()
        file.seal(self._digest.digest(), self._digest_position)
        header = self._header
        if header is None:
            raise UnreadableInstanceError("the data set is empty")
        outcome = self._committer.commit(file, self._arrival(header, file.size_bytes))
        if outcome is Outcome.CONFLICT:
            LOGGER.error("other bytes under a known SOP Instance UID: kept aside, not used")
            return Answer(OTHER_BYTES_UNDER_THIS_UID, header.study_uid)
        return Answer(SUCCESS, header.study_uid)

    def _arrival(self, header: Header, size_bytes: int) -> Arrival:
        return Arrival(
            sop_instance_uid=header.sop_instance_uid,
            study_uid=header.study_uid,
            series_uid=header.series_uid,
            sop_class_uid=header.sop_class_uid,
            transfer_syntax_uid=self._announcement.transfer_syntax_uid,
            file="",
            size_bytes=size_bytes,
            sha256=self._digest.hexdigest(),
            modality=header.modality,
            expected_images=header.expected_images,
            calling_ae=self._announcement.calling_ae,
            received_s=time.time(),
        )


class AnotherInstanceError(UnreadableInstanceError):
    """The data set names another instance than the request."""

    dimse_status = DOES_NOT_MATCH
