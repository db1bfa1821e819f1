"""What every simulated MR object says, whatever the vendor."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from node.dicom_phantom.pictures import Acquisition, Picture
from pipeline.study import FloatArray, Readout, SequenceKind, SliceGeometry

STUDY_START = datetime(2020, 1, 1, 9, 0, 0)  # noqa: DTZ001 - DICOM's times are local
COMMENT = "SIMULATED by the perfusion-node phantom; no patient was imaged"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whom the files name: a seed, nobody."""

    seed: int
    weight_kg: float
    variant: str
    """Dialect and options, so that each has its own UIDs."""

    def uid(self, *parts: object) -> str:
        """UID under 2.25 derived from the parts, so that the same seed gives the same files."""
        text = "/".join(map(str, ("phantom", self.seed, self.variant, *parts)))
        digest = hashlib.sha256(text.encode()).digest()
        return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def start_dataset(subject: Subject, series: str, instance: int, sop_class: str) -> Dataset:
    """Patient, study, series and identity of one object."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = subject.uid(series, instance)
    dataset.StudyInstanceUID = subject.uid()
    dataset.SeriesInstanceUID = subject.uid(series)
    dataset.FrameOfReferenceUID = subject.uid("frame of reference")
    dataset.PatientName = f"PHANTOM^{subject.seed}"
    dataset.PatientID = f"PHANTOM-{subject.seed}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.PatientWeight = f"{subject.weight_kg:.1f}"
    dataset.StudyID = str(subject.seed)[:16]
    dataset.StudyDescription = "SIMULATED cardiac perfusion"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    day = f"{STUDY_START:%Y%m%d}"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDate = day
    dataset.StudyTime = clock(0.0)
    dataset.Modality = "MR"
    dataset.BodyPartExamined = "HEART"
    dataset.PatientPosition = "HFS"
    dataset.PositionReferenceIndicator = ""
    dataset.DeviceSerialNumber = "0"
    dataset.InstanceNumber = instance
    return dataset


def start_image(
    subject: Subject, acquisition: Acquisition, picture: Picture, series: str, instance: int
) -> Dataset:
    """Everything of one classic image that no vendor says otherwise."""
    dataset = start_dataset(subject, series, instance, MRImageStorage)
    dataset.ImageComments = COMMENT  # proton-density frames tell themselves by their flip angle
    dataset.SeriesDescription = dataset.ProtocolName = acquisition.description
    dataset.SeriesTime = clock(acquisition.start_s)
    dataset.ContentTime = clock(picture.time_s + 10.0)  # the reconstruction is some seconds late
    put_geometry(dataset, picture.geometry)
    readout = picture.readout
    # the standard has no word for saturation recovery in classic objects
    dataset.ScanningSequence = ["GR", "IR"]
    balanced = readout.sequence is SequenceKind.BALANCED_SSFP
    dataset.SequenceVariant = ["SK", "SS"] if balanced else ["SK", "SP"]
    dataset.ScanOptions = "CG"
    dataset.MRAcquisitionType = "2D"
    dataset.MagneticFieldStrength = f"{acquisition.physics.field_strength_t:g}"
    dataset.EchoTime = f"{readout.echo_time_s * 1e3:.4f}"
    dataset.FlipAngle = f"{np.degrees(readout.flip_angle_rad):.4f}"
    dataset.InversionTime = f"{inversion_time_ms(readout):.3f}"
    dataset.EchoTrainLength = 1
    dataset.ImagedNucleus = "1H"
    dataset.NumberOfAverages = "1"
    dataset.NumberOfPhaseEncodingSteps = lines_of(readout)
    dataset.TriggerTime = f"{picture.delay_in_beat_s * 1e3:.1f}"
    dataset.NominalInterval = round(60e3 / acquisition.heart_rate_bpm)
    dataset.HeartRate = round(acquisition.heart_rate_bpm)
    dataset.ContrastBolusAgent = "Gadobutrol"
    dataset.ContrastBolusVolume = dataset.ContrastBolusTotalDose = f"{acquisition.agent_ml:.3f}"
    return dataset


def inversion_time_ms(readout: Readout) -> float:
    """Saturation to the centre of k-space; 0 without saturation."""
    time_s = readout.time_to_centre_s
    return time_s * 1e3 if np.isfinite(time_s) else 0.0


def lines_of(readout: Readout) -> int:
    """Readout pulses of one image: the centre lies in the middle."""
    return 2 * readout.pulses_before_centre + 1


def put_geometry(dataset: Dataset, geometry: SliceGeometry) -> None:
    """Plane, spacing and thickness."""
    dataset.ImagePositionPatient = [f"{value:.6f}"[:16] for value in geometry.position_mm]
    dataset.ImageOrientationPatient = orientation(geometry)
    dataset.PixelSpacing = [f"{value:.8f}"[:16] for value in geometry.spacing_mm]
    dataset.SliceThickness = f"{geometry.thickness_mm:g}"
    dataset.SliceLocation = f"{float(np.dot(geometry.position_mm, geometry.normal)):.6f}"[:16]


def orientation(geometry: SliceGeometry) -> list[str]:
    """ImageOrientationPatient."""
    directions = (*geometry.column_direction, *geometry.row_direction)
    return [f"{value:.12f}"[:16] for value in directions]


def put_pixels(dataset: Dataset, stored: FloatArray, *, bits: int = 12) -> None:
    """Pixel data of one frame or of several, from stored values [..., row, column]."""
    pixels = np.clip(np.rint(stored), 0, 2**bits - 1).astype("<u2")
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.tobytes()


def put_window(dataset: Dataset, largest: float) -> None:
    """Set a window that shows most of the stored values."""
    dataset.WindowCenter = f"{0.25 * largest:.1f}"
    dataset.WindowWidth = f"{0.5 * largest:.1f}"


def clock(seconds: float) -> str:
    """DICOM time of day, `seconds` after the study began."""
    return f"{STUDY_START + timedelta(seconds=seconds):%H%M%S.%f}"


def date_time(seconds: float) -> str:
    """DICOM date and time, `seconds` after the study began."""
    return f"{STUDY_START + timedelta(seconds=seconds):%Y%m%d%H%M%S.%f}"
