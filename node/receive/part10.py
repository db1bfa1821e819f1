"""The file header (PS3.10 section 7.1) that stands before a data set in the spool.

It is written by hand, about ten times faster than by a library, and the data set after it stays
bit for bit as received.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

from node.errors import UnreadableInstanceError

_PREAMBLE_BYTES = 128
_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2sHI")

_TRANSFER_SYNTAX_UID = 0x0010
_SOURCE_AE_TITLE = 0x0016
_CREATOR_UID = 0x0100
_DIGEST = 0x0102

DIGEST_BYTES = 32
_CREATOR = "2.25.302916127459410266420733958219744163911"
"""Ours, for the private information of the file header: the SHA-256 of the data set."""


@dataclass(frozen=True)
class Meta:
    """What a file header of ours says that the data set does not."""

    transfer_syntax_uid: str
    calling_ae: str
    digest: bytes
    """SHA-256 of the data set: a file is whole where it is right."""


def file_header(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    calling_ae: str,
    digest: bytes = bytes(DIGEST_BYTES),
) -> bytes:
    """Return preamble, prefix and file meta information for one instance.

    The digest is its last value, so that it can be filled in when the data set is written.
    """
    body = b"".join(
        (
            _LONG.pack(2, 0x0001, b"OB", 0, 2) + b"\x00\x01",
            _element(0x0002, b"UI", sop_class_uid, b"\0"),
            _element(0x0003, b"UI", sop_instance_uid, b"\0"),
            _element(_TRANSFER_SYNTAX_UID, b"UI", transfer_syntax_uid, b"\0"),
            _element(0x0012, b"UI", str(PYNETDICOM_IMPLEMENTATION_UID), b"\0"),
            _element(0x0013, b"SH", PYNETDICOM_IMPLEMENTATION_VERSION, b" "),
            _element(_SOURCE_AE_TITLE, b"AE", calling_ae, b" "),
            _element(_CREATOR_UID, b"UI", _CREATOR, b"\0"),
            _LONG.pack(2, _DIGEST, b"OB", 0, DIGEST_BYTES) + digest,
        )
    )
    length = _SHORT.pack(2, 0x0000, b"UL", 4) + struct.pack("<I", len(body))
    return b"\0" * _PREAMBLE_BYTES + b"DICM" + length + body


def read_file_header(stream: BinaryIO) -> Meta:
    """Read a header that `file_header` made, and leave the stream at the data set.

    Raises
    ------
    UnreadableInstanceError
        It is not one of ours.
    """
    start = stream.read(_PREAMBLE_BYTES + 4 + 12)
    if len(start) < _PREAMBLE_BYTES + 16 or start[_PREAMBLE_BYTES:][:4] != b"DICM":
        raise UnreadableInstanceError("a file without a file header")
    body = stream.read(int.from_bytes(start[-4:], "little"))
    digest, body = body[-DIGEST_BYTES:], body[: -DIGEST_BYTES - _LONG.size]
    values: dict[int, str] = {}
    position = _LONG.size + 2  # after the version, the other element of the long form
    while position + _SHORT.size <= len(body):
        _, number, _, length = _SHORT.unpack_from(body, position)
        position += _SHORT.size
        values[number] = body[position : position + length].decode("ascii", "replace").strip("\0 ")
        position += length
    if _TRANSFER_SYNTAX_UID not in values or values.get(_CREATOR_UID) != _CREATOR:
        raise UnreadableInstanceError("a file header that is none of ours")
    return Meta(values[_TRANSFER_SYNTAX_UID], values.get(_SOURCE_AE_TITLE, ""), digest)


def _element(element: int, representation: bytes, text: str, padding: bytes) -> bytes:
    value = text.encode("ascii")
    value += padding * (len(value) % 2)
    return _SHORT.pack(2, element, representation, len(value)) + value
