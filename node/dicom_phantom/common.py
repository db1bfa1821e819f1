"""What every simulated MR object says, whatever the vendor."""

import hashlib
from datetime import datetime, timedelta

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from pipeline.study import FloatArray, Physics, Readout, SequenceKind, SliceGeometry

STUDY_START = datetime(2020, 1, 1, 9, 0, 0)  # noqa: DTZ001 - DICOM's times are local


def uid(*parts: object) -> str:
    """UID under 2.25 derived from the parts, so that the same seed gives the same files."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def base_dataset(seed: int, weight_kg: float, series_key: str, instance: int) -> Dataset:
    """Patient, study, series and identity of one classic MR image."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = uid("phantom", seed, series_key, instance)
    dataset.StudyInstanceUID = uid("phantom", seed)
    dataset.SeriesInstanceUID = uid("phantom", seed, series_key)
    dataset.FrameOfReferenceUID = uid("phantom", seed, "frame of reference")
    dataset.PatientName = f"PHANTOM^{seed}"
    dataset.PatientID = f"PHANTOM-{seed}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.PatientWeight = f"{weight_kg:.1f}"
    dataset.StudyID = str(seed)[:16]
    dataset.StudyDescription = "Simulated perfusion study"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = f"{STUDY_START:%Y%m%d}"
    dataset.AcquisitionDate = dataset.StudyDate
    dataset.StudyTime = f"{STUDY_START:%H%M%S}"
    dataset.ImageComments = "SIMULATED by perfusion-node phantom: no patient was imaged"
    dataset.Modality = "MR"
    dataset.BodyPartExamined = "HEART"
    dataset.PatientPosition = "HFS"
    dataset.PositionReferenceIndicator = ""
    dataset.InstanceNumber = instance
    return dataset


def put_geometry(dataset: Dataset, geometry: SliceGeometry) -> None:
    """Plane, spacing and thickness."""
    dataset.ImagePositionPatient = [f"{value:.6f}"[:16] for value in geometry.position_mm]
    directions = (*geometry.column_direction, *geometry.row_direction)
    dataset.ImageOrientationPatient = [f"{value:.12f}"[:16] for value in directions]
    dataset.PixelSpacing = [f"{value:.8f}"[:16] for value in geometry.spacing_mm]
    dataset.SliceThickness = f"{geometry.thickness_mm:g}"
    dataset.SliceLocation = f"{float(np.dot(geometry.position_mm, geometry.normal)):.6f}"[:16]


def put_readout(dataset: Dataset, physics: Physics, readout: Readout) -> None:
    """Sequence, field strength and contrast agent in standard attributes."""
    balanced = readout.sequence is SequenceKind.BALANCED_SSFP
    dataset.ScanningSequence = ["GR", "IR"]  # the standard has no word for saturation recovery
    dataset.SequenceVariant = ["SK", "SS"] if balanced else ["SK", "SP"]
    dataset.ScanOptions = "CG"
    dataset.MRAcquisitionType = "2D"
    dataset.MagneticFieldStrength = f"{physics.field_strength_t:g}"
    dataset.EchoTime = f"{readout.echo_time_s * 1e3:.4f}"
    dataset.FlipAngle = f"{np.degrees(readout.flip_angle_rad):.4f}"
    dataset.EchoTrainLength = 1
    dataset.ImagedNucleus = "1H"
    dataset.ContrastBolusAgent = "Gadobutrol"


def put_pixels(dataset: Dataset, stored: FloatArray) -> None:
    """Pixel data of one frame of stored values [row, column]."""
    pixels = np.clip(np.rint(stored), 0, 4095).astype("<u2")
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.tobytes()


def clock(seconds: float) -> str:
    """DICOM time of day, `seconds` after the study began."""
    return f"{STUDY_START + timedelta(seconds=seconds):%H%M%S.%f}"
