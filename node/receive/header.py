"""What the receiver reads of a data set: to which study it belongs, and how many there will be.

The walk over the first elements costs a tenth of a library's reading. What it does not understand
goes to pydicom, which understands more of the odd; both give the same for the ordinary (tested).
"""

import re
import struct
import zlib
from functools import lru_cache
from io import BytesIO
from typing import NamedTuple

from pydicom import dcmread

from node.errors import UnreadableInstanceError
from node.receive.part10 import file_header

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"

SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
MODALITY = 0x00080060
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
NUMBER_OF_TEMPORAL_POSITIONS = 0x00200105
IMAGES_IN_ACQUISITION = 0x00201002

_TAGS = frozenset(
    {
        SOP_CLASS_UID,
        SOP_INSTANCE_UID,
        MODALITY,
        STUDY_INSTANCE_UID,
        SERIES_INSTANCE_UID,
        NUMBER_OF_TEMPORAL_POSITIONS,
        IMAGES_IN_ACQUISITION,
    }
)
_LAST = max(_TAGS)
_PLAIN_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")  # PS3.5 section 9.1
_LONG_FORMS = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_SHORT_FORMS = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN"}
    | {b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_FORMATS = {
    (big, explicit): (
        struct.Struct(order + ("HH2sH" if explicit else "HHI")),
        struct.Struct(order + "I"),
    )
    for big, order in ((False, "<"), (True, ">"))
    for explicit in (False, True)
}
"""How an element begins, and its length where that is long: by byte order and explicit VR."""
_MOST_INFLATED = 2**20
_MOST_IMAGES = 10**6
"""What announces more for one series announces nothing; a database could refuse the number."""


class Header(NamedTuple):
    """The few values of a data set that intake needs."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    modality: str
    expected_images: int | None


@lru_cache(maxsize=1024)  # the same few for a whole study
def is_uid(text: str) -> bool:
    """Whether a text is a UID (PS3.5 section 9.1)."""
    return len(text) <= 64 and _PLAIN_UID.fullmatch(text) is not None


def read_header(data: bytes | memoryview, transfer_syntax_uid: str) -> Header:
    """Read the values from the beginning of a data set.

    Raises
    ------
    UnreadableInstanceError
        It is no data set, or a UID without which it belongs to nothing is missing.
    """
    if transfer_syntax_uid == DEFLATED:
        data = _inflated(data)
    try:
        values = _walk(data, transfer_syntax_uid)
    except _OddError:
        values = _read_by_pydicom(bytes(data), transfer_syntax_uid)
    return Header(
        sop_class_uid=_uid(values, SOP_CLASS_UID),
        sop_instance_uid=_uid(values, SOP_INSTANCE_UID),
        modality=_modality(values.get(MODALITY, "")),
        study_uid=_uid(values, STUDY_INSTANCE_UID),
        series_uid=_uid(values, SERIES_INSTANCE_UID),
        expected_images=_expected_images(values),
    )


@lru_cache(maxsize=64)
def _modality(text: str) -> str:
    return re.sub(r"[^A-Z0-9_ ]", "", text)[:16]


class _OddError(Exception):
    """The walk does not understand what it sees."""


def _walk(data: bytes | memoryview, transfer_syntax_uid: str) -> dict[int, str]:
    """Go from element to element at the top level, as far as the last that is wanted."""
    explicit = transfer_syntax_uid != IMPLICIT_LITTLE
    element, long_length = _FORMATS[transfer_syntax_uid == EXPLICIT_BIG, explicit]
    values: dict[int, str] = {}
    position, end = 0, len(data)
    while position + 8 <= end:
        # Of some hundred elements, each once an image: what is ordinary is looked at first.
        if explicit:
            group, number, form, length = element.unpack_from(data, position)
            position += 8
            if form not in _SHORT_FORMS:
                if form not in _LONG_FORMS or position + 4 > end:
                    raise _OddError
                (length,) = long_length.unpack_from(data, position)
                position += 4
        else:
            group, number, length = element.unpack_from(data, position)
            position += 8
        tag = group << 16 | number
        if tag > _LAST:
            break
        after = position + length
        if after > end or group < 8:  # an undefined length ends after everything, too
            raise _OddError
        if tag in _TAGS:
            values[tag] = str(data[position:after], "ascii", "replace").rstrip("\0 ")
        position = after
    return values


def _read_by_pydicom(data: bytes, transfer_syntax_uid: str) -> dict[int, str]:
    syntax = "1.2.840.10008.1.2.1" if transfer_syntax_uid == DEFLATED else transfer_syntax_uid
    meta = file_header(
        sop_class_uid="1.2", sop_instance_uid="1.2", transfer_syntax_uid=syntax, calling_ae=""
    )
    try:
        dataset = dcmread(
            BytesIO(meta + data), stop_before_pixels=True, specific_tags=sorted(_TAGS)
        )
        return {tag: str(dataset[tag].value or "") for tag in _TAGS if tag in dataset}
    except Exception as error:
        raise UnreadableInstanceError("the data set cannot be read") from error


def _inflated(data: bytes | memoryview) -> bytes:
    """Inflate the beginning; what is wanted stands there, and a bomb stays small."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _MOST_INFLATED)
    except zlib.error as error:
        raise UnreadableInstanceError("the data set cannot be inflated") from error


def _uid(values: dict[int, str], tag: int) -> str:
    text = values.get(tag, "")
    if not is_uid(text):
        raise UnreadableInstanceError("a UID that names study, series or instance is missing")
    return text


def _expected_images(values: dict[int, str]) -> int | None:
    """Images in Acquisition counts one temporal position where their number is given.

    Cardiac Number of Images is no help: in real GE series it differs from image to image.
    """
    per_position = _positive(values.get(IMAGES_IN_ACQUISITION))
    if per_position is None:
        return None
    expected = per_position * (_positive(values.get(NUMBER_OF_TEMPORAL_POSITIONS)) or 1)
    return expected if expected <= _MOST_IMAGES else None


def _positive(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r" *\+?[0-9]{1,6} *", text):
        return None
    return int(text) or None
