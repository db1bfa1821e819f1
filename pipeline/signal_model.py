"""Forward signal of saturation-recovery readouts, pulse by pulse.

Signals are relative: proton density and coil sensitivity are 1. Each pulse of the readout train is
followed, because the single exponential in T1 overestimates the signal of a long train.
"""

from dataclasses import dataclass

import numpy as np

from pipeline import relaxation
from pipeline.study import FloatArray, Physics, Readout, SequenceKind


@dataclass(frozen=True, kw_only=True)
class Medium:
    """What relaxes: blood or myocardium before contrast, and how contrast agent changes it."""

    t1_s: float
    t2_s: float
    r1_relaxivity_l_mmol_s: float
    r2_relaxivity_l_mmol_s: float
    r2_star_relaxivity_l_mmol_s: float
    """Only the change by contrast agent counts: native T2* cancels in every normalisation."""
    replaced_per_s: float = 0.0
    """Share that flows out of the slice in a second; what comes has been saturated, but has seen no
    pulse of the readout."""


def blood(physics: Physics) -> Medium:
    """Blood of the left ventricular pool."""
    return Medium(
        t1_s=physics.t1_blood_s,
        t2_s=relaxation.t2_blood_s(physics.field_strength_t),
        r1_relaxivity_l_mmol_s=physics.r1_relaxivity_l_mmol_s,
        r2_relaxivity_l_mmol_s=relaxation.r2_relaxivity_l_mmol_s(physics.field_strength_t),
        r2_star_relaxivity_l_mmol_s=physics.r2_star_relaxivity_l_mmol_s,
        replaced_per_s=physics.blood_replaced_per_s,
    )


def myocardium(physics: Physics) -> Medium:
    """Myocardium. Its T2* is taken to shorten only by r2: the concentrations are small."""
    r2 = relaxation.r2_relaxivity_l_mmol_s(physics.field_strength_t)
    return Medium(
        t1_s=physics.t1_myocardium_s,
        t2_s=relaxation.t2_myocardium_s(physics.field_strength_t),
        r1_relaxivity_l_mmol_s=physics.r1_relaxivity_l_mmol_s,
        r2_relaxivity_l_mmol_s=r2,
        r2_star_relaxivity_l_mmol_s=r2,
    )


def magnitude(concentration_mmol_l: FloatArray, readout: Readout, medium: Medium) -> FloatArray:
    """Relative signal of `medium` with so much contrast agent [mmol/L], any shape.

    Concentrations may be slightly negative (noise), down to where relaxation would vanish.
    """
    concentration = np.asarray(concentration_mmol_l, dtype=float)
    r1_per_s = 1.0 / medium.t1_s + medium.r1_relaxivity_l_mmol_s * concentration
    r2_per_s = 1.0 / medium.t2_s + medium.r2_relaxivity_l_mmol_s * concentration
    r2_star_change = medium.r2_star_relaxivity_l_mmol_s * concentration
    if readout.sequence is SequenceKind.SPOILED_GRADIENT_ECHO:
        return spoiled_gradient_echo(
            r1_per_s, r2_star_change, readout, replaced_per_s=medium.replaced_per_s
        )
    # The balanced echo refocuses what is lost between pulses: T2 is already in its matrix.
    return balanced_ssfp(r1_per_s, r2_per_s, readout)


def spoiled_gradient_echo(
    r1_per_s: FloatArray,
    r2_star_change_per_s: FloatArray,
    readout: Readout,
    *,
    replaced_per_s: float = 0.0,
) -> FloatArray:
    """Signal of the centre line of a spoiled gradient echo train after saturation.

    With E = exp(-TR R1), r the share of spins that are replaced between two pulses by fresh ones,
    k = (1 - r) cos(FA) E, and B = (1 - b) exp(-TD R1) what fresh spins lack of equilibrium when
    the train begins, b being left over by the saturation pulse::

        M(0)     = 1 - B
        M(n + 1) = k M(n) + (1 - r) (1 - E) + r (1 - B E^(n + 1))
        S        = M(n) sin(FA) exp(-TE R2*)

    which is summed in closed form. Relaxation between the spoiled echoes is exact (e.g. Kellman
    2017, doi 10.1186/s12968-017-0355-5).
    """
    flip = readout.flip_angle_rad
    n_pulses = readout.pulses_before_centre
    replaced = min(replaced_per_s * readout.repetition_time_s, 1.0)
    recovery = np.exp(-readout.repetition_time_s * r1_per_s)
    kept = (1.0 - replaced) * np.cos(flip) * recovery
    train = kept**n_pulses
    start = _after_saturation(r1_per_s, readout)
    longitudinal = start * train
    regrown = (1.0 - replaced) * (1.0 - recovery) + replaced
    longitudinal = longitudinal + regrown * (1.0 - train) / (1.0 - kept)
    lacking = replaced * (1.0 - start) * recovery
    longitudinal = longitudinal - lacking * (recovery**n_pulses - train) / (recovery - kept)
    signal: FloatArray = (
        longitudinal * np.sin(flip) * np.exp(-readout.echo_time_s * r2_star_change_per_s)
    )
    return signal


def balanced_ssfp(r1_per_s: FloatArray, r2_per_s: FloatArray, readout: Readout) -> FloatArray:
    """Signal of the centre line of a balanced SSFP train after saturation, on resonance.

    A half-angle pulse half a TR before the train tips the recovered magnetisation; the pulses of
    the train alternate in sign. In the frame that follows the alternation each period decays
    (transverse by E2, longitudinal towards 1 by E1) and turns, which is a 2 by 2 recursion, run
    here pulse by pulse (transient of Scheffler 2003, doi 10.1002/mrm.10421; echo at TR/2).
    """
    flip, period = readout.flip_angle_rad, readout.repetition_time_s
    longitudinal = _after_saturation(r1_per_s, readout)
    transverse = longitudinal * np.sin(flip / 2.0)
    longitudinal = longitudinal * np.cos(flip / 2.0)
    for pulse in range(readout.pulses_before_centre + 1):
        wait = period / 2.0 if pulse == 0 else period
        e1, e2 = np.exp(-wait * r1_per_s), np.exp(-wait * r2_per_s)
        decayed, relaxed = e2 * transverse, 1.0 - e1 + e1 * longitudinal
        transverse = relaxed * np.sin(flip) - decayed * np.cos(flip)
        longitudinal = relaxed * np.cos(flip) + decayed * np.sin(flip)
    signal: FloatArray = np.abs(transverse) * np.exp(-period / 2.0 * r2_per_s)
    return signal


def _after_saturation(r1_per_s: FloatArray, readout: Readout) -> FloatArray:
    """Longitudinal magnetisation when the readout starts."""
    if np.isinf(readout.saturation_delay_s):
        return np.ones_like(r1_per_s)
    decay: FloatArray = np.exp(-readout.saturation_delay_s * r1_per_s)
    return 1.0 - readout.saturation_efficiency * decay
