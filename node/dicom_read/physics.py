"""The physics of one first pass, each value with where it came from."""

import math
import re
from dataclasses import replace

from node.config import Analysis, ProtocolPhysics
from node.dicom_read import philips, siemens
from node.dicom_read.contrast import PLAUSIBLE_DOSE_MMOL_KG, dose_mmol_kg, named_agent
from node.dicom_read.header import Header
from pipeline.relaxation import (
    Agent,
    r1_relaxivity_l_mmol_s,
    r2_star_relaxivity_l_mmol_s,
    t1_blood_s,
    t1_myocardium_s,
)
from pipeline.study import Origin, Physics, Readout, SequenceKind

_GAUSS_PER_TESLA = 1e4
_PROTON_MHZ_PER_TESLA = 42.577
_LONGEST_READOUT_TR_MS = 20.0
"""A longer RepetitionTime is the time between slices or beats, not between readout pulses."""
_LONGEST_TE_MS = 10.0
_LARGEST_FLIP_DEG = 180.0
_SMALL_FLIP_DEG = 6.0
"""Proton-density frames are taken with about 5 degrees (Kellman 2017), and so are short readouts of
the blood."""
_LONGEST_SATURATION_MS = 1000.0
_MOST_LINES = 1024.0

_DEFAULT_FIELD_T = 1.5
_DEFAULT_TR_MS = 2.5
_DEFAULT_TE_MS = 1.1
_DEFAULT_FLIP_DEG = 12.0
_DEFAULT_TIME_TO_CENTRE_MS = 100.0
_DEFAULT_PULSES_BEFORE_CENTRE = 20
_LONG_TRAIN = 16
"""An echo train so long is the whole readout after one saturation pulse (Philips); a shorter one
is several echoes of one pulse (GE)."""


_NO_PROTOCOL = ProtocolPhysics(protocol="")


class _Values:
    """Values with their origins, gathered one by one."""

    def __init__(self) -> None:
        self.origin: dict[str, Origin] = {}
        self.notes: list[str] = []

    def take(self, name: str, *candidates: tuple[float | None, Origin]) -> float:
        """Take the first candidate that is there."""
        for value, origin in candidates:
            if value is not None:
                self.origin[name] = origin
                return value
        raise ValueError(name)


def read_physics(header: Header, config: Analysis) -> tuple[Physics, tuple[str, ...]]:
    """Read what the signal model needs; return it with sentences about what had to be assumed.

    Raises
    ------
    InvalidStudyError
        There are no relaxation constants for the field strength.
    """
    values = _Values()
    protocol = _protocol(header, config)
    field_t = values.take(
        "field_strength_t",
        (field_strength_t(header), Origin.HEADER),
        (_DEFAULT_FIELD_T, Origin.DEFAULT),
    )
    agent = _agent(header, config, values)
    physics = Physics(
        field_strength_t=field_t,
        readout=_readout(header, protocol, values),
        r1_relaxivity_l_mmol_s=r1_relaxivity_l_mmol_s(agent, field_t),
        r2_star_relaxivity_l_mmol_s=r2_star_relaxivity_l_mmol_s(field_t),
        t1_blood_s=values.take(
            "t1_blood_s",
            (_seconds(config.t1_blood_ms), Origin.CONFIGURATION),
            (t1_blood_s(field_t), Origin.DEFAULT),
        ),
        t1_myocardium_s=values.take(
            "t1_myocardium_s",
            (_seconds(config.t1_myocardium_ms), Origin.CONFIGURATION),
            (t1_myocardium_s(field_t), Origin.DEFAULT),
        ),
        haematocrit=values.take("haematocrit", (config.haematocrit, Origin.CONFIGURATION)),
        dose_mmol_kg=_dose(header, agent, protocol, values),
        origin=values.origin,
    )
    return physics, tuple(values.notes)


def field_strength_t(header: Header) -> float | None:
    """Read the field strength [T], which old GE systems give in gauss."""
    value = header.number("MagneticFieldStrength")
    if value is not None and 0.1 <= value <= 12:
        return value
    if value is not None and 1e3 <= value <= 1.2e5:
        return value / _GAUSS_PER_TESLA
    frequency = header.number("ImagingFrequency", "TransmitterFrequency")
    if frequency is not None and 20 <= frequency <= 500:
        return round(frequency / _PROTON_MHZ_PER_TESLA, 2)
    return None


def _protocol(header: Header, config: Analysis) -> ProtocolPhysics:
    """Return the configured physics of the first pattern that the series matches, or nothing."""
    text = f"{header.text('ProtocolName')}\n{header.text('SeriesDescription')}"
    for protocol in config.protocols:
        if re.search(protocol.protocol, text, re.IGNORECASE):
            return protocol
    return _NO_PROTOCOL


def _readout(header: Header, protocol: ProtocolPhysics, values: _Values) -> Readout:
    """Read the saturation-recovery readout."""
    time_ms, time_origin = saturation_time_ms(header)
    train = siemens.readout_train(header, time_ms)
    of_philips = _up_to(_LONGEST_READOUT_TR_MS, philips.repetition_time_ms(header))
    tr_ms = values.take(
        "readout.repetition_time_s",
        (protocol.repetition_time_ms, Origin.CONFIGURATION),
        (_up_to(_LONGEST_READOUT_TR_MS, header.number("RepetitionTime")), Origin.HEADER),
        (train.echo_spacing_ms if train else None, Origin.PRIVATE_HEADER),
        (of_philips, Origin.PRIVATE_HEADER),
        (_DEFAULT_TR_MS, Origin.DEFAULT),
    )
    te_ms = values.take(
        "readout.echo_time_s",
        (_up_to(_LONGEST_TE_MS, header.number("EchoTime", "EffectiveEchoTime")), Origin.HEADER),
        (_DEFAULT_TE_MS, Origin.DEFAULT),
    )
    flip_deg = values.take(
        "readout.flip_angle_rad",
        (_up_to(_LARGEST_FLIP_DEG, header.number("FlipAngle")), Origin.HEADER),
        (_DEFAULT_FLIP_DEG, Origin.DEFAULT),
    )
    pulses = values.take(
        "readout.pulses_before_centre",
        (protocol.pulses_before_centre, Origin.CONFIGURATION),
        (train.pulses_before_centre if train else None, Origin.PRIVATE_HEADER),
        (_pulses_before_centre(header), Origin.HEADER),
        (_DEFAULT_PULSES_BEFORE_CENTRE, Origin.DEFAULT),
    )
    delay_ms = _delay_ms(protocol, (time_ms, time_origin), pulses * tr_ms, values)
    efficiency = values.take(
        "readout.saturation_efficiency",
        (protocol.saturation_efficiency, Origin.CONFIGURATION),
        (1.0, Origin.DEFAULT),
    )
    return Readout(
        sequence=_sequence(header, values),
        repetition_time_s=tr_ms * 1e-3,
        echo_time_s=te_ms * 1e-3,
        flip_angle_rad=math.radians(flip_deg),
        saturation_delay_s=delay_ms * 1e-3,
        pulses_before_centre=int(pulses),
        saturation_efficiency=efficiency,
    )


def saturation_time_ms(header: Header) -> tuple[float | None, Origin]:
    """Read the time from saturation to the centre of k-space [ms]."""
    value = _up_to(_LONGEST_SATURATION_MS, header.number("InversionTime", "InversionTimes"))
    if value is not None:
        return value, Origin.HEADER
    value = _up_to(_LONGEST_SATURATION_MS, philips.prepulse_delay_ms(header))
    return value, Origin.PRIVATE_HEADER


def _delay_ms(
    protocol: ProtocolPhysics,
    told: tuple[float | None, Origin],
    readout_ms: float,
    values: _Values,
) -> float:
    """Return the time from saturation to the first readout pulse [ms].

    The saturation time that is `told` is taken to go to the centre of k-space; where the readout
    before the centre is longer than that, it can only go to the first pulse.
    """
    if protocol.saturation_delay_ms is not None:
        values.origin["readout.saturation_delay_s"] = Origin.CONFIGURATION
        return protocol.saturation_delay_ms
    usual = (_DEFAULT_TIME_TO_CENTRE_MS, Origin.DEFAULT)
    time_ms = values.take("readout.saturation_delay_s", told, usual)
    if time_ms > readout_ms:
        return time_ms - readout_ms
    values.notes.append(
        f"The saturation time of {time_ms:g} ms is shorter than the readout before the centre of "
        "k-space, so it was taken as the time to the first readout pulse."
    )
    return time_ms


def _pulses_before_centre(header: Header) -> float | None:
    """Return half of the pulses of the readout: k-space is taken to be filled linearly."""
    train = max(header.number("EchoTrainLength") or 1.0, 1.0)
    if train >= _LONG_TRAIN:
        return float(int(train / 2))
    lines = _phase_encoding_lines(header)
    if lines is None:
        return None
    acceleration = max(header.number("ParallelReductionFactorInPlane") or 1.0, 1.0)
    return float(int(lines / train / acceleration / 2))


def _phase_encoding_lines(header: Header) -> float | None:
    """Return the number of phase encoding lines."""
    lines = header.number("MRAcquisitionPhaseEncodingStepsInPlane", "NumberOfPhaseEncodingSteps")
    if _up_to(_MOST_LINES, lines) is not None:
        return lines
    matrix = header.numbers("AcquisitionMatrix", 4)
    # frequency rows, frequency columns, phase rows, phase columns (PS3.3 C.8.3.1)
    return None if matrix is None else _up_to(_MOST_LINES, max(matrix[2:]))


def _sequence(header: Header, values: _Values) -> SequenceKind:
    """Return the kind of readout; where nothing tells, it is taken to be spoiled."""
    told = sequence_kind(header)
    values.origin["readout.sequence"] = Origin.DEFAULT if told is None else Origin.HEADER
    return told or SequenceKind.SPOILED_GRADIENT_ECHO


def sequence_kind(header: Header) -> SequenceKind | None:
    """Tell a balanced from a spoiled readout, by name, else by spoiling; None where untold."""
    technique = philips.scanning_technique(header)
    names = f"{header.text('SequenceName')} {header.text('PulseSequenceName')} {technique}"
    steady_state = header.text("SteadyStatePulseSequence")
    if re.search(r"tfi|trufi|fiesta|b-?tfe|b-?ffe|ssfp", names.lower()):
        return SequenceKind.BALANCED_SSFP
    # Philips writes SS for its spoiled sequences too, but names the technique
    variant = header.texts("SequenceVariant") if not technique else ()
    if steady_state == "FREE_PRECESSION" or ("SS" in variant and "SP" not in variant):
        return SequenceKind.BALANCED_SSFP
    told = names.strip() or "SP" in variant or steady_state
    return SequenceKind.SPOILED_GRADIENT_ECHO if told else None


def _agent(header: Header, config: Analysis, values: _Values) -> Agent:
    """Return the contrast agent that the header names, else the configured one."""
    named = named_agent(header)
    values.origin["r1_relaxivity_l_mmol_s"] = Origin.HEADER if named else Origin.CONFIGURATION
    values.origin["r2_star_relaxivity_l_mmol_s"] = Origin.DEFAULT
    return named or Agent(config.agent)


def _dose(header: Header, agent: Agent, protocol: ProtocolPhysics, values: _Values) -> float | None:
    """Return the configured dose, else the header's where that is plausible [mmol/kg]."""
    configured, told = protocol.dose_mmol_kg, dose_mmol_kg(header, agent)
    low, high = PLAUSIBLE_DOSE_MMOL_KG
    if told is not None and not low <= told <= high and configured is None:
        values.notes.append("The contrast dose in the header is not plausible and was not used.")
        told = None
    if configured is None and told is None:
        return None
    return values.take("dose_mmol_kg", (configured, Origin.CONFIGURATION), (told, Origin.HEADER))


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds * 1e-3


def _up_to(most: float, value: float | None) -> float | None:
    """Return a positive value that is not beyond what can be; None for any other."""
    return value if value is not None and 0 < value <= most else None


def proton_density_readout(header: Header, readout: Readout, config: Analysis) -> Readout | None:
    """Return the readout of proton-density frames: no saturation, and their own flip angle.

    The configured angle goes first. None where there is none and the header gives the flip angle of
    the other frames: scanners that play a smaller one for these frames often do not say so, and a
    wrong one would scale every concentration. Where the other frames have a small one already, as
    in the short readout of the blood, there is nothing to keep silent about.
    """
    configured = _protocol(header, config).proton_density_flip_angle_deg
    flip_deg = configured or _up_to(_LARGEST_FLIP_DEG, header.number("FlipAngle"))
    if flip_deg is None:
        return None
    told = not math.isclose(math.radians(flip_deg), readout.flip_angle_rad, rel_tol=1e-6)
    if not (configured or told or flip_deg <= _SMALL_FLIP_DEG):
        return None
    return replace(readout, flip_angle_rad=math.radians(flip_deg), saturation_delay_s=math.inf)
