import math
import struct

import pytest
from pydicom import Dataset

from node.config import Analysis, ProtocolPhysics
from node.dicom_read.header import Header
from node.dicom_read.physics import field_strength_t, read_physics, sequence_kind
from node.dicom_read.siemens import csa_values, readout_train
from pipeline.errors import InvalidStudyError
from pipeline.study import PARAMETER_NAMES, Origin, SequenceKind


def header(**values) -> Header:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return Header(dataset)


def physics(config=None, **values):
    values.setdefault("MagneticFieldStrength", 3)
    return read_physics(header(**values), config or Analysis())[0]


@pytest.mark.parametrize(
    ("values", "tesla"),
    [
        ({"MagneticFieldStrength": 1.5}, 1.5),
        ({"MagneticFieldStrength": 15000}, 1.5),
        ({"MagneticFieldStrength": 30000}, 3.0),
        ({"MagneticFieldStrength": 2.89362}, 2.89362),
        ({"ImagingFrequency": 63.87}, 1.5),
        ({"MagneticFieldStrength": 0, "ImagingFrequency": 127.76}, 3.0),
        ({"MagneticFieldStrength": 0}, None),
        ({}, None),
    ],
)
def test_field_strength_is_read_in_tesla_or_gauss_or_from_the_frequency(values, tesla):
    assert field_strength_t(header(**values)) == tesla


def test_a_field_without_constants_is_refused():
    with pytest.raises(InvalidStudyError, match="7 T"):
        physics(MagneticFieldStrength=7)


def test_the_delay_is_what_is_left_of_the_saturation_time_before_the_centre_of_k_space():
    found = physics(
        RepetitionTime=2.4, InversionTime=110, EchoTime=1.0, FlipAngle=12,
        NumberOfPhaseEncodingSteps=50,
    )  # fmt: skip

    assert found.readout.pulses_before_centre == 25
    assert found.readout.saturation_delay_s == pytest.approx(0.050)
    assert found.readout.time_to_centre_s == pytest.approx(0.110)
    assert found.readout.flip_angle_rad == pytest.approx(math.radians(12))
    readout = [name for name in found.origin if name.startswith("readout.")]
    assert {name for name in readout if found.origin[name] is not Origin.HEADER} == {
        "readout.saturation_efficiency",
        "readout.sequence",
    }


def test_every_value_with_an_origin_has_a_name_for_people():
    assert set(physics(PatientWeight=80, ContrastBolusVolume=8).origin) <= set(PARAMETER_NAMES)


def test_a_saturation_time_shorter_than_the_readout_goes_to_the_first_pulse_and_is_noted():
    values = header(
        MagneticFieldStrength=3, RepetitionTime=2.4, InversionTime=20, NumberOfPhaseEncodingSteps=50
    )

    found, notes = read_physics(values, Analysis())

    assert found.readout.saturation_delay_s == pytest.approx(0.020)
    assert any("taken as the time to the first readout pulse" in note for note in notes)


@pytest.mark.parametrize("configured_ms", [None, 33.0])
def test_nothing_is_noted_of_a_saturation_time_that_is_not_used(configured_ms):
    """The usual time, and the header's beside a configured one, are shorter than this readout."""
    protocol = ProtocolPhysics(protocol="perf", saturation_delay_ms=configured_ms)
    values = header(
        MagneticFieldStrength=3,
        SeriesDescription="perf",
        RepetitionTime=2.4,
        InversionTime=150 if configured_ms is None else 100,
        NumberOfPhaseEncodingSteps=100,
    )

    found, notes = read_physics(values, Analysis(protocols=(protocol,)))

    assert found.readout.saturation_delay_s == pytest.approx((configured_ms or 30.0) * 1e-3)
    assert not [note for note in notes if "saturation time" in note]


def test_the_time_between_slices_is_not_taken_for_the_time_between_pulses():
    found = physics(RepetitionTime=272.5, InversionTime=150)

    assert found.readout.repetition_time_s < 0.02
    assert found.origin["readout.repetition_time_s"] is Origin.DEFAULT


def test_acceleration_and_several_echoes_shorten_the_readout():
    assert physics(NumberOfPhaseEncodingSteps=96).readout.pulses_before_centre == 48
    fast = physics(NumberOfPhaseEncodingSteps=96, ParallelReductionFactorInPlane=2.0)
    assert fast.readout.pulses_before_centre == 24
    hybrid = physics(AcquisitionMatrix=[0, 128, 96, 0], EchoTrainLength=4)
    assert hybrid.readout.pulses_before_centre == 12
    turbo = physics(NumberOfPhaseEncodingSteps=96, EchoTrainLength=42)
    assert turbo.readout.pulses_before_centre == 21


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"SequenceName": "*tfl2d1"}, SequenceKind.SPOILED_GRADIENT_ECHO),
        ({"SequenceName": "*tfiperf2d1"}, SequenceKind.BALANCED_SSFP),
        ({"PulseSequenceName": "B-TFE"}, SequenceKind.BALANCED_SSFP),
        ({"PulseSequenceName": "T1TFE"}, SequenceKind.SPOILED_GRADIENT_ECHO),
        ({"SteadyStatePulseSequence": "FREE_PRECESSION"}, SequenceKind.BALANCED_SSFP),
        ({"SequenceVariant": ["SK", "SS"]}, SequenceKind.BALANCED_SSFP),
        ({"SequenceVariant": ["SK", "SP", "SS"]}, SequenceKind.SPOILED_GRADIENT_ECHO),
        ({"SequenceVariant": ["SK", "SP"]}, SequenceKind.SPOILED_GRADIENT_ECHO),
        ({"SequenceVariant": "NONE"}, None),
        ({}, None),
    ],
)
def test_balanced_and_spoiled_readouts_are_told_apart(values, kind):
    assert sequence_kind(header(**values)) is kind


def test_the_configuration_goes_before_the_header_for_matching_protocols_only():
    config = Analysis(
        protocols=(
            {"protocol": "other", "repetition_time_ms": 9},
            {
                "protocol": "PERF_.*tfl",
                "repetition_time_ms": 2.1,
                "saturation_delay_ms": 33,
                "pulses_before_centre": 30,
                "saturation_efficiency": 0.97,
                "dose_mmol_kg": 0.075,
            },
        )
    )

    found = physics(config, SeriesDescription="perf_stress_tfl", RepetitionTime=2.4)

    assert found.readout.repetition_time_s == pytest.approx(0.0021)
    assert found.readout.saturation_delay_s == pytest.approx(0.033)
    assert found.readout.pulses_before_centre == 30
    assert found.readout.saturation_efficiency == 0.97
    assert found.dose_mmol_kg == 0.075
    assert found.origin["dose_mmol_kg"] is Origin.CONFIGURATION
    assert found.origin["readout.repetition_time_s"] is Origin.CONFIGURATION


@pytest.mark.parametrize(
    ("values", "dose"),
    [
        ({"ContrastBolusAgent": "Gadovist", "ContrastBolusVolume": 7.5}, 0.1),
        ({"ContrastBolusAgent": "DOTAREM", "ContrastBolusVolume": 15}, 0.1),
        ({"ContrastBolusAgent": "Gadovist", "ContrastBolusTotalDose": 5.625}, 0.075),
        (
            {
                "ContrastBolusVolume": 15,
                "ContrastBolusIngredientConcentration": 0.5,
            },
            0.1,
        ),
        (
            {
                "ContrastBolusAgent": "Gadovist",
                "ContrastBolusVolume": 7.5,
                "ContrastBolusIngredientConcentration": 604.72,  # mg/mL, as the standard says
            },
            0.1,
        ),
        ({"ContrastBolusAgent": "Gadovist"}, None),
        ({"ContrastBolusVolume": 0}, None),
    ],
)
def test_the_dose_is_volume_times_concentration_over_weight(values, dose):
    found = physics(PatientWeight=75, **values)

    assert found.dose_mmol_kg == (None if dose is None else pytest.approx(dose))


def test_a_dose_that_nobody_gives_is_not_used_and_noted():
    values = header(MagneticFieldStrength=3, PatientWeight=75, ContrastBolusVolume=500)

    found, notes = read_physics(values, Analysis())

    assert found.dose_mmol_kg is None
    assert any("dose" in note for note in notes)


def test_the_agent_of_the_header_decides_the_relaxivity():
    gadoterate = physics(ContrastBolusAgent="Dotarem 0.5")
    gadobutrol = physics(ContrastBolusAgent="GADOVIST")

    assert gadoterate.r1_relaxivity_l_mmol_s < gadobutrol.r1_relaxivity_l_mmol_s
    assert gadoterate.origin["r1_relaxivity_l_mmol_s"] is Origin.HEADER
    assert physics().origin["r1_relaxivity_l_mmol_s"] is Origin.CONFIGURATION


def test_configured_relaxation_times_go_before_the_table():
    found = physics(Analysis(t1_blood_ms=1500))

    assert found.t1_blood_s == 1.5
    assert found.origin["t1_blood_s"] is Origin.CONFIGURATION
    assert found.origin["t1_myocardium_s"] is Origin.DEFAULT


def csa(**values) -> bytes:
    """Encode a CSA header of version SV10."""
    data = b"SV10\x04\x03\x02\x01" + struct.pack("<II", len(values), 77)
    for name, value in values.items():
        text = value.encode()
        data += struct.pack("<64si4siii", name.encode(), 1, b"DS", 0, 1, 77)
        data += struct.pack("<4i", len(text), len(text), 77, 0)
        data += text + bytes(-len(text) % 4)
    return data


def siemens(data: bytes, **values) -> Header:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    block = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", data)
    return Header(dataset)


SYMPHONY = csa(
    SliceMeasurementDuration="222.50000000", MeasuredFourierLines="72", EchoLinePosition="36"
)


def test_siemens_readout_follows_from_the_duration_of_a_slice():
    """Figures of a real examination (Symphony): spacing 2.01 ms, delay 77.5 ms."""
    values = siemens(SYMPHONY, MagneticFieldStrength=1.5, RepetitionTime=272.5, InversionTime=150)

    found, _ = read_physics(values, Analysis())

    assert found.readout.repetition_time_s * 1e3 == pytest.approx(2.0139, abs=1e-3)
    assert found.readout.saturation_delay_s * 1e3 == pytest.approx(77.5, abs=0.1)
    assert found.readout.pulses_before_centre == 36
    assert found.origin["readout.repetition_time_s"] is Origin.PRIVATE_HEADER
    assert found.origin["readout.pulses_before_centre"] is Origin.PRIVATE_HEADER


@pytest.mark.parametrize("cut", range(0, len(SYMPHONY), 23))
def test_a_private_header_that_is_cut_off_or_of_another_kind_is_survived(cut):
    assert set(csa_values(SYMPHONY[:cut])) <= set(csa_values(SYMPHONY))
    assert readout_train(siemens(b"\xff" * cut), 100.0) is None


def test_the_real_private_header_is_read(shared_data):
    import pydicom

    file = shared_data / "vendor-headers" / "ts" / "In" / "1.dcm"
    dataset = pydicom.dcmread(file, stop_before_pixels=True)

    values = csa_values(dataset[0x0029, 0x1010].value)

    assert values["EchoLinePosition"] == "32"
    assert float(values["SliceMeasurementDuration"]) == 17.5
    assert readout_train(Header(dataset), 100.0) is None  # an echo-planar image, no such train


def test_philips_saturation_delay_is_read_from_its_private_attribute():
    dataset = Dataset()
    dataset.MagneticFieldStrength = 3
    dataset.RepetitionTime = 2.6
    dataset.NumberOfPhaseEncodingSteps = 60
    block = dataset.private_block(0x2001, "PHILIPS IMAGING DD 001", create=True)
    block.add_new(0x1B, "FL", 120.0)

    found, _ = read_physics(Header(dataset), Analysis())

    assert found.readout.saturation_delay_s == pytest.approx(0.120 - 30 * 0.0026)
    assert found.origin["readout.saturation_delay_s"] is Origin.PRIVATE_HEADER


@pytest.mark.parametrize(
    ("technique", "kind"),
    [("T1TFE", SequenceKind.SPOILED_GRADIENT_ECHO), ("B-TFE", SequenceKind.BALANCED_SSFP)],
)
def test_philips_names_its_technique(technique, kind):
    dataset = Dataset()
    dataset.SequenceVariant = "SS"
    block = dataset.private_block(0x2001, "Philips Imaging DD 001", create=True)
    block.add_new(0x20, "LO", technique)

    assert sequence_kind(Header(dataset)) is kind
