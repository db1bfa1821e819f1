"""An instance received without a network, as the receiver does it."""

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from node.receive.draft import Draft
from node.receive.intake import Announcement, Intake
from node.spool import Spool
from tests.raw_sender import EXPLICIT_LITTLE, MR_IMAGE


def encoded(image: Dataset) -> bytes:
    """What a sender sends of an image, in Explicit VR Little Endian."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, image)
    return buffer.getvalue()


def files_of(state: Path) -> list[str]:
    """The files of a node's spool that hold an instance."""
    spool = Spool(state / "spool")
    files = sorted(spool.placed())
    spool.close()
    return files


def take(
    intake: Intake,
    uid: str,
    data: bytes,
    *,
    calling_ae: str = "SCANNER",
    draft: Draft | None = None,
    piece_bytes: int = 2**16,
) -> int:
    """Have an MR image taken, piece by piece; returns the status of the answer."""
    incoming = intake.begin(
        Announcement(
            sop_class_uid=MR_IMAGE,
            sop_instance_uid=uid,
            transfer_syntax_uid=EXPLICIT_LITTLE,
            calling_ae=calling_ae,
        ),
        Draft() if draft is None else draft,
    )
    for start in range(0, len(data), piece_bytes):
        incoming.add(memoryview(data)[start : start + piece_bytes])
    return incoming.finish().status
