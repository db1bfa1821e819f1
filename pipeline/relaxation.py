"""Relaxation times and relaxivities by field strength and contrast agent, with their sources.

Everything here is a default: a value from the header, a T1 map or the configuration goes before it.
Relaxivities hold for whole blood at 37 degrees Celsius, where they were measured, and are used for
myocardium too.
"""

from enum import StrEnum
from typing import Final

from pipeline.errors import InvalidStudyError


class Agent(StrEnum):
    """Extracellular contrast agents used for first-pass perfusion."""

    GADOBUTROL = "gadobutrol"
    GADOTERATE = "gadoterate"
    GADOPENTETATE = "gadopentetate"
    GADOBENATE = "gadobenate"


_FIELDS_T: Final = (1.5, 3.0)

_R1_RELAXIVITY: Final = {
    Agent.GADOBUTROL: (4.6, 4.5),
    Agent.GADOTERATE: (3.9, 3.4),
    Agent.GADOPENTETATE: (4.3, 3.8),
    Agent.GADOBENATE: (6.2, 5.4),
}
"""[L/mmol/s] at 1.5 T and 3 T in human whole blood: Shen 2015, doi 10.1097/RLI.0000000000000132."""

_R2_RELAXIVITY: Final = (5.78, 5.91)
"""[L/mmol/s] at 1.5 T and 3 T; the inline method of Kellman 2017, doi 10.1186/s12968-017-0355-5."""

_R2_STAR_RELAXIVITY: Final = (20.0, 20.0)
"""[L/mmol/s]. From T2* of about 10 ms in the blood pool at a peak of about 4 mmol/L (Kellman 2017)
with a native R2* of about 20 /s: (100 - 20) / 4. Uncertain; it matters for echo times over 1 ms."""

_T1_BLOOD_S: Final = (1.58, 1.80)
"""Before contrast at 1.5 T and 3 T, the middle of what is published: 1.58 and 1.66 s (Sharma 2006,
doi 10.1002/jmri.20504), 1.44 and 1.93 s (Stanisz 2005, doi 10.1002/mrm.20605), 1.70 and 2.00 s
(Kellman 2017)."""

_T1_MYOCARDIUM_S: Final = (1.03, 1.22)
"""The same of the wall: 1.07 and 1.22 s (Sharma 2006), 1.03 and 1.47 s (Stanisz 2005), 1.10 and
1.30 s (Kellman 2017), 0.95 and 1.05 s (Dabir 2014, doi 10.1186/s12968-014-0069-x)."""

_T2_BLOOD_S: Final = (0.220, 0.250)
_T2_MYOCARDIUM_S: Final = (0.045, 0.045)
"""Before contrast at 1.5 T and 3 T; used by balanced readouts only (Kellman 2017)."""


def r1_relaxivity_l_mmol_s(agent: Agent, field_strength_t: float) -> float:
    """Longitudinal relaxivity of `agent` in blood [L/mmol/s]."""
    return _at_field(_R1_RELAXIVITY[agent], field_strength_t)


def r2_relaxivity_l_mmol_s(field_strength_t: float) -> float:
    """Transverse relaxivity [L/mmol/s], the same for all agents here."""
    return _at_field(_R2_RELAXIVITY, field_strength_t)


def r2_star_relaxivity_l_mmol_s(field_strength_t: float) -> float:
    """Effective transverse relaxivity in the blood pool [L/mmol/s], the same for all agents."""
    return _at_field(_R2_STAR_RELAXIVITY, field_strength_t)


def t1_blood_s(field_strength_t: float) -> float:
    """T1 of blood before contrast [s]."""
    return _at_field(_T1_BLOOD_S, field_strength_t)


def t1_myocardium_s(field_strength_t: float) -> float:
    """T1 of healthy myocardium before contrast [s]."""
    return _at_field(_T1_MYOCARDIUM_S, field_strength_t)


def t2_blood_s(field_strength_t: float) -> float:
    """T2 of arterial blood before contrast [s]."""
    return _at_field(_T2_BLOOD_S, field_strength_t)


def t2_myocardium_s(field_strength_t: float) -> float:
    """T2 of healthy myocardium before contrast [s]."""
    return _at_field(_T2_MYOCARDIUM_S, field_strength_t)


def _at_field(values: tuple[float, float], field_strength_t: float) -> float:
    """Interpolate between 1.5 T and 3 T; outside, where nothing was measured, refuse.

    Raises
    ------
    InvalidStudyError
        The field strength is outside 1 T to 3.5 T.
    """
    low, high = _FIELDS_T
    if not 1.0 <= field_strength_t <= 3.5:
        raise InvalidStudyError(
            f"no relaxation constants for a field strength of {field_strength_t:g} T"
        )
    share = min(max((field_strength_t - low) / (high - low), 0.0), 1.0)
    return values[0] + share * (values[1] - values[0])
