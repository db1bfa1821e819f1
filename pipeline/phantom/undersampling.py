"""What undersampling in k-space and time leaves behind in a series."""

import numpy as np
from scipy.fft import fft, ifft

from pipeline.study import FloatArray

_FULLY_SAMPLED = 0.08


def share_frames(images: FloatArray, *, axis: int, acceleration: int, trust: float) -> FloatArray:
    """Complex images [time, row, column] of a series whose lines were not all taken in each frame.

    Frame t takes every `acceleration`-th line of the phase axis, line k when k + t is a multiple
    of it, and the middle of k-space. For the lines that are missing, the reconstruction trusts
    what the coils tell it (`trust`, 1: they tell all) and for the rest takes the line from the
    neighbouring frames, linearly in time: what moves or enhances is blurred in time and folds,
    as after k-t SENSE (Tsao et al. 2003, doi 10.1002/mrm.10611) and shared views.
    """
    n_frames, n_lines = images.shape[0], images.shape[axis + 1]
    if trust >= 1.0 or n_frames <= acceleration:
        return images
    lines = fft(images, axis=axis + 1)
    moved = np.moveaxis(lines, axis + 1, 1)  # [time, line, along]
    found = moved.copy()
    middle = np.abs(np.fft.fftfreq(n_lines)) * 2.0 < _FULLY_SAMPLED
    frame, line = np.arange(n_frames)[:, None], np.arange(n_lines)[None]
    since = (frame + line) % acceleration
    for late in range(1, acceleration):
        at_frame, at_line = np.nonzero((since == late) & ~middle[None])
        before, after = at_frame - late, at_frame + acceleration - late
        inside_before, inside_after = before >= 0, after < n_frames
        before = np.where(inside_before, before, after)
        after = np.where(inside_after, after, before)
        share = late / acceleration
        shared = (1.0 - share) * moved[before, at_line] + share * moved[after, at_line]
        own = moved[at_frame, at_line]
        found[at_frame, at_line] = own + (1.0 - trust) * (shared - own)
    result: FloatArray = ifft(np.moveaxis(found, 1, axis + 1), axis=axis + 1)
    return result
