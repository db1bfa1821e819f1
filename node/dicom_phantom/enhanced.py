"""Enhanced MR (PS3.3 A.36.2): one multi-frame object per acquisition (Siemens XA, Philips).

Dimensions are the temporal position and the position in the stack; each frame has its own
FrameAcquisitionDateTime. Saturation recovery has its own word here.
"""

from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage

from node.dicom_phantom.common import (
    COMMENT,
    Subject,
    clock,
    date_time,
    put_pixels,
    start_dataset,
)
from node.dicom_phantom.functional_groups import (
    FRAME_TYPE,
    LARGEST_STORED,
    item_of,
    per_frame,
    sequence_of,
    shared,
)
from node.dicom_phantom.philips import put_private, scale_slopes
from node.dicom_phantom.pictures import Acquisition, Picture
from pipeline.study import SequenceKind


def enhanced(subject: Subject, made: list[Acquisition]) -> Iterator[Dataset]:
    """Yield one object per acquisition in the way of Siemens XA."""
    factor = min(1.0, LARGEST_STORED / max(acquisition.largest for acquisition in made))
    for acquisition in made:
        dataset = _object(subject, acquisition, factor)
        dataset.Manufacturer = "SIEMENS"
        dataset.SoftwareVersions = "syngo MR XA60"
        dataset.PulseSequenceName = "tfl"
        for item in dataset.PerFrameFunctionalGroupsSequence:
            item.PixelValueTransformationSequence = sequence_of(
                RescaleSlope="1", RescaleIntercept="0", RescaleType="US"
            )
        yield dataset


def enhanced_philips(subject: Subject, made: list[Acquisition]) -> Iterator[Dataset]:
    """Yield one object per acquisition in the way of Philips: a grey scale for each."""
    for acquisition in made:
        scale, rescale = scale_slopes(acquisition)
        dataset = _object(subject, acquisition, scale)
        dataset.Manufacturer = "Philips Medical Systems"
        dataset.SoftwareVersions = "5.7.1"
        dataset.PulseSequenceName = "TFE"
        items = dataset.PerFrameFunctionalGroupsSequence
        for picture, item in zip(_in_time(acquisition), items, strict=True):
            item.PixelValueTransformationSequence = sequence_of(
                RescaleSlope=f"{rescale:g}", RescaleIntercept="0", RescaleType="US"
            )
            nested = Dataset()
            put_private(nested, acquisition, picture)
            block = item.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
            block.add_new(0x0F, "SQ", Sequence([nested]))
        yield dataset


def _in_time(acquisition: Acquisition) -> list[Picture]:
    return sorted(acquisition.pictures, key=lambda picture: (picture.frame, picture.position))


def _object(subject: Subject, acquisition: Acquisition, factor: float) -> Dataset:
    pictures = _in_time(acquisition)
    dataset = start_dataset(subject, acquisition.key, 1, EnhancedMRImageStorage)
    del dataset.BodyPartExamined, dataset.AcquisitionDate
    dataset.ImageComments = COMMENT
    dataset.ManufacturerModelName = "Simulated"
    dataset.SeriesNumber = acquisition.number
    dataset.SeriesDescription = dataset.ProtocolName = acquisition.description
    dataset.SeriesTime = clock(acquisition.start_s)
    dataset.ContentTime = clock(pictures[-1].time_s + 10.0)
    dataset.AcquisitionNumber = 1
    dataset.AcquisitionDateTime = date_time(pictures[0].time_s)
    dataset.AcquisitionDuration = 1e3 * (pictures[-1].time_s - pictures[0].time_s)
    dataset.NumberOfFrames = len(pictures)
    _put_image(dataset, acquisition)
    _put_sequence(dataset, acquisition, pictures[-1])
    _put_contrast(dataset, acquisition)
    _put_dimensions(dataset, subject, acquisition)
    dataset.SharedFunctionalGroupsSequence = Sequence([shared(acquisition, pictures[-1])])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        [per_frame(acquisition, picture) for picture in pictures]
    )
    put_pixels(dataset, np.stack([picture.pixels for picture in pictures]) * factor)
    return dataset


def _put_image(dataset: Dataset, acquisition: Acquisition) -> None:
    dataset.ImageType = list(FRAME_TYPE)
    dataset.PixelPresentation = "MONOCHROME"
    dataset.VolumetricProperties = "VOLUME"
    dataset.VolumeBasedCalculationTechnique = "NONE"
    dataset.ComplexImageComponent = "MAGNITUDE"
    dataset.AcquisitionContrast = "PERFUSION"
    dataset.ContentQualification = "RESEARCH"
    dataset.MagneticFieldStrength = acquisition.physics.field_strength_t
    dataset.ResonantNucleus = "1H"
    dataset.ApplicableSafetyStandardAgency = "IEC"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.AcquisitionContextSequence = Sequence()


def _put_sequence(dataset: Dataset, acquisition: Acquisition, picture: Picture) -> None:
    """MR Pulse Sequence and Cardiac Synchronization modules (PS3.3 C.8.13.4, C.7.6.18.1)."""
    balanced = picture.readout.sequence is SequenceKind.BALANCED_SSFP
    dataset.MRAcquisitionType = "2D"
    dataset.EchoPulseSequence = "GRADIENT"
    dataset.MultiPlanarExcitation = "NO"
    dataset.PhaseContrast = "NO"
    dataset.TimeOfFlightContrast = "NO"
    dataset.SteadyStatePulseSequence = "FREE_PRECESSION" if balanced else "NONE"
    dataset.EchoPlanarPulseSequence = "NO"
    dataset.SaturationRecovery = "YES"
    dataset.SpectrallySelectedSuppression = "NONE"
    dataset.OversamplingPhase = "NONE"
    dataset.GeometryOfKSpaceTraversal = "RECTILINEAR"
    dataset.SegmentedKSpaceTraversal = "SINGLE"
    dataset.RectilinearPhaseEncodeReordering = "LINEAR"
    dataset.NumberOfKSpaceTrajectories = 1
    dataset.KSpaceFiltering = "NONE"
    dataset.CardiacSynchronizationTechnique = "PROSPECTIVE"
    dataset.CardiacSignalSource = "ECG"
    dataset.CardiacRRIntervalSpecified = 60e3 / acquisition.heart_rate_bpm
    dataset.CardiacBeatRejectionTechnique = "NONE"
    dataset.LowRRValue = dataset.HighRRValue = round(60e3 / acquisition.heart_rate_bpm)
    dataset.IntervalsAcquired = acquisition.n_frames
    dataset.IntervalsRejected = 0


def _put_contrast(dataset: Dataset, acquisition: Acquisition) -> None:
    item = item_of(CodeValue="407976008", CodingSchemeDesignator="SCT", CodeMeaning="Gadobutrol")
    item.ContrastBolusAgentNumber = 1
    item.ContrastBolusVolume = f"{acquisition.agent_ml:.3f}"
    item.ContrastBolusAdministrationRouteSequence = sequence_of(
        CodeValue="47625008", CodingSchemeDesignator="SCT", CodeMeaning="Intravenous route"
    )
    item.ContrastBolusIngredientCodeSequence = sequence_of(
        CodeValue="105879004", CodingSchemeDesignator="SCT", CodeMeaning="Gadolinium"
    )
    item.ContrastBolusIngredientConcentration = 604.72  # mg/mL: 1 mmol/mL of gadobutrol
    dataset.ContrastBolusAgentSequence = Sequence([item])


def _put_dimensions(dataset: Dataset, subject: Subject, acquisition: Acquisition) -> None:
    uid = subject.uid(acquisition.key, "dimensions")
    dataset.DimensionOrganizationSequence = sequence_of(DimensionOrganizationUID=uid)
    dataset.DimensionIndexSequence = Sequence(
        [
            item_of(
                DimensionOrganizationUID=uid,
                DimensionIndexPointer=pointer,
                FunctionalGroupPointer=0x00209111,
                DimensionDescriptionLabel=label,
            )
            for pointer, label in (
                (0x00209128, "Temporal Position Index"),
                (0x00209057, "In-Stack Position Number"),
            )
        ]
    )
