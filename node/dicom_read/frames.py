"""Instances to frames: one record per image, the same for classic and multi-frame instances."""

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset
from pydicom.uid import UID

from node.dicom_read.functional_groups import frame_headers
from node.dicom_read.header import Header
from node.dicom_read.instances import MULTI_FRAME_CLASSES, Aside, Instance, series_name
from node.dicom_read.sources import FrameSource
from pipeline.study import SliceGeometry


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Frame:
    """One image: what it is, where it lies, and where its other attributes are."""

    source: FrameSource
    header: Header
    dataset: Dataset
    """The whole instance, for its pixel data."""
    series_uid: str
    image_type: frozenset[str]
    rows: int
    columns: int
    geometry: SliceGeometry
    second_echo: "Frame | None" = None
    """The same image at a later echo time, where one was taken."""

    @property
    def echo_time_ms(self) -> float | None:
        """Echo time of the header."""
        return self.header.number("EchoTime", "EffectiveEchoTime")

    @property
    def series(self) -> str:
        """The series' name for people."""
        return series_name(self.header)


def frames_of(instance: Instance, aside: Aside) -> list[Frame]:
    """Return the frames of one instance; what has no place in the patient is set aside."""
    multi_frame = instance.header.text("SOPClassUID") in MULTI_FRAME_CLASSES
    headers = frame_headers(instance.dataset) if multi_frame else _one_header(instance)
    if headers is None:
        reason = "the number of its frames contradicts itself"
        aside.add(series_name(instance.header), reason, [instance.path])
        return []
    frames = [
        _frame(instance, header, number if multi_frame else None)
        for number, header in enumerate(headers, start=1)
    ]
    placed = [frame for frame in frames if frame is not None]
    if len(placed) < len(frames):
        reason = "it does not say where the image lies in the patient"
        aside.add(series_name(instance.header), reason, [instance.path])
    return placed


def _one_header(instance: Instance) -> list[Header] | None:
    """Return the header of a classic image; None where it claims to be several."""
    return [instance.header] if instance.header.number("NumberOfFrames") in (None, 1) else None


def _frame(instance: Instance, header: Header, number: int | None) -> Frame | None:
    """Make the record of one frame; None where it has no place in the patient."""
    geometry = plane_of(header)
    rows, columns = header.number("Rows"), header.number("Columns")
    if geometry is None or not rows or not columns:
        return None
    types = header.texts("FrameType") or header.texts("ImageType")
    types += header.texts("ComplexImageComponent")
    return Frame(
        source=FrameSource(
            path=instance.path,
            sop_class_uid=UID(header.text("SOPClassUID")),
            sop_instance_uid=header.text("SOPInstanceUID"),
            frame_number=number,
        ),
        header=header,
        dataset=instance.dataset,
        series_uid=header.text("SeriesInstanceUID"),
        image_type=frozenset(word.upper() for word in types),
        rows=int(rows),
        columns=int(columns),
        geometry=geometry,
    )


def plane_of(header: Header) -> SliceGeometry | None:
    """Read the place of an image in the patient exactly as it stands (PS3.3 C.7.6.2.1.1)."""
    position = header.numbers("ImagePositionPatient", 3)
    orientation = header.numbers("ImageOrientationPatient", 6)
    spacing = header.numbers("PixelSpacing", 2)
    if position is None or orientation is None or spacing is None or min(spacing) <= 0:
        return None
    along_row, down_column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(along_row), np.linalg.norm(down_column)
    if max(abs(length - 1) for length in lengths) > 1e-3 or abs(along_row @ down_column) > 1e-3:
        return None
    thickness = header.number("SliceThickness")
    return SliceGeometry(
        position_mm=(position[0], position[1], position[2]),
        column_direction=(orientation[0], orientation[1], orientation[2]),
        row_direction=(orientation[3], orientation[4], orientation[5]),
        spacing_mm=(spacing[0], spacing[1]),
        thickness_mm=thickness if thickness is not None and thickness > 0 else 0.0,
    )
