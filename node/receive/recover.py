"""At the start: make spool and index agree again, whatever the last end was like.

A file whose header carries the right digest is whole, under either name: it gets its name and is
recorded, because its sender may have had an answer. Parts and empty files had none, and go.

The receiver's rows are not flushed one by one (see `open_index`), so after a power cut the last of
them come from here.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from node.errors import SpoolError, UnreadableInstanceError
from node.index.arrivals import Arrival, is_brought_by_a_value, record
from node.index.holdings import known_files
from node.receive.header import read_header
from node.receive.part10 import read_file_header
from node.spool import Spool

LOGGER = logging.getLogger(__name__)

_HEADER_BYTES = 8 * 2**20
_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Recovered:
    """What was found."""

    removed_parts: int
    """Begun and not whole; the empty ones that wait for an instance are not counted."""
    recorded: int
    unreadable: int
    missing: int
    """Rows whose file is not there."""


def recover(spool: Spool, index: sa.Engine) -> Recovered:
    """Make spool and index agree.

    Raises
    ------
    SpoolError
        The index knows instances and the spool is empty: it is not mounted.
    """
    known = known_files(index)
    placed = set(spool.placed())
    if known and not placed and not any(spool.unfinished()):
        raise SpoolError(
            f"the index knows {len(known)} files and the spool is empty; is its filesystem mounted?"
        )
    removed = 0
    for part in list(spool.unfinished()):
        if _is_whole(part):
            placed.add(spool.place_part(part))  # its row may be there already, under this name
        else:
            removed += part.suffix == ".part"
            part.unlink()
    outcomes = [_record_orphan(spool, index, orphan) for orphan in sorted(placed - known)]
    found = Recovered(
        removed_parts=removed,
        recorded=outcomes.count(True),
        unreadable=outcomes.count(False),
        missing=len(known - placed),
    )
    if found.missing:
        LOGGER.error("%d files of the index are missing in the spool", found.missing)
    if found.removed_parts or outcomes:
        LOGGER.warning(
            "after the last end: %d unfinished files removed, %d instances recorded, "
            "%d files without an instance",
            found.removed_parts,
            found.recorded,
            found.unreadable,
        )
    return found


def _is_whole(part: Path) -> bool:
    try:
        arrival_of(part, "")
    except UnreadableInstanceError:
        return False
    return True


def _record_orphan(spool: Spool, index: sa.Engine, file: str) -> bool:
    try:
        arrival = arrival_of(spool.path(file), file)
        (outcome,) = record(index, [arrival])
    except UnreadableInstanceError:
        return False
    except Exception as error:
        if not is_brought_by_a_value(error):
            raise
        return False  # its sender was refused, too; the others shall not wait for a person
    if not outcome.needs_file:
        spool.drop(file)
    return True


def arrival_of(path: Path, file: str) -> Arrival:
    """Read what a row says of an instance from its file.

    Raises
    ------
    UnreadableInstanceError
        It is not whole.
    """
    with path.open("rb") as stream:
        meta = read_file_header(stream)
        first = stream.read(_HEADER_BYTES)
        header = read_header(first, meta.transfer_syntax_uid)
        digest = hashlib.sha256(first)
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    if digest.digest() != meta.digest:
        raise UnreadableInstanceError("a file that is not whole")
    status = path.stat()
    return Arrival(
        sop_instance_uid=header.sop_instance_uid,
        study_uid=header.study_uid,
        series_uid=header.series_uid,
        sop_class_uid=header.sop_class_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        file=file,
        size_bytes=status.st_size,
        sha256=digest.hexdigest(),
        modality=header.modality,
        expected_images=header.expected_images,
        calling_ae=meta.calling_ae,
        received_s=status.st_mtime,
    )
