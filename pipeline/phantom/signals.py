"""Signal of each tissue label in each frame."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pipeline.phantom.bloch import readout_signal
from pipeline.phantom.blood import STEP_S, BloodCurves
from pipeline.phantom.exchange import TissueKinetics, tissue_curves
from pipeline.phantom.fields import EVEN, LEVEL_HZ, N_LEVELS, Fields
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
_FLIP_STEP = 0.1
"""Relative error of the flip angle over which the change of signal is taken."""


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
    unmixed = rng.uniform(0.3, 2.2)
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Signals:
    """Signal of each label [a.u.]; arrays are [frame, level of off-resonance, label]."""

    centre: FloatArray
    """At the centre of k-space, with the flip angle at the LV axis."""
    slope: FloatArray
    """Its rise to the last line."""
    by_flip: FloatArray
    """Its change per relative error of the flip angle."""


def label_signals(
    concentration: FloatArray,
    time_s: FloatArray,
    physics: Physics,
    readout: Readout,
    *,
    fields: Fields = EVEN,
    fat_share: float = 1.0,
    through_mm_s: float = 0.0,
    thickness_mm: float = 8.0,
) -> Signals:
    """Signal of each label in each frame.

    Linear order, the centre in the middle of the train. `fat_share` is what suppression leaves of
    fat; `through_mm_s` the mean speed of blood through a slice of `thickness_mm`.
    """
    step = np.clip(time_s / STEP_S, 0, concentration.shape[1] - 1.001)
    low = step.astype(int)
    part = step - low
    sampled = concentration[:, low] * (1 - part) + concentration[:, low + 1] * part
    t1, t2_star, density = relaxation(physics)
    density[[Tissue.FAT, Tissue.MARROW]] *= fat_share
    r1 = 1.0 / t1[:, None] + physics.r1_relaxivity_l_mmol_s * sampled
    relaxivity = np.full(N_LABELS, _R2_RELAXIVITY)
    balanced = readout.sequence is SequenceKind.BALANCED_SSFP  # refocuses: T2 counts, not T2*
    if not balanced:
        relaxivity[blood_labels()] = physics.r2_star_relaxivity_l_mmol_s
    t2 = transverse_times(physics) if balanced else t2_star
    r2 = 1.0 / t2[:, None] + relaxivity[:, None] * sampled
    speed = through_mm_s * _relative_speed()[:, None]
    replaced = np.minimum(speed * readout.repetition_time_s / thickness_mm, 1.0)
    centre = readout.pulses_before_centre
    left = 1.0 - readout.saturation_efficiency

    def train(flip_error: float, level: int) -> FloatArray:
        return density[:, None] * readout_signal(
            readout,
            r1_per_s=r1,
            r2_per_s=r2,
            n_pulses=2 * centre + 1,
            flip_scale=fields.flip_scale * (1.0 + flip_error),
            left=left + fields.saturation_slope * flip_error,
            replaced=replaced,
            off_resonance_hz=level * LEVEL_HZ,
        )

    at_centre, slope, by_flip = [], [], []
    for level in range(N_LEVELS if balanced else 1):
        middle = train(0.0, level)
        at_centre.append(middle[centre])
        slope.append((middle[-1] - middle[0]) / 2.0)
        by_flip.append((train(_FLIP_STEP, level) - train(-_FLIP_STEP, level))[centre])
    return Signals(
        centre=_by_frame(at_centre),
        slope=_by_frame(slope),
        by_flip=_by_frame(by_flip) / np.float32(2 * _FLIP_STEP),
    )


def _relative_speed() -> FloatArray:
    """Speed through the slice of each label over the mean in a ventricle.

    Streams that are not mixed differ; vessels of the lung and the aorta are faster. Blood that has
    seen few pulses is brighter.
    """
    speed = np.zeros(N_LABELS)
    streams = (np.arange(N_BLOOD_LEVELS) + 0.5) * 2.0 / N_BLOOD_LEVELS
    for first in (Tissue.RV_BLOOD, Tissue.LV_BLOOD):
        speed[first : first + N_BLOOD_LEVELS] = streams
    speed[[Tissue.AORTA, Tissue.LUNG_VESSEL, Tissue.LIVER_VESSEL]] = 3.0, 2.0, 1.0
    return speed


def _by_frame(levels: list[FloatArray]) -> FloatArray:
    """[frame, level, label] of one array [label, frame] for each level."""
    table: FloatArray = np.stack(levels).transpose(2, 0, 1).astype(np.float32)
    return table
