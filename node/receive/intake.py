"""One instance: into the spool, into the index, then the status. It knows nothing of sockets."""

import hashlib
import logging
import time
from typing import NamedTuple

import sqlalchemy as sa

from node.errors import NodeError, SpoolError, UnreadableInstanceError, is_for_want_of_room
from node.index.arrivals import Arrival
from node.receive.commit import Committer
from node.receive.draft import Draft
from node.receive.header import Header, is_uid, read_header
from node.receive.part10 import DIGEST_BYTES, file_header
from node.receive.room import Room
from node.spool import Spool, SpoolFile

LOGGER = logging.getLogger(__name__)

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700  # PS3.4 table B.2-1
DOES_NOT_MATCH = 0xA900
OTHER_BYTES_UNDER_THIS_UID = 0xC111  # ours, in the range of "cannot understand"

_HELD_IN_MEMORY = 8 * 2**20  # what is longer goes to the disk while it comes


class Announcement(NamedTuple):
    """A C-STORE request before its data set."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str


class Answer(NamedTuple):
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
        self._room = Room(spool, minimum_free_bytes=minimum_free_bytes)
        self._maximum_instance_bytes = maximum_instance_bytes

    def close(self) -> None:
        """Let go of the index."""
        self._committer.close()

    def check_room(self) -> None:
        """Make sure that the spool is there and may take more.

        Raises
        ------
        SpoolError
            It is not, or may not.
        """
        self._room.look()

    def take_room(self, size_bytes: int, whole_bytes: int) -> None:
        """Count so many bytes of an instance, as yet so long, as taken; raises as `check_room`."""
        if whole_bytes > self._maximum_instance_bytes:
            raise SpoolError("the data set is larger than the configuration allows")
        self._room.take(size_bytes)

    def begin(self, announcement: Announcement, draft: Draft) -> "Incoming":
        """Begin to take one instance; the draft is free again at its end."""
        return Incoming(self, announcement, draft, self._spool, self._committer)


class Incoming:
    """One instance on its way in: `add` its pieces, then `finish`, or `abandon` it.

    A failure is remembered and answered at the end, because the peer sends its whole data set
    anyway.
    """

    def __init__(
        self,
        intake: Intake,
        announcement: Announcement,
        draft: Draft,
        spool: Spool,
        committer: Committer,
    ) -> None:
        self._intake = intake
        self._announcement = announcement
        self._draft = draft
        self._spool = spool
        self._committer = committer
        self._size_bytes = 0
        self._file: SpoolFile | None = None
        self._long: _Long | None = None
        self._failure: Exception | None = None
        draft.clear()

    def add(self, piece: memoryview) -> None:
        """Take the next piece of the data set."""
        self._size_bytes += len(piece)
        if self._failure is not None:
            return
        self._draft.add(piece)
        if len(self._draft) > _HELD_IN_MEMORY:
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
            cause = "its disk is full" if is_for_want_of_room(error) else type(error).__name__
            LOGGER.error("an instance is refused: the index fails (%s)", cause)  # noqa: TRY400  as said
            return Answer(OUT_OF_RESOURCES)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Leave nothing behind of what is not whole; may be repeated."""
        if self._file is not None:
            self._file.discard()
            self._file = None

    def _spill(self) -> "_Long":
        """Write what is held in memory; the first time, look at the header before."""
        data = self._draft.data
        self._intake.take_room(len(data), self._size_bytes)
        if self._long is None:
            header = self._read_header(data)
            self._file = self._spool.begin()
            self._long = _Long(self._file, header, self._meta(bytes(DIGEST_BYTES)))
        self._long.add(data)
        self._draft.clear()
        return self._long

    def _read_header(self, data: memoryview) -> Header:
        told = self._announcement
        if not (is_uid(told.sop_instance_uid) and is_uid(told.sop_class_uid)):
            raise UnreadableInstanceError("the request names the instance by no UID")
        header = read_header(data, told.transfer_syntax_uid)
        if (header.sop_class_uid, header.sop_instance_uid) != (
            told.sop_class_uid,
            told.sop_instance_uid,
        ):
            raise AnotherInstanceError("the data set is another instance than the request says")
        return header

    def _meta(self, digest: bytes, data_bytes: int | None = None) -> bytes:
        told = self._announcement
        return file_header(
            sop_class_uid=told.sop_class_uid,
            sop_instance_uid=told.sop_instance_uid,
            transfer_syntax_uid=told.transfer_syntax_uid,
            calling_ae=told.calling_ae,
            digest=digest,
            data_bytes=data_bytes,
        )

    def _keep(self) -> Answer:
        self._committer.check()
        arrival = self._write() if self._long is None else self._end_long(self._spill())
        self._file = None  # it is whole: the index decides about it
        if self._committer.commit(arrival).is_conflict:
            LOGGER.error("other bytes under a known SOP Instance UID: kept aside, not used")
            return Answer(OTHER_BYTES_UNDER_THIS_UID, arrival.study_uid)
        return Answer(SUCCESS, arrival.study_uid)

    def _write(self) -> Arrival:
        """Write all of it at once, as is ordinary."""
        data = self._draft.data
        header = self._read_header(data)
        self._intake.take_room(len(data), len(data))
        digest = hashlib.sha256(data)
        content = self._draft.below(self._meta(digest.digest(), len(data)))
        file = self._file = self._spool.begin()
        file.write_whole(content)
        return self._arrival(header, file, len(content), digest.hexdigest())

    def _end_long(self, long: "_Long") -> Arrival:
        long.seal()
        size_bytes = long.meta_bytes + self._size_bytes
        return self._arrival(long.header, long.file, size_bytes, long.digest.hexdigest())

    def _arrival(self, header: Header, file: SpoolFile, size_bytes: int, sha256: str) -> Arrival:
        return Arrival(
            sop_instance_uid=header.sop_instance_uid,
            study_uid=header.study_uid,
            series_uid=header.series_uid,
            sop_class_uid=header.sop_class_uid,
            transfer_syntax_uid=self._announcement.transfer_syntax_uid,
            file=file.relative,
            size_bytes=size_bytes,
            sha256=sha256,
            modality=header.modality,
            expected_images=header.expected_images,
            calling_ae=self._announcement.calling_ae,
            received_s=time.time(),
        )


class _Long:
    """An instance that is too long to be held in memory, partly in its file."""

    def __init__(self, file: SpoolFile, header: Header, meta: bytes) -> None:
        self.file = file
        self.header = header
        self.meta_bytes = len(meta)
        self.digest = hashlib.sha256()
        file.append(meta)

    def add(self, piece: memoryview) -> None:
        self.digest.update(piece)
        self.file.append(piece)

    def seal(self) -> None:
        self.file.seal(self.digest.digest(), self.meta_bytes - DIGEST_BYTES)


class AnotherInstanceError(UnreadableInstanceError):
    """The data set names another instance than the request."""

    dimse_status = DOES_NOT_MATCH
