"""DICOM Segmentations to what was drawn, plane by plane."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pydicom import Dataset
from pydicom.uid import UID, SegmentationStorage

from node.annotated.roles import NEEDED, Role, role_of
from node.dicom_read.frames import plane_of
from node.dicom_read.functional_groups import frame_headers
from node.dicom_read.header import Header
from node.errors import UsageError
from pipeline.study import BoolArray, FloatArray, SliceGeometry

LABEL_MAP_STORAGE: Final = UID("1.2.840.10008.5.1.4.1.1.66.7")
SEGMENTATION_CLASSES: Final = frozenset({SegmentationStorage, LABEL_MAP_STORAGE})

_SAME_PLANE_MM: Final = 0.1


class AnnotationError(UsageError):
    """Annotations cannot be learned from; the message names files and what is missing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawing:
    """What somebody drew in one plane."""

    file: str
    geometry: SliceGeometry
    frame_of_reference_uid: str
    masks: Mapping[Role, BoolArray]
    """[row, column]; a role that was not drawn here is absent."""
    drawn_on: frozenset[tuple[str, int]]
    """SOP Instance UID and frame number (1 for a single frame) of images that it refers to."""


def drawings_of(path: Path, dataset: Dataset) -> list[Drawing]:
    """Return what a Segmentation holds, plane by plane; nothing where no segment is of use to us.

    Raises
    ------
    AnnotationError
        A segment that is needed is missing, or the object cannot be read.
    """
    roles = {
        int(segment.number("SegmentNumber") or 0): role
        for segment in Header(dataset).items("SegmentSequence")
        if (role := role_of(segment)) is not None
    }
    if not roles:
        return []
    missing = [role for role in NEEDED if role not in roles.values()]
    if missing:
        raise AnnotationError(f"{path.name}: it has no segment for {', '.join(missing)}")
    headers = frame_headers(dataset)
    if headers is None:
        raise AnnotationError(f"{path.name}: the number of its frames contradicts itself")
    planes: list[list[tuple[Role, BoolArray, Header, SliceGeometry]]] = []
    for header, pixels in zip(headers, _pixels(path, dataset), strict=True):
        geometry = plane_of(header)
        if geometry is None:
            raise AnnotationError(f"{path.name}: a frame does not say where it lies in the patient")
        for role, mask in _drawn(header, pixels, dataset, roles).items():
            near = next((one for one in planes if _same_plane(one[0][3], geometry)), None)
            if near is None:
                planes.append(near := [])
            near.append((role, mask, header, geometry))
    return [_drawing(path, dataset, plane) for plane in planes]


def _drawing(
    path: Path,
    dataset: Dataset,
    plane: list[tuple[Role, BoolArray, Header, SliceGeometry]],
) -> Drawing:
    masks: dict[Role, BoolArray] = {}
    for role, mask, _, _ in plane:
        masks[role] = masks[role] | mask if role in masks else mask
    return Drawing(
        file=path.name,
        geometry=plane[0][3],
        frame_of_reference_uid=Header(dataset).text("FrameOfReferenceUID"),
        masks=masks,
        drawn_on=frozenset(one for _, _, header, _ in plane for one in sources_of(header)),
    )


def _pixels(path: Path, dataset: Dataset) -> FloatArray:
    """Decode all frames [frame, row, column]."""
    try:
        pixels = dataset.pixel_array
    except Exception as error:  # decoders raise anything at all on broken data
        raise AnnotationError(f"{path.name}: its pixel data cannot be decoded") from error
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels


def _drawn(
    header: Header, pixels: FloatArray, dataset: Dataset, roles: Mapping[int, Role]
) -> dict[Role, BoolArray]:
    """Return the masks of one frame that are not empty: of one segment, or of a label map's all."""
    kind = Header(dataset).text("SegmentationType")
    if kind == "LABELMAP":
        labelled = {number: pixels == number for number in roles}
    else:
        number = int(header.number("ReferencedSegmentNumber") or 0)
        most = Header(dataset).number("MaximumFractionalValue") if kind == "FRACTIONAL" else 1.0
        labelled = {number: pixels >= 0.5 * (most or 1.0)}
    drawn: dict[Role, BoolArray] = {}
    for number, mask in labelled.items():
        if number in roles and mask.any():
            role = roles[number]
            drawn[role] = drawn[role] | mask if role in drawn else mask
    return drawn


def sources_of(header: Header) -> list[tuple[str, int]]:
    """Return the images from which a frame or an image was derived: UID and frame number."""
    return [
        (image.text("ReferencedSOPInstanceUID"), int(image.number("ReferencedFrameNumber") or 1))
        for image in header.items("SourceImageSequence")
    ]


def _same_plane(one: SliceGeometry, other: SliceGeometry) -> bool:
    apart = np.subtract(one.position_mm, other.position_mm)
    return bool(np.abs(apart).max() < _SAME_PLANE_MM)
