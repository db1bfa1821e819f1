"""The saturation-recovery readout, pulse by pulse.

A recurrence on the longitudinal magnetisation: relax, tip, read, relax, tip ... Spoiling is
perfect; balanced SSFP keeps the transverse magnetisation, which precesses off resonance, and
alternates the phase of the pulses (Bloch equations; half-angle preparation). Blood that flows
through the slice is replaced, between two pulses, by blood that has seen none: the mean over the
spins obeys a recurrence, too.
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
    left: float | None = None,
    replaced: FloatArray | float = 0.0,
    off_resonance_hz: float = 0.0,
) -> FloatArray:
    """Transverse magnetisation at each echo for unit equilibrium magnetisation, [pulse, ...].

    Parameters
    ----------
    readout
        Nominal flip angle; its saturation efficiency counts where `left` is None.
    r1_per_s, r2_per_s
        Relaxation rates of the same shape; R2* for a spoiled readout, R2 for a balanced one.
    n_pulses
        How many pulses are played.
    flip_scale
        True flip angle over the nominal one.
    left
        Longitudinal magnetisation after saturation; negative where it tips too far.
    replaced
        Share of the spins that leave the slice between two pulses, and as many new ones enter.
    off_resonance_hz
        Counts for a balanced readout; a spoiled one loses all of its transverse magnetisation.
    """
    r1 = np.asarray(r1_per_s, dtype=float)
    start = 1.0 - readout.saturation_efficiency if left is None else left
    fresh = 1.0 - (1.0 - start) * np.exp(-readout.saturation_delay_s * r1)
    flip = readout.flip_angle_rad * flip_scale
    r2 = np.asarray(r2_per_s, dtype=float)
    if readout.sequence is SequenceKind.BALANCED_SSFP:
        turn = 2.0 * np.pi * off_resonance_hz * readout.repetition_time_s
        return _balanced(readout, fresh, r1, r2, flip, n_pulses, replaced, turn)
    decay_to_echo = np.exp(-readout.echo_time_s * r2)
    relax = np.exp(-readout.repetition_time_s * r1)
    signal = np.empty((n_pulses, *r1.shape))
    longitudinal = fresh
    for pulse in range(n_pulses):
        signal[pulse] = longitudinal * np.sin(flip) * decay_to_echo
        longitudinal = longitudinal * np.cos(flip) * relax + 1.0 - relax
        fresh = fresh * relax + 1.0 - relax
        longitudinal = longitudinal + replaced * (fresh - longitudinal)
    return signal


def _balanced(
    readout: Readout,
    fresh: FloatArray,
    r1: FloatArray,
    r2: FloatArray,
    flip: float,
    n_pulses: int,
    replaced: FloatArray | float,
    turn_rad: float,
) -> FloatArray:
    half = readout.repetition_time_s / 2
    e1, e2 = np.exp(-readout.repetition_time_s * r1), np.exp(-readout.repetition_time_s * r2)
    # the half-angle pulse, half a repetition before the first full one
    transverse = fresh * np.sin(flip / 2) * np.exp(-half * r2 + 0.5j * turn_rad)
    longitudinal = 1.0 - (1.0 - fresh * np.cos(flip / 2)) * np.exp(-half * r1)
    to_echo = np.exp(-readout.echo_time_s * r2)
    signal = np.empty((n_pulses, *r1.shape))
    for pulse in range(n_pulses):
        # in the frame that alternates with the pulses, each one tips back what it had tipped
        tipped = longitudinal * np.sin(flip) - transverse.real * np.cos(flip)
        tipped = tipped - 1j * transverse.imag  # along the axis of the pulse: not tipped
        longitudinal = longitudinal * np.cos(flip) + transverse.real * np.sin(flip)
        signal[pulse] = np.abs(tipped) * to_echo
        transverse = tipped * (e2 * np.exp(1j * turn_rad)) * (1.0 - replaced)
        longitudinal = 1.0 - (1.0 - longitudinal) * e1
        fresh = 1.0 - (1.0 - fresh) * e1
        longitudinal = longitudinal + replaced * (fresh - longitudinal)
    return signal
