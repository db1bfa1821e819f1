"""When another passage of the same bolus came before that which the slices show."""

from typing import Final

import numpy as np

from pipeline import signal_model
from pipeline.blood_curve import BloodCurve, arrival_s, at_times, baseline
from pipeline.blood_pool import PoolSignal
from pipeline.bolus import find_landmarks
from pipeline.study import Physics

LARGEST_CORRECTION_S: Final = 4.0
COMPARED_AFTER_PEAK_S: Final = 10.0
"""Two passages are brought together over the first pass; later ones differ."""


def passage_shift_s(
    main: PoolSignal, curve: BloodCurve, physics: Physics, *, residual_mmol_l: float = 0.0
) -> float:
    """Find by how much another passage of the same bolus came before the one that `main` shows [s].

    `curve` is the other passage, scaled to this dose. The shift is the one with which it explains
    the main signal best, over the whole upslope and washout: a foot alone is lost in noise.
    """
    apart = arrival_s(main) - find_landmarks(curve.time_s, curve.values_mmol_l).arrival_s
    shifts = apart + np.arange(-LARGEST_CORRECTION_S, LARGEST_CORRECTION_S + 0.05, 0.1)
    moved = np.array([at_times(main.time_s - one, curve) for one in shifts])
    expected = signal_model.magnitude(
        np.clip(moved, 0.0, None) + residual_mmol_l, physics.readout, signal_model.blood(physics)
    )
    native = signal_model.magnitude(
        np.array(residual_mmol_l), physics.readout, signal_model.blood(physics)
    )
    away = np.log(main.signal / baseline(main)) - np.log(expected / native)
    used = main.time_s <= main.time_s[np.argmax(main.signal)] + COMPARED_AFTER_PEAK_S
    return float(shifts[int(np.argmin(np.abs(away[:, used]).mean(axis=1)))])
