"""The file header (PS3.10 section 7.1) that stands before a data set in the spool.

It is written by hand, about ten times faster than by a library, and the data set after it stays
bit for bit as received.
"""

import struct

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION


def file_header(
    *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, calling_ae: str
) -> bytes:
    """Return preamble, prefix and file meta information for one instance."""
    body = b"".join(
        (
            struct.pack("<HH2sHI", 2, 0x0001, b"OB", 0, 2) + b"\x00\x01",
            _element(0x0002, b"UI", sop_class_uid, b"\0"),
            _element(0x0003, b"UI", sop_instance_uid, b"\0"),
            _element(0x0010, b"UI", transfer_syntax_uid, b"\0"),
            _element(0x0012, b"UI", str(PYNETDICOM_IMPLEMENTATION_UID), b"\0"),
            _element(0x0013, b"SH", PYNETDICOM_IMPLEMENTATION_VERSION, b" "),
            _element(0x0016, b"AE", calling_ae, b" "),
        )
    )
    length = struct.pack("<HH2sHI", 2, 0x0000, b"UL", 4, len(body))
    return b"\0" * 128 + b"DICM" + length + body


def _element(element: int, representation: bytes, text: str, padding: bytes) -> bytes:
    value = text.encode("ascii")
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", 2, element, representation, len(value)) + value
