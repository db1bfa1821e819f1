"""The tissues of a scene: a label each on the fine grid, with its relaxation and its perfusion."""

from enum import IntEnum

import numpy as np

from pipeline.study import FloatArray, Physics


class Tissue(IntEnum):
    """Labels of the fine grid; the last five are the first of a range of levels each."""

    AIR = 0
    LUNG = 1
    FAT = 2
    MUSCLE = 3
    LIVER = 4
    MARROW = 5
    RV_WALL = 6
    FLUID = 7
    SPLEEN = 8
    STOMACH = 9
    LUNG_VESSEL = 10
    AORTA = 11
    DENSE = 12  # cortical bone and pericardium: hardly any signal
    GLAND = 13
    LIVER_VESSEL = 14
    FOOD = 15
    RV_BLOOD = 16
    LV_BLOOD = 24
    MYOCARDIUM = 32
    SCAR = 96


N_BLOOD_LEVELS = 8
N_FLOW_LEVELS = 64
N_SCAR_LEVELS = 32
N_LABELS = Tissue.SCAR + N_SCAR_LEVELS

# T1 [s] at 1.5 T and at 3 T, T2* [s], proton density over blood. Rounded from Stanisz et al.
# 2005 (doi 10.1002/mrm.20605) and de Bazelaire et al. 2004 (doi 10.1148/radiol.2303021331)
# where they measured the tissue; lung, food and bone are chosen to look right.
_RELAXATION = {
    Tissue.LUNG: (1.10, 1.30, 0.0012, 0.22),
    Tissue.FAT: (0.30, 0.37, 0.030, 0.95),
    Tissue.MUSCLE: (0.95, 1.30, 0.028, 0.85),
    Tissue.LIVER: (0.58, 0.81, 0.022, 0.80),
    Tissue.MARROW: (0.50, 0.59, 0.006, 0.55),
    Tissue.RV_WALL: (1.00, 1.20, 0.030, 0.90),
    Tissue.FLUID: (3.20, 3.50, 0.200, 1.10),
    Tissue.SPLEEN: (1.05, 1.33, 0.025, 0.90),
    Tissue.STOMACH: (0.90, 1.15, 0.020, 0.80),
    Tissue.DENSE: (0.30, 0.35, 0.0005, 0.10),
    Tissue.GLAND: (0.95, 1.25, 0.030, 0.80),
    Tissue.FOOD: (0.45, 0.55, 0.015, 0.55),
}

PERFUSION = {
    Tissue.FAT: (0.04, 0.03, 0.006, 0.06, 2.0),
    Tissue.MUSCLE: (0.06, 0.06, 0.015, 0.10, 2.0),
    Tissue.LIVER: (0.80, 3.0, 0.10, 0.22, 7.0),
    Tissue.MARROW: (0.08, 0.08, 0.02, 0.10, 2.0),
    Tissue.SPLEEN: (1.60, 2.5, 0.15, 0.20, 2.5),
    Tissue.STOMACH: (0.40, 0.5, 0.05, 0.20, 3.0),
    Tissue.GLAND: (0.10, 0.1, 0.02, 0.15, 2.0),
    Tissue.LIVER_VESSEL: (2.0, 0.01, 0.45, 0.10, 9.0),
}
"""Flow [mL/min/g], PS [mL/min/g], plasma volume, interstitial volume [mL/mL], delay [s]."""

TEXTURE = {
    Tissue.FAT: 0.16,
    Tissue.LUNG: 0.6,
    Tissue.MUSCLE: 0.12,
    Tissue.LIVER: 0.07,
    Tissue.MARROW: 0.15,
    Tissue.SPLEEN: 0.06,
    Tissue.STOMACH: 0.2,
    Tissue.FOOD: 0.45,
    Tissue.GLAND: 0.25,
    Tissue.RV_WALL: 0.08,
    Tissue.RV_BLOOD: 0.07,
    Tissue.LV_BLOOD: 0.05,
    Tissue.MYOCARDIUM: 0.05,
    Tissue.SCAR: 0.08,
}
"""Relative SD of what is uneven within a tissue."""


def relaxation(physics: Physics) -> tuple[FloatArray, FloatArray, FloatArray]:
    """T1 [s], T2* [s] and proton density over blood of each label, without contrast agent."""
    t1 = np.full(N_LABELS, physics.t1_blood_s)
    t2, density = np.full(N_LABELS, 0.12), np.ones(N_LABELS)
    t1[Tissue.MYOCARDIUM :], t2[Tissue.MYOCARDIUM :] = physics.t1_myocardium_s, 0.032
    density[Tissue.MYOCARDIUM :] = 0.9
    t1[Tissue.SCAR :] = 1.15 * physics.t1_myocardium_s
    high = physics.field_strength_t > 2
    for tissue, (low_t1, high_t1, t2_star, amount) in _RELAXATION.items():
        t1[tissue] = high_t1 if high else low_t1
        t2[tissue], density[tissue] = t2_star, amount
    density[Tissue.AIR] = 0.0
    return t1, t2, density


def transverse_times(physics: Physics) -> FloatArray:
    """T2 [s] of each label, without contrast agent; T2* where nothing better is known."""
    _, t2, _ = relaxation(physics)
    t2[Tissue.MYOCARDIUM :] = t2[Tissue.RV_WALL] = 0.047
    t2[blood_labels()] = 0.23
    return t2


def blood_labels() -> list[int]:
    """Labels of blood in the heart and in large vessels."""
    return [Tissue.LUNG_VESSEL, Tissue.AORTA, *range(Tissue.RV_BLOOD, Tissue.MYOCARDIUM)]


def texture_of_labels() -> FloatArray:
    """Relative SD of the texture by label."""
    table = np.zeros(N_LABELS, dtype=np.float32)
    for first, size in (
        (Tissue.RV_BLOOD, N_BLOOD_LEVELS),
        (Tissue.LV_BLOOD, N_BLOOD_LEVELS),
        (Tissue.MYOCARDIUM, N_FLOW_LEVELS),
        (Tissue.SCAR, N_SCAR_LEVELS),
    ):
        table[first : first + size] = TEXTURE[first]
    for tissue, amount in TEXTURE.items():
        table[tissue] = amount
    return table
