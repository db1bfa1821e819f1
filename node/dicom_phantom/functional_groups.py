"""Functional groups of simulated enhanced MR objects (PS3.3 C.7.6.16.2 and C.8.13.5)."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.dicom_phantom.common import date_time, inversion_time_ms, lines_of, orientation
from node.dicom_phantom.pictures import Acquisition, Picture
from pipeline.study import Readout, SequenceKind, SliceGeometry

LARGEST_STORED = 4095.0
FRAME_TYPE = ("ORIGINAL", "PRIMARY", "PERFUSION", "NONE")


def shared(acquisition: Acquisition, picture: Picture) -> Dataset:
    """Make the groups that hold for all frames."""
    lines = lines_of(picture.readout)
    return item_of(
        **_plane(picture.geometry),
        **_coils(),
        MRImageFrameTypeSequence=sequence_of(
            FrameType=list(FRAME_TYPE),
            PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME",
            VolumeBasedCalculationTechnique="NONE",
            ComplexImageComponent="MAGNITUDE",
            AcquisitionContrast="PERFUSION",
        ),
        MRFOVGeometrySequence=sequence_of(
            InPlanePhaseEncodingDirection="ROW",
            MRAcquisitionFrequencyEncodingSteps=picture.pixels.shape[0],
            MRAcquisitionPhaseEncodingStepsInPlane=lines,
            PercentSampling=100.0,
            PercentPhaseFieldOfView=100.0,
        ),
        MREchoSequence=sequence_of(EffectiveEchoTime=picture.readout.echo_time_s * 1e3),
        MRAveragesSequence=sequence_of(NumberOfAverages="1"),
        ContrastBolusUsageSequence=sequence_of(
            ContrastBolusAgentNumber=1,
            ContrastBolusAgentAdministered="YES",
            ContrastBolusAgentDetected="YES",
        ),
        FrameVOILUTSequence=sequence_of(
            WindowCenter=f"{0.25 * LARGEST_STORED:.1f}", WindowWidth=f"{0.5 * LARGEST_STORED:.1f}"
        ),
        CardiacSynchronizationSequence=sequence_of(
            NominalPercentageOfCardiacPhase=50.0,
            NominalCardiacTriggerDelayTime=picture.delay_in_beat_s * 1e3,
            RRIntervalTimeNominal=60e3 / acquisition.heart_rate_bpm,
        ),
    )


def _plane(geometry: SliceGeometry) -> dict[str, Sequence]:
    return {
        "PixelMeasuresSequence": sequence_of(
            PixelSpacing=[f"{value:.8f}" for value in geometry.spacing_mm],
            SliceThickness=f"{geometry.thickness_mm:g}",
        ),
        "PlaneOrientationSequence": sequence_of(ImageOrientationPatient=orientation(geometry)),
        "FrameAnatomySequence": sequence_of(
            FrameLaterality="U",
            AnatomicRegionSequence=sequence_of(
                CodeValue="80891009", CodingSchemeDesignator="SCT", CodeMeaning="Heart"
            ),
        ),
    }


def _coils() -> dict[str, Sequence]:
    return {
        "MRReceiveCoilSequence": sequence_of(
            ReceiveCoilName="ARRAY",
            ReceiveCoilManufacturerName="",
            ReceiveCoilType="MULTICOIL",
            QuadratureReceiveCoil="NO",
            MultiCoilDefinitionSequence=sequence_of(
                MultiCoilElementName="1", MultiCoilElementUsed="YES"
            ),
        ),
        "MRTransmitCoilSequence": sequence_of(
            TransmitCoilName="BODY", TransmitCoilManufacturerName="", TransmitCoilType="BODY"
        ),
    }


def per_frame(acquisition: Acquisition, picture: Picture) -> Dataset:
    """Make the groups of one frame."""
    readout = picture.readout
    return item_of(
        FrameContentSequence=sequence_of(
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
        PlanePositionSequence=sequence_of(
            ImagePositionPatient=[f"{value:.6f}" for value in picture.geometry.position_mm]
        ),
        MRTimingAndRelatedParametersSequence=Sequence([_timing(readout)]),
        MRModifierSequence=sequence_of(
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
        MRImagingModifierSequence=sequence_of(
            MagnetizationTransfer="NONE",
            BloodSignalNulling="NO",
            Tagging="NONE",
            TransmitterFrequency=42.577478 * acquisition.physics.field_strength_t,
            PixelBandwidth="1000",
        ),
    )


def _timing(readout: Readout) -> Dataset:
    return item_of(
        RepetitionTime=f"{readout.repetition_time_s * 1e3:.3f}",
        FlipAngle=f"{np.degrees(readout.flip_angle_rad):.4f}",
        EchoTrainLength=1,
        RFEchoTrainLength=0,
        GradientEchoTrainLength=1,
        GradientOutputType="DB_DT",
        GradientOutput=150.0,
        SpecificAbsorptionRateSequence=sequence_of(
            SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY", SpecificAbsorptionRateValue=0.2
        ),
        OperatingModeSequence=sequence_of(
            OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL"
        ),
    )


def item_of(**values: object) -> Dataset:
    """Make an item of a sequence."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def sequence_of(**values: object) -> Sequence:
    """Make a sequence of one item."""
    return Sequence([item_of(**values)])
