"""What the receiver reads of a data set: to which study it belongs, and how many there will be."""

from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from pydicom.uid import UID

from node.errors import UnreadableInstanceError

_TAGS = [
    0x00080016,  # SOP Class UID
    0x00080018,  # SOP Instance UID
    0x00080060,  # Modality
    0x0020000D,  # Study Instance UID
    0x0020000E,  # Series Instance UID
    0x00200105,  # Number of Temporal Positions
    0x00201002,  # Images in Acquisition
]


@dataclass(frozen=True, kw_only=True)
class Header:
    """The few values of a data set that intake needs."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    modality: str
    expected_images: int | None


def read_header(part10: bytes) -> Header:
    """Read the values from a DICOM file in memory.

    Raises
    ------
    UnreadableInstanceError
        It is no DICOM, or a UID without which it belongs to nothing is missing.
    """
    try:
        dataset = dcmread(BytesIO(part10), stop_before_pixels=True, specific_tags=_TAGS)
        values = {tag: dataset[tag].value if tag in dataset else None for tag in _TAGS}
    except Exception as error:
        raise UnreadableInstanceError("the data set cannot be read") from error
    return Header(
        sop_class_uid=_uid(values[0x00080016]),
        sop_instance_uid=_uid(values[0x00080018]),
        modality=str(values[0x00080060] or "")[:16],
        study_uid=_uid(values[0x0020000D]),
        series_uid=_uid(values[0x0020000E]),
        expected_images=_expected_images(values[0x00201002], values[0x00200105]),
    )


def _uid(value: object) -> str:
    text = str(value or "")
    if not text or len(text) > 64 or not UID(text).is_valid:
        raise UnreadableInstanceError("a UID that names study, series or instance is missing")
    return text


def _expected_images(images: object, temporal_positions: object) -> int | None:
    """Images in Acquisition counts one temporal position where their number is given.

    Cardiac Number of Images is no help: in real GE series it differs from image to image.
    """
    per_position = _positive(images)
    if per_position is None:
        return None
    return per_position * (_positive(temporal_positions) or 1)


def _positive(value: object) -> int | None:
    try:
        number = int(str(value))
    except ValueError:
        return None
    return number if 0 < number < 1_000_000 else None
