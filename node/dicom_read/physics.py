"""The physics of one first pass, each value with where it came from."""

import math
import re
from collections.abc import Sequence

from node.config import Analysis, ProtocolPhysics
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

_DEFAULT_FIELD_T = 1.5
_DEFAULT_TR_MS = 2.5
_DEFAULT_TE_MS = 1.1
_DEFAULT_FLIP_DEG = 12.0
_DEFAULT_TIME_TO_CENTRE_MS = 100.0
_DEFAULT_PULSES_BEFORE_CENTRE = 20

_MOL_PER_L = {
    Agent.GADOBUTROL: 1.0,
    Agent.GADOTERATE: 0.5,
    Agent.GADOPENTETATE: 0.5,
    Agent.GADOBENATE: 0.5,
}
_AGENT_WORDS = {
    Agent.GADOBUTROL: r"gadobutrol|gadovist|gadavist|gado ?vist",
    Agent.GADOTERATE: r"gadoter|dotarem|clariscan|artirem|magnescope",
    Agent.GADOPENTETATE: r"gadopent|magnevist|gd ?dtpa",
    Agent.GADOBENATE: r"gadoben|multihance",
}
_PLAUSIBLE_DOSE_MMOL_KG = (0.003, 0.3)


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
    """Read what the signal model needs; return it with sentences about what had to be assumed."""
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
    tr_ms = values.take(
        "readout.repetition_time_s",
        (protocol.repetition_time_ms, Origin.CONFIGURATION),
        (_readout_tr_ms(header), Origin.HEADER),
        (_DEFAULT_TR_MS, Origin.DEFAULT),
    )
    te_ms = values.take(
        "readout.echo_time_s",
        (header.number("EchoTime", "EffectiveEchoTime"), Origin.HEADER),
        (_DEFAULT_TE_MS, Origin.DEFAULT),
    )
    flip_deg = values.take(
        "readout.flip_angle_rad",
        (_positive(header.number("FlipAngle")), Origin.HEADER),
        (_DEFAULT_FLIP_DEG, Origin.DEFAULT),
    )
    pulses = values.take(
        "readout.pulses_before_centre",
        (protocol.pulses_before_centre, Origin.CONFIGURATION),
        (_pulses_before_centre(header), Origin.HEADER),
        (_DEFAULT_PULSES_BEFORE_CENTRE, Origin.DEFAULT),
    )
    efficiency = values.take(
        "readout.saturation_efficiency",
        (protocol.saturation_efficiency, Origin.CONFIGURATION),
        (1.0, Origin.DEFAULT),
    )
    return Readout(
        sequence=sequence_kind(header),
        repetition_time_s=tr_ms * 1e-3,
        echo_time_s=te_ms * 1e-3,
        flip_angle_rad=math.radians(flip_deg),
        saturation_delay_s=_saturation_delay_ms(header, protocol, pulses * tr_ms, values) * 1e-3,
        pulses_before_centre=int(pulses),
        saturation_efficiency=efficiency,
    )


def _saturation_delay_ms(
    header: Header, protocol: ProtocolPhysics, to_centre_ms: float, values: _Values
) -> float:
    """Return the time from saturation to the first readout pulse [ms].

    InversionTime is taken as the time to the centre of k-space; where the readout before the
    centre is longer than that, it can only be the time to the first pulse.
    """
    name = "readout.saturation_delay_s"
    if protocol.saturation_delay_ms:
        return values.take(name, (protocol.saturation_delay_ms, Origin.CONFIGURATION))
    time_ms = values.take(
        name,
        (_positive(header.number("InversionTime", "InversionTimes")), Origin.HEADER),
        (_DEFAULT_TIME_TO_CENTRE_MS, Origin.DEFAULT),
    )
    if time_ms > to_centre_ms:
        return time_ms - to_centre_ms
    values.notes.append(
        f"The saturation time of {time_ms:g} ms is shorter than the readout before the centre of "
        "k-space, so it was taken as the time to the first readout pulse."
    )
    return time_ms


def _readout_tr_ms(header: Header) -> float | None:
    value = header.number("RepetitionTime")
    return value if value is not None and 0 < value <= _LONGEST_READOUT_TR_MS else None


def _pulses_before_centre(header: Header) -> float | None:
    """Half of the pulses of the readout: lines over echoes a pulse and acceleration."""
    lines = _phase_encoding_lines(header)
    if lines is None:
        return None
    echoes = max(header.number("EchoTrainLength") or 1.0, 1.0)
    echoes = echoes if echoes < 16 else 1.0  # some count the whole readout as one train
    acceleration = max(header.number("ParallelReductionFactorInPlane") or 1.0, 1.0)
    return float(int(lines / echoes / acceleration / 2))


def _phase_encoding_lines(header: Header) -> float | None:
    """Return the number of phase encoding lines acquired (or that would be, unaccelerated)."""
    lines = header.number("MRAcquisitionPhaseEncodingStepsInPlane", "NumberOfPhaseEncodingSteps")
    if lines:
        return lines
    matrix = header.numbers("AcquisitionMatrix", 4)
    if matrix is None:
        return None
    # frequency rows, frequency columns, phase rows, phase columns (PS3.3 C.8.3.1.1.6)
    return _positive(max(matrix[2:]))


def sequence_kind(header: Header) -> SequenceKind:
    """Tell a balanced from a spoiled readout."""
    names = f"{header.text('SequenceName')} {header.text('PulseSequenceName')}".lower()
    if re.search(r"tfi|trufi|fiesta|b-?tfe|b-?ffe|ssfp", names):
        return SequenceKind.BALANCED_SSFP
    if header.text("SteadyStatePulseSequence") == "FREE_PRECESSION":
        return SequenceKind.BALANCED_SSFP
    return SequenceKind.SPOILED_GRADIENT_ECHO


def _agent(header: Header, config: Analysis, values: _Values) -> Agent:
    """Return the contrast agent that the header names, else the configured one."""
    texts = [header.text("ContrastBolusAgent")]
    texts += [item.text("CodeMeaning") for item in header.items("ContrastBolusAgentSequence")]
    named = next(
        (
            agent
            for agent, pattern in _AGENT_WORDS.items()
            if any(re.search(pattern, text, re.IGNORECASE) for text in texts)
        ),
        None,
    )
    values.origin["r1_relaxivity_l_mmol_s"] = Origin.HEADER if named else Origin.CONFIGURATION
    values.origin["r2_star_relaxivity_l_mmol_s"] = Origin.DEFAULT
    return named or Agent(config.agent)


def _dose(header: Header, agent: Agent, protocol: ProtocolPhysics, values: _Values) -> float | None:
    """Return the dose [mmol/kg]: agent [mL] times its concentration [mmol/mL] over weight [kg]."""
    name = "dose_mmol_kg"
    if protocol.dose_mmol_kg:
        return values.take(name, (protocol.dose_mmol_kg, Origin.CONFIGURATION))
    volume_ml = header.number("ContrastBolusTotalDose", "ContrastBolusVolume")
    weight_kg = _positive(header.number("PatientWeight"))
    if not volume_ml or weight_kg is None:
        return None
    dose = volume_ml * _MOL_PER_L[agent] / weight_kg
    low, high = _PLAUSIBLE_DOSE_MMOL_KG
    if not low <= dose <= high:
        values.notes.append("The contrast dose in the header is not plausible and was not used.")
        return None
    return values.take(name, (dose, Origin.HEADER))


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds * 1e-3


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def assumptions(physics: Physics, label: str) -> Sequence[str]:
    """Name in one sentence what neither header nor configuration told."""
    names = [name for name, origin in physics.origin.items() if origin is Origin.DEFAULT]
    if not names:
        return ()
    return (f"{label}: default values were used for {', '.join(sorted(names))}.",)
