"""Derived MR images: what every PACS opens (MR Image IOD, PS3.3 A.4)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from node.dicom_write import codes
from node.dicom_write.provenance import RESEARCH, Provenance, copy_valid, new_object
from node.dicom_write.sources import FrameSource
from node.dicom_write.text import ascii_text, decimal
from pipeline.study import FloatArray, IntArray, SequenceKind, SliceGeometry

LARGEST = 65535

_ACQUISITION = (
    "PatientPosition",
    "RepetitionTime",
    "EchoTime",
    "EchoTrainLength",
    "FlipAngle",
    "MagneticFieldStrength",
    "ImagingFrequency",
    "ImagedNucleus",
    "NumberOfAverages",
    "PixelBandwidth",
    "ContrastBolusAgent",
    "ProtocolName",
)


@dataclass(frozen=True, eq=False)
class Plane:
    """Where a derived image lies and what it was made from."""

    geometry: SliceGeometry
    """Of a stack: all planes carry the very same orientation."""
    frame_of_reference: str
    header: Dataset
    sources: tuple[FrameSource, ...]
    sequence: SequenceKind


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the images of a derived series say about themselves."""

    kind: str
    """Fourth value of Image Type."""
    derivation: str
    window: tuple[float, float]
    """Centre and width, in stored values."""
    comment: str = ""
    real_world: tuple[Dataset, ...] = field(default=())
    """Items of the Real World Value Mapping Sequence."""
    padding: int | None = None
    """Stored value of pixels that carry no measurement."""


def derived_image(template: Dataset, plane: Plane, pixels: IntArray, look: Look) -> Dataset:
    """Complete an object begun by `new_object` to a derived MR image.

    Parameters
    ----------
    pixels
        Stored values, 0 to 65535, [row, column].
    """
    dataset = template
    _add_acquisition(dataset, plane)
    add_plane(dataset, plane.geometry)
    _add_pixels(dataset, pixels, look)
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER", look.kind]
    dataset.ContentQualification = RESEARCH
    dataset.DerivationDescription = ascii_text(look.derivation, 1024)
    dataset.DerivationCodeSequence = [codes.item(codes.PERFUSION_ANALYSIS)]
    dataset.SourceImageSequence = [source_reference(frame) for frame in plane.sources]
    if look.comment:
        dataset.ImageComments = ascii_text(look.comment, 10240)
    if look.real_world:
        dataset.RealWorldValueMappingSequence = list(look.real_world)
    return dataset


def derived_series(
    provenance: Provenance,
    planes: Sequence[Plane],
    images: Sequence[IntArray],
    look: Look,
    *,
    series: tuple[object, ...],
    series_number: int,
    series_description: str,
) -> list[Dataset]:
    """Make a series with one derived image a plane."""
    return [
        derived_image(
            new_object(
                provenance,
                MRImageStorage,
                modality="MR",
                series=series,
                series_number=series_number,
                series_description=series_description,
                instance_number=number,
            ),
            plane,
            image,
            look,
        )
        for number, (plane, image) in enumerate(zip(planes, images, strict=True), start=1)
    ]


def stored_scale(images: Sequence[FloatArray]) -> float:
    """Find the power of ten that carries signal into 16 bits with three digits or more.

    Signal of a classic scanner (hundreds to thousands) is kept as it is.
    """
    largest = max((float(np.nanmax(image)) for image in images), default=0.0)
    if not largest > 0:
        return 1.0
    if 100 <= largest <= LARGEST:
        return 1.0
    return float(10.0 ** np.floor(np.log10(LARGEST / largest)))


def stored(image: FloatArray, scale: float) -> IntArray:
    """Round an image to stored values; what is not finite becomes 0."""
    finite = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(np.rint(finite * scale), 0, LARGEST).astype("<u2")


def source_reference(frame: FrameSource) -> Dataset:
    """Name a source frame (an item of Source Image Sequence, PS3.3 C.12.4.1)."""
    item = Dataset()
    item.ReferencedSOPClassUID = frame.sop_class_uid
    item.ReferencedSOPInstanceUID = frame.sop_instance_uid
    if frame.frame_number is not None:
        item.ReferencedFrameNumber = frame.frame_number
    item.PurposeOfReferenceCodeSequence = [codes.item(codes.SOURCE_IMAGE)]
    return item


def add_plane(dataset: Dataset, geometry: SliceGeometry) -> None:
    """Say where the plane lies (Image Plane module, PS3.3 C.7.6.2)."""
    dataset.ImageOrientationPatient = [
        f"{value:.8f}" for value in (*geometry.column_direction, *geometry.row_direction)
    ]
    dataset.ImagePositionPatient = [f"{value:.6f}" for value in geometry.position_mm]
    dataset.PixelSpacing = [decimal(value) for value in geometry.spacing_mm]
    dataset.SliceThickness = decimal(geometry.thickness_mm)
    dataset.SliceLocation = f"{np.dot(geometry.position_mm, geometry.normal):.4f}"


def _add_acquisition(dataset: Dataset, plane: Plane) -> None:
    """Copy what the scanner did; the MR Image module wants some of it (PS3.3 C.8.3.1)."""
    balanced = plane.sequence is SequenceKind.BALANCED_SSFP
    dataset.ScanningSequence = ["GR"]
    dataset.SequenceVariant = ["SS"] if balanced else ["SP"]
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "2D"
    dataset.PatientPosition = ""
    for keyword in ("RepetitionTime", "EchoTime", "EchoTrainLength"):
        setattr(dataset, keyword, None)
    copy_valid(plane.header, dataset, _ACQUISITION)
    dataset.FrameOfReferenceUID = plane.frame_of_reference
    dataset.PositionReferenceIndicator = ""


def _add_pixels(dataset: Dataset, pixels: IntArray, look: Look) -> None:
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    if look.padding is not None:
        dataset.add_new("PixelPaddingValue", "US", look.padding)
    dataset.WindowCenter, dataset.WindowWidth = map(decimal, look.window)
    dataset.LossyImageCompression = "00"
    dataset.BurnedInAnnotation = "NO"
    set_pixels(dataset, pixels)


def set_pixels(dataset: Dataset, pixels: IntArray) -> None:
    """Put stored values in, as new elements."""
    dataset.add_new("SmallestImagePixelValue", "US", int(pixels.min()))
    dataset.add_new("LargestImagePixelValue", "US", int(pixels.max()))
    dataset.add_new("PixelData", "OW", np.ascontiguousarray(pixels, dtype="<u2").tobytes())
