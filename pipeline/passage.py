"""The way of the bolus through the heart: right ventricle, lungs, left ventricle."""

from collections.abc import Sequence

import numpy as np

from pipeline.blood_pool import pool_signal
from pipeline.bolus import find_landmarks, rise
from pipeline.errors import NoInputFunctionError
from pipeline.result import Regions
from pipeline.study import BoolArray, FloatArray, PerfusionSlice


def pulmonary_transit_s(
    slices: Sequence[PerfusionSlice],
    aligned_frames: Sequence[FloatArray],
    regions: Sequence[Regions],
) -> float | None:
    """How much later the left ventricle enhances than the right one.

    Parameters
    ----------
    slices, aligned_frames, regions
        One of each for every slice; frames [time, row, column].

    Returns
    -------
    Median over the slices in which both pools are seen to fill of the later one of two differences,
    that of the arrivals and that of the peaks [s]; negative where the left pool is first in both.
    None where no slice shows both.
    """
    found = []
    for one, frames, masks in zip(slices, aligned_frames, regions, strict=True):
        right, left = (_filling_s(one, frames, pool) for pool in (masks.rv_pool, masks.lv_pool))
        if right is not None and left is not None:
            found.append(max(after - before for before, after in zip(right, left, strict=True)))
    return float(np.median(found)) if found else None


def right_arrival_s(one: PerfusionSlice, frames: FloatArray, masks: Regions) -> float | None:
    """When the bolus comes into the right ventricle of a slice [s]; None where it is not seen.

    `frames` are aligned [time, row, column].
    """
    filling = _filling_s(one, frames, masks.rv_pool)
    return None if filling is None else filling[0]


def _filling_s(
    one: PerfusionSlice, frames: FloatArray, pool: BoolArray
) -> tuple[float, float] | None:
    """Arrival and peak in a pool [s]; None where no bolus is seen in it."""
    signal = pool_signal(one, frames, pool)
    if signal is None:
        return None
    try:
        landmarks = find_landmarks(signal.time_s, rise(signal.signal))
    except NoInputFunctionError:
        return None
    return landmarks.arrival_s, landmarks.peak_s
