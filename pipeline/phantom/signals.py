"""Signal of each tissue label in each frame."""

import numpy as np
from numpy.random import Generator

from pipeline.phantom.bloch import readout_signal
from pipeline.phantom.blood import STEP_S, BloodCurves
from pipeline.phantom.exchange import TissueKinetics, tissue_curves
from pipeline.phantom.flow import LEVELS_ML_MIN_G, FlowField
from pipeline.phantom.labels import (
    N_BLOOD_LEVELS,
    N_FLOW_LEVELS,
    N_LABELS,
    PERFUSION,
    Tissue,
    blood_labels,
    relaxation,
    transverse_times,
)
from pipeline.study import FloatArray, Physics, Readout, SequenceKind

_R2_RELAXIVITY = 5.9
"""Of the contrast agent outside of large vessels [L/mmol/s]; there R2* changes little more."""


def label_concentrations(
    rng: Generator,
    *,
    blood: BloodCurves,
    residual_mmol_l: float,
    flow: FlowField,
    wall: tuple[TissueKinetics, TissueKinetics],
    haematocrit: float,
) -> FloatArray:
    """Gadolinium [mmol/L of tissue] of each label on the kinetic grid, [label, time].

    What an earlier injection left (`residual_mmol_l` in blood) is in equilibrium: a constant, in
    each tissue in proportion to its distribution volume.
    """
    time = blood.time_s
    table = np.zeros((N_LABELS, time.size))
    offset = (np.arange(N_BLOOD_LEVELS) - (N_BLOOD_LEVELS - 1) / 2) / N_BLOOD_LEVELS
    unmixed = rng.uniform(0.6, 2.4)
    for level, late in enumerate(offset):  # streams that are not yet mixed
        table[Tissue.RV_BLOOD + level] = np.interp(time - unmixed * late, time, blood.rv)
        table[Tissue.LV_BLOOD + level] = np.interp(time - 0.3 * late, time, blood.lv)
    table[Tissue.LUNG_VESSEL], table[Tissue.AORTA] = blood.pulmonary, blood.aorta
    table[Tissue.RV_BLOOD : Tissue.MYOCARDIUM] += residual_mmol_l
    table[[Tissue.LUNG_VESSEL, Tissue.AORTA]] += residual_mmol_l
    table[Tissue.LUNG] = 0.12 * table[Tissue.LUNG_VESSEL]

    def perfused(kinetics: TissueKinetics, arterial: FloatArray) -> FloatArray:
        volume = kinetics.plasma_volume_ml_ml + kinetics.interstitial_volume_ml_ml
        rest = residual_mmol_l / (1.0 - haematocrit) * volume[:, None]
        return tissue_curves(kinetics, arterial, time, haematocrit) + rest

    first = int(Tissue.MYOCARDIUM)
    table[first : first + N_FLOW_LEVELS] = perfused(wall[0], blood.coronary)
    table[Tissue.SCAR :] = perfused(wall[1], blood.coronary)
    nearest = int(np.argmin(np.abs(LEVELS_ML_MIN_G - 0.7 * flow.global_ml_min_g)))
    table[Tissue.RV_WALL] = table[first + nearest]
    columns = np.array(list(PERFUSION.values())).T
    others = TissueKinetics(
        mbf_ml_min_g=columns[0],
        ps_ml_min_g=columns[1],
        plasma_volume_ml_ml=columns[2],
        interstitial_volume_ml_ml=columns[3],
        delay_s=columns[4],
    )
    table[list(PERFUSION)] = perfused(others, blood.aorta)
    return table


def label_signals(
    concentration: FloatArray,
    time_s: FloatArray,
    physics: Physics,
    readout: Readout,
    *,
    flip_scale: float = 1.0,
    fat_share: float = 1.0,
) -> tuple[FloatArray, FloatArray]:
    """Signal of each label at the centre of k-space and its rise to the last line [a.u.].

    Both [frame, label]; linear order, the centre in the middle of the train. `fat_share` is what
    suppression leaves of fat.
    """
    step = np.clip(time_s / STEP_S, 0, concentration.shape[1] - 1.001)
    low = step.astype(int)
    part = step - low
    sampled = concentration[:, low] * (1 - part) + concentration[:, low + 1] * part
    t1, t2_star, density = relaxation(physics)
    density[[Tissue.FAT, Tissue.MARROW]] *= fat_share
    r1 = 1.0 / t1[:, None] + physics.r1_relaxivity_l_mmol_s * sampled
    if readout.sequence is SequenceKind.BALANCED_SSFP:  # refocuses: T2 counts, not T2*
        relaxivity = np.full(N_LABELS, _R2_RELAXIVITY)
        t2 = transverse_times(physics)
    else:
        relaxivity = np.full(N_LABELS, _R2_RELAXIVITY)
        relaxivity[blood_labels()] = physics.r2_star_relaxivity_l_mmol_s
        t2 = t2_star
    r2 = 1.0 / t2[:, None] + relaxivity[:, None] * sampled
    centre = readout.pulses_before_centre
    train = readout_signal(
        readout,
        r1_per_s=r1,
        r2_per_s=r2,
        n_pulses=2 * centre + 1,
        flip_scale=flip_scale,
    )
    at_centre = density[:, None] * train[centre]
    slope = density[:, None] * (train[-1] - train[0]) / 2.0
    return at_centre.T.astype(np.float32), slope.T.astype(np.float32)
