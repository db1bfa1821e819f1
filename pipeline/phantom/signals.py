"""Signal of each tissue label in each frame."""

import numpy as np
from numpy.random import Generator

from pipeline.phantom.bloch import readout_signal
from pipeline.phantom.blood import STEP_S, BloodCurves
from pipeline.phantom.flow import LEVELS_ML_MIN_G, FlowField, myocardial_kinetics
from pipeline.phantom.thorax import N_BLOOD_LEVELS, N_FLOW_LEVELS, N_LABELS, Tissue
from pipeline.phantom.tissue import TissueKinetics, tissue_curves
from pipeline.study import FloatArray, Physics, Readout

# T1 [s] at 1.5 T and 3 T, T2* [s], proton density over blood: literature values, rounded
_RELAXATION = {
    Tissue.LUNG: (1.10, 1.30, 0.0015, 0.35),
    Tissue.FAT: (0.30, 0.37, 0.030, 1.00),
    Tissue.MUSCLE: (0.95, 1.25, 0.028, 0.85),
    Tissue.LIVER: (0.58, 0.80, 0.022, 0.80),
    Tissue.MARROW: (0.45, 0.55, 0.010, 0.50),
    Tissue.RV_WALL: (1.00, 1.20, 0.030, 0.90),
    Tissue.FLUID: (3.50, 3.80, 0.200, 1.10),
    Tissue.SPLEEN: (1.05, 1.30, 0.025, 0.90),
    Tissue.STOMACH: (0.90, 1.10, 0.015, 0.60),
}
# blood flow [mL/min/g], PS, plasma volume, interstitium, delay [s]
_KINETICS = {
    Tissue.LUNG: (0.0, 0.0, 0.0, 0.0, 0.0),
    Tissue.FAT: (0.04, 0.03, 0.006, 0.06, 2.0),
    Tissue.MUSCLE: (0.06, 0.06, 0.015, 0.10, 2.0),
    Tissue.LIVER: (0.80, 3.0, 0.10, 0.22, 7.0),
    Tissue.MARROW: (0.08, 0.08, 0.02, 0.10, 2.0),
    Tissue.SPLEEN: (1.60, 2.5, 0.15, 0.20, 2.5),
    Tissue.STOMACH: (0.02, 0.02, 0.01, 0.10, 3.0),
}


def label_concentrations(
    rng: Generator, *, blood: BloodCurves, flow: FlowField, haematocrit: float
) -> FloatArray:
    """Gadolinium [mmol/L of tissue] of each label on the kinetic grid, [label, time]."""
    time = blood.time_s
    table = np.zeros((N_LABELS, time.size))
    offset = (np.arange(N_BLOOD_LEVELS) - (N_BLOOD_LEVELS - 1) / 2) / N_BLOOD_LEVELS
    for level in range(N_BLOOD_LEVELS):  # streams that are not yet mixed
        late = offset[level]
        table[Tissue.RV_BLOOD + level] = np.interp(time - 1.6 * late, time, blood.rv)
        table[Tissue.LV_BLOOD + level] = np.interp(time - 0.4 * late, time, blood.lv)
    healthy, scar = myocardial_kinetics(rng, haematocrit)
    first = int(Tissue.MYOCARDIUM)
    table[first : first + N_FLOW_LEVELS] = tissue_curves(healthy, blood.lv, time, haematocrit)
    table[Tissue.SCAR :] = tissue_curves(scar, blood.lv, time, haematocrit)
    nearest = int(np.argmin(np.abs(LEVELS_ML_MIN_G - 0.7 * flow.global_ml_min_g)))
    table[Tissue.RV_WALL] = table[first + nearest]
    table[Tissue.LUNG_VESSEL] = blood.pulmonary
    table[Tissue.AORTA] = blood.aorta
    table[Tissue.LUNG] = 0.1 * blood.pulmonary
    rows = [(tissue, values) for tissue, values in _KINETICS.items() if values[0] > 0]
    columns = np.array([values for _, values in rows]).T
    others = TissueKinetics(
        mbf_ml_min_g=columns[0],
        ps_ml_min_g=columns[1],
        plasma_volume_ml_ml=columns[2],
        interstitial_volume_ml_ml=columns[3],
        delay_s=columns[4],
    )
    table[[tissue for tissue, _ in rows]] = tissue_curves(others, blood.aorta, time, haematocrit)
    return table


def label_signals(
    concentration: FloatArray, time_s: FloatArray, physics: Physics, readout: Readout
) -> FloatArray:
    """Signal of each label at the centre of k-space [a.u.], [frame, label]."""
    step = np.clip(time_s / STEP_S, 0, concentration.shape[1] - 1.001)
    low = step.astype(int)
    part = step - low
    sampled = concentration[:, low] * (1 - part) + concentration[:, low + 1] * part
    t1, t2_star, density = _relaxation(physics)
    r1 = 1.0 / t1[:, None] + physics.r1_relaxivity_l_mmol_s * sampled
    r2 = 1.0 / t2_star[:, None] + physics.r2_star_relaxivity_l_mmol_s * sampled
    centre = readout.pulses_before_centre
    signal = readout_signal(readout, r1_per_s=r1, r2_star_per_s=r2, n_pulses=centre + 1)[centre]
    signals: FloatArray = (density[:, None] * signal).T.astype(np.float32)
    return signals


def _relaxation(physics: Physics) -> tuple[FloatArray, FloatArray, FloatArray]:
    """T1 [s], T2* [s] and proton density of each label."""
    t1, t2, density = (np.empty(N_LABELS) for _ in range(3))
    t1[:], t2[:], density[:] = physics.t1_blood_s, 0.12, 1.0
    t1[Tissue.MYOCARDIUM :], t2[Tissue.MYOCARDIUM :] = physics.t1_myocardium_s, 0.032
    density[Tissue.MYOCARDIUM :] = 0.9
    t1[Tissue.SCAR :] = 1.15 * physics.t1_myocardium_s
    high = physics.field_strength_t > 2
    for tissue, (low_t1, high_t1, t2_star, amount) in _RELAXATION.items():
        t1[tissue] = high_t1 if high else low_t1
        t2[tissue], density[tissue] = t2_star, amount
    density[Tissue.AIR] = 0.0
    return t1, t2, density
