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
    inversion_time_ms,
    lines_of,
    orientation,
    put_pixels,
    start_dataset,
)
from node.dicom_phantom.philips import put_private, scale_slopes
from node.dicom_phantom.pictures import Acquisition, Picture
from pipeline.study import SequenceKind

_LARGEST_STORED = 4095.0
_FRAME_TYPE = ("ORIGINAL", "PRIMARY", "PERFUSION", "NONE")


def enhanced(subject: Subject, made: list[Acquisition]) -> Iterator[Dataset]:
    """Yield one object per acquisition in the way of Siemens XA."""
    factor = min(1.0, _LARGEST_STORED / max(acquisition.largest for acquisition in made))
    for acquisition in made:
        dataset = _object(subject, acquisition, factor)
        dataset.Manufacturer = "SIEMENS"
        dataset.SoftwareVersions = "syngo MR XA60"
        dataset.PulseSequenceName = "tfl"
        for item in dataset.PerFrameFunctionalGroupsSequence:
            item.PixelValueTransformationSequence = _one(
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
            item.PixelValueTransformationSequence = _one(
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
    dataset.SharedFunctionalGroupsSequence = Sequence([_shared(acquisition, pictures[-1])])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        [_per_frame(acquisition, picture) for picture in pictures]
    )
    put_pixels(dataset, np.stack([picture.pixels for picture in pictures]) * factor)
    return dataset


def _put_image(dataset: Dataset, acquisition: Acquisition) -> None:
    dataset.ImageType = list(_FRAME_TYPE)
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
    item = _item(CodeValue="407976008", CodingSchemeDesignator="SCT", CodeMeaning="Gadobutrol")
    item.ContrastBolusAgentNumber = 1
    item.ContrastBolusVolume = f"{acquisition.agent_ml:.3f}"
    item.ContrastBolusAdministrationRouteSequence = _one(
        CodeValue="47625008", CodingSchemeDesignator="SCT", CodeMeaning="Intravenous route"
    )
    item.ContrastBolusIngredientCodeSequence = _one(
        CodeValue="105879004", CodingSchemeDesignator="SCT", CodeMeaning="Gadolinium"
    )
    item.ContrastBolusIngredientConcentration = 604.72  # mg/mL: 1 mmol/mL of gadobutrol
    dataset.ContrastBolusAgentSequence = Sequence([item])


def _put_dimensions(dataset: Dataset, subject: Subject, acquisition: Acquisition) -> None:
    uid = subject.uid(acquisition.key, "dimensions")
    dataset.DimensionOrganizationSequence = _one(DimensionOrganizationUID=uid)
    dataset.DimensionIndexSequence = Sequence(
        [
            _item(
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


def _shared(acquisition: Acquisition, picture: Picture) -> Dataset:
    """Functional groups that hold for all frames (PS3.3 C.7.6.16.2 and C.8.13.5)."""
    geometry, readout = picture.geometry, picture.readout
    lines = lines_of(readout)
    return _item(
        PixelMeasuresSequence=_one(
            PixelSpacing=[f"{value:.8f}" for value in geometry.spacing_mm],
            SliceThickness=f"{geometry.thickness_mm:g}",
        ),
        PlaneOrientationSequence=_one(ImageOrientationPatient=orientation(geometry)),
        FrameAnatomySequence=_one(
            FrameLaterality="U",
            AnatomicRegionSequence=_one(
                CodeValue="80891009", CodingSchemeDesignator="SCT", CodeMeaning="Heart"
            ),
        ),
        MRImageFrameTypeSequence=_one(
            FrameType=list(_FRAME_TYPE),
            PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME",
            VolumeBasedCalculationTechnique="NONE",
            ComplexImageComponent="MAGNITUDE",
            AcquisitionContrast="PERFUSION",
        ),
        MRFOVGeometrySequence=_one(
            InPlanePhaseEncodingDirection="ROW",
            MRAcquisitionFrequencyEncodingSteps=picture.pixels.shape[0],
            MRAcquisitionPhaseEncodingStepsInPlane=lines,
            PercentSampling=100.0,
            PercentPhaseFieldOfView=100.0,
        ),
        MREchoSequence=_one(EffectiveEchoTime=readout.echo_time_s * 1e3),
        MRAveragesSequence=_one(NumberOfAverages="1"),
        MRReceiveCoilSequence=_one(
            ReceiveCoilName="ARRAY",
            ReceiveCoilManufacturerName="",
            ReceiveCoilType="MULTICOIL",
            QuadratureReceiveCoil="NO",
            MultiCoilDefinitionSequence=_one(MultiCoilElementName="1", MultiCoilElementUsed="YES"),
        ),
        MRTransmitCoilSequence=_one(
            TransmitCoilName="BODY", TransmitCoilManufacturerName="", TransmitCoilType="BODY"
        ),
        ContrastBolusUsageSequence=_one(
            ContrastBolusAgentNumber=1,
            ContrastBolusAgentAdministered="YES",
            ContrastBolusAgentDetected="YES",
        ),
        FrameVOILUTSequence=_one(
            WindowCenter=f"{0.25 * _LARGEST_STORED:.1f}", WindowWidth=f"{0.5 * _LARGEST_STORED:.1f}"
        ),
        CardiacSynchronizationSequence=_one(
            NominalPercentageOfCardiacPhase=50.0,
            NominalCardiacTriggerDelayTime=picture.delay_in_beat_s * 1e3,
            RRIntervalTimeNominal=60e3 / acquisition.heart_rate_bpm,
        ),
    )


def _per_frame(acquisition: Acquisition, picture: Picture) -> Dataset:
    readout = picture.readout
    return _item(
        FrameContentSequence=_one(
            FrameAcquisitionNumber=picture.frame + 1,
            FrameReferenceDateTime=date_time(picture.time_s),
            FrameAcquisitionDateTime=date_time(picture.time_s),
            FrameAcquisitionDuration=lines_of(readout) * readout.repetition_time_s * 1e3,
            FrameComments="proton density" if picture.proton_density else "",
            CardiacCyclePosition="UNDETERMINED",
            StackID="1",
            InStackPositionNumber=picture.position + 1,
            TemporalPositionIndex=picture.frame + 1,
            DimensionIndexValues=[picture.frame + 1, picture.position + 1],
        ),
        PlanePositionSequence=_one(
            ImagePositionPatient=[f"{value:.6f}" for value in picture.geometry.position_mm]
        ),
        MRTimingAndRelatedParametersSequence=_one(
            RepetitionTime=f"{readout.repetition_time_s * 1e3:.3f}",
            FlipAngle=f"{np.degrees(readout.flip_angle_rad):.4f}",
            EchoTrainLength=1,
            RFEchoTrainLength=0,
            GradientEchoTrainLength=1,
            GradientOutputType="DB_DT",
            GradientOutput=150.0,
            SpecificAbsorptionRateSequence=_one(
                SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY", SpecificAbsorptionRateValue=0.2
            ),
            OperatingModeSequence=_one(
                OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL"
            ),
        ),
        MRModifierSequence=_one(
            InversionRecovery="YES",
            InversionTimes=[inversion_time_ms(readout)],
            FlowCompensation="NONE",
            Spoiling="NONE" if readout.sequence is SequenceKind.BALANCED_SSFP else "RF",
            T2Preparation="NO",
            SpectrallySelectedExcitation="NONE",
            SpatialPresaturation="NONE",
            PartialFourier="NO",
            ParallelAcquisition="NO",
        ),
        MRImagingModifierSequence=_one(
            MagnetizationTransfer="NONE",
            BloodSignalNulling="NO",
            Tagging="NONE",
            TransmitterFrequency=42.577478 * acquisition.physics.field_strength_t,
            PixelBandwidth="1000",
        ),
    )


def _item(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _one(**values: object) -> Sequence:
    return Sequence([_item(**values)])
