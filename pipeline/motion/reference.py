"""Which frame the others are aligned to: one near the peak, with the heart in its usual place."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from pipeline.motion.align import align_together
from pipeline.result import AlignedSeries, Box
from pipeline.study import FloatArray

FAR_MM: Final = 8.0
"""From its usual place, beyond which another frame is looked for."""
BESIDE_FRAMES: Final = 3
"""So far from the peak both ventricles are still bright."""


def align_near_peak(
    frames: Sequence[FloatArray],
    time_s: Sequence[FloatArray],
    boxes: Sequence[Box],
    peak_frames: Sequence[int],
    spacing_mm: tuple[float, float],
) -> tuple[AlignedSeries, ...]:
    """Align slices of the same beats to one beat near the peaks, where the heart is in its place.

    The boxes are where the heart usually is. Aligned to a frame that a deep breath has taken far
    from there, dark frames are not found again.

    Parameters
    ----------
    frames
        Signal magnitude of each slice [time, row, column], all of the same shape.
    time_s
        Acquisition times of each [s], strictly rising [time].
    boxes
        The heart of each where it usually is.
    peak_frames
        Of the left ventricle in each; the middle one counts.
    spacing_mm
        Between rows, between columns [mm].
    """
    peak = sorted(peak_frames)[len(peak_frames) // 2]

    def to(reference: int) -> tuple[AlignedSeries, ...]:
        return align_together(frames, time_s, boxes, reference, spacing_mm)

    aligned = to(peak)
    places = np.stack([one.bulk_displacement_mm for one in aligned])
    usual = np.median(places, axis=1, keepdims=True)
    away_mm = np.linalg.norm(places - usual, axis=-1).mean(axis=0)
    if away_mm[peak] <= FAR_MM:
        return aligned
    first = max(peak - BESIDE_FRAMES, 0)
    return to(first + int(away_mm[first : peak + BESIDE_FRAMES + 1].argmin()))
