"""Builds minimal MR instances for tests of reading: one builder, everything else is overrides."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

# along a row, down a column: a usual short-axis plane
ORIENTATION = (0.6513, 0.7580, 0.0344, -0.1906, 0.2074, -0.9595)
STUDY_UID = "1.2.826.0.1.3680043.8.498.1"


def unit_orientation() -> tuple[float, ...]:
    """Return two directions at right angles, rounded as scanners write them."""
    along = np.array(ORIENTATION[:3]) / np.linalg.norm(ORIENTATION[:3])
    down = np.array(ORIENTATION[3:]) - along * (along @ np.array(ORIENTATION[3:]))
    down /= np.linalg.norm(down)
    return tuple(round(float(value), 10) for value in (*along, *down))


@dataclass(frozen=True, kw_only=True)
class Series:
    """A dynamic series of classic MR images; `change` may alter each (slice, time, dataset)."""

    number: int = 5
    description: str = "perfusion"
    slices: int = 2
    frames: int = 24
    start_s: float = 10 * 3600.0
    interval_s: float = 0.8
    shape: tuple[int, int] = (12, 10)
    spacing_mm: tuple[float, float] = (2.0, 1.5)
    slice_distance_mm: float = 18.0
    first_slice: int = 0
    change: Callable[[int, int, Dataset], None] = field(default=lambda *_: None)

    def datasets(self) -> list[Dataset]:
        """Return all images, slice by slice."""
        return [
            self._dataset(index, time)
            for index in range(self.first_slice, self.first_slice + self.slices)
            for time in range(self.frames)
        ]

    def _dataset(self, index: int, time: int) -> Dataset:
        orientation = unit_orientation()
        normal = np.cross(orientation[:3], orientation[3:])
        position = np.array([-10.0, -200.0, 20.0]) + normal * self.slice_distance_mm * index
        instance = (index - self.first_slice) * self.frames + time + 1
        seconds = self.start_s + time * self.interval_s + 0.12 * index
        dataset = image(f"{STUDY_UID}.{self.number}.{instance}", value=10 * index + time)
        update(
            dataset,
            SeriesInstanceUID=f"{STUDY_UID}.{self.number}",
            SeriesNumber=self.number,
            SeriesDescription=self.description,
            InstanceNumber=instance,
            AcquisitionDate=f"{date(2024, 1, 31) + timedelta(seconds // 86400):%Y%m%d}",
            AcquisitionTime=clock(seconds),
            ImagePositionPatient=[round(float(value), 6) for value in position],
            ImageOrientationPatient=list(orientation),
            PixelSpacing=list(self.spacing_mm),
        )
        set_pixels(dataset, np.full(self.shape, 10 * index + time, dtype=np.uint16))
        self.change(index, time, dataset)
        return dataset


def image(uid: str, value: int = 0) -> Dataset:
    """Return one classic MR image of a spoiled saturation-recovery readout."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    update(
        dataset,
        SOPClassUID=MRImageStorage,
        SOPInstanceUID=uid,
        StudyInstanceUID=STUDY_UID,
        FrameOfReferenceUID=f"{STUDY_UID}.99",
        PatientID="P1",
        PatientName="Nobody^Test",
        PatientWeight=75,
        Modality="MR",
        Manufacturer="Maker",
        ImageType=["ORIGINAL", "PRIMARY", "M"],
        StudyDate="20240131",
        StudyTime="095500",
        MagneticFieldStrength=3,
        RepetitionTime=2.5,
        EchoTime=1.1,
        InversionTime=100,
        FlipAngle=14,
        NumberOfPhaseEncodingSteps=60,
        NominalInterval=800,
        SliceThickness=8,
    )
    set_pixels(dataset, np.full((4, 4), value, dtype=np.uint16))
    return dataset


def set_pixels(dataset: Dataset, pixels: np.ndarray) -> None:
    """Store native pixel data."""
    update(
        dataset,
        Rows=pixels.shape[-2],
        Columns=pixels.shape[-1],
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        PixelRepresentation=int(pixels.dtype == np.int16),
    )
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"


def update(dataset: Dataset, **values: Any) -> None:
    """Set attributes by keyword."""
    for keyword, value in values.items():
        setattr(dataset, keyword, value)


def clock(seconds: float) -> str:
    """Return a TM value; whole days are dropped."""
    rest = seconds % 86400
    return f"{int(rest // 3600):02d}{int(rest % 3600 // 60):02d}{rest % 60:09.6f}"


def write(datasets: Iterable[Dataset], folder: Path) -> list[Path]:
    """Write instances under names that say nothing, return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for dataset in datasets:
        path = folder / f"{dataset.SOPInstanceUID.replace('.', '_')}"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def enhanced(datasets: list[Dataset], *, uid: str, legacy: bool = False) -> Dataset:
    """Return the classic images as one Enhanced or Legacy Converted Enhanced MR instance."""
    first = datasets[0]
    result = Dataset()
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword in _INSTANCE_LEVEL:
        if keyword in first:
            setattr(result, keyword, first.get(keyword))
    sop_class = LegacyConvertedEnhancedMRImageStorage if legacy else EnhancedMRImageStorage
    update(result, SOPClassUID=sop_class, SOPInstanceUID=uid, NumberOfFrames=len(datasets))
    set_pixels(result, np.stack([dataset.pixel_array for dataset in datasets]))
    shared = _item(
        PixelMeasuresSequence=_item(
            PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness
        ),
        PlaneOrientationSequence=_item(ImageOrientationPatient=first.ImageOrientationPatient),
        MRTimingAndRelatedParametersSequence=_item(
            RepetitionTime=first.RepetitionTime, FlipAngle=first.FlipAngle
        ),
        MRModifierSequence=_item(InversionTimes=[float(first.InversionTime)]),
        MRFOVGeometrySequence=_item(
            MRAcquisitionPhaseEncodingStepsInPlane=int(first.NumberOfPhaseEncodingSteps)
        ),
        MREchoSequence=_item(EffectiveEchoTime=float(first.EchoTime)),
    )
    result.SharedFunctionalGroupsSequence = [shared]
    result.PerFrameFunctionalGroupsSequence = [
        _frame_item(dataset, legacy=legacy) for dataset in datasets
    ]
    return result


_INSTANCE_LEVEL = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "FrameOfReferenceUID",
    "PatientID",
    "PatientName",
    "PatientWeight",
    "Modality",
    "Manufacturer",
    "ImageType",
    "StudyDate",
    "StudyTime",
    "MagneticFieldStrength",
)


def _frame_item(dataset: Dataset, *, legacy: bool) -> Dataset:
    """Return the functional groups of one frame."""
    item = _item(
        PlanePositionSequence=_item(ImagePositionPatient=dataset.ImagePositionPatient),
        MRImageFrameTypeSequence=_item(FrameType=["ORIGINAL", "PRIMARY", "PERFUSION", "NONE"]),
    )
    if legacy:
        item.UnassignedPerFrameConvertedAttributesSequence = [
            _item(
                AcquisitionDate=dataset.AcquisitionDate,
                AcquisitionTime=dataset.AcquisitionTime,
                NominalInterval=dataset.NominalInterval,
            )
        ]
    else:
        moment = f"{dataset.AcquisitionDate}{dataset.AcquisitionTime}"
        item.FrameContentSequence = [_item(FrameAcquisitionDateTime=moment)]
        item.CardiacSynchronizationSequence = [_item(RRIntervalTimeNominal=800.0)]
    if "RescaleSlope" in dataset:
        item.PixelValueTransformationSequence = [
            _item(RescaleSlope=dataset.RescaleSlope, RescaleIntercept=dataset.RescaleIntercept)
        ]
    return item


def _item(**values: Any) -> Dataset:
    """Return a sequence item; data sets among the values become sequences."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, [value] if isinstance(value, Dataset) else value)
    return item
