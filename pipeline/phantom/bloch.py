"""The saturation-recovery readout, pulse by pulse.

A recurrence on the longitudinal magnetisation: relax, tip, read, relax, tip ... Spoiling is
perfect; balanced SSFP keeps the transverse magnetisation and alternates the phase of the pulses
(Bloch equations on resonance; half-angle preparation).
"""

import numpy as np

from pipeline.study import FloatArray, Readout, SequenceKind


def readout_signal(
    readout: Readout,
    *,
    r1_per_s: FloatArray,
    r2_per_s: FloatArray,
    n_pulses: int,
    flip_scale: float = 1.0,
) -> FloatArray:
    """Transverse magnetisation at each echo for unit equilibrium magnetisation, [pulse, ...].

    `r2_per_s` is R2* for a spoiled readout and R2 for a balanced one.
    """
    r1 = np.asarray(r1_per_s, dtype=float)
    start = 1.0 - readout.saturation_efficiency
    recovery = np.exp(-readout.saturation_delay_s * r1)
    longitudinal = 1.0 - (1.0 - start) * recovery
    flip = readout.flip_angle_rad * flip_scale
    r2 = np.asarray(r2_per_s, dtype=float)
    if readout.sequence is SequenceKind.BALANCED_SSFP:
        return _balanced(readout, longitudinal, r1, r2, flip, n_pulses)
    decay_to_echo = np.exp(-readout.echo_time_s * r2)
    relax = np.exp(-readout.repetition_time_s * r1)
    signal = np.empty((n_pulses, *r1.shape))
    for pulse in range(n_pulses):
        signal[pulse] = longitudinal * np.sin(flip) * decay_to_echo
        longitudinal = longitudinal * np.cos(flip) * relax + 1.0 - relax
    return signal


def _balanced(
    readout: Readout,
    longitudinal: FloatArray,
    r1: FloatArray,
    r2: FloatArray,
    flip: float,
    n_pulses: int,
) -> FloatArray:
    half = readout.repetition_time_s / 2
    e1, e2 = np.exp(-readout.repetition_time_s * r1), np.exp(-readout.repetition_time_s * r2)
    # the half-angle pulse, half a repetition before the first full one
    transverse = longitudinal * np.sin(flip / 2) * np.exp(-half * r2)
    longitudinal = 1.0 - (1.0 - longitudinal * np.cos(flip / 2)) * np.exp(-half * r1)
    to_echo = np.exp(-readout.echo_time_s * r2)
    signal = np.empty((n_pulses, *r1.shape))
    for pulse in range(n_pulses):
        # in the frame that alternates with the pulses, each one tips back what it had tipped
        tipped = longitudinal * np.sin(flip) - transverse * np.cos(flip)
        longitudinal = longitudinal * np.cos(flip) + transverse * np.sin(flip)
        signal[pulse] = np.abs(tipped) * to_echo
        transverse, longitudinal = tipped * e2, 1.0 - (1.0 - longitudinal) * e1
    return signal
