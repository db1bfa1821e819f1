"""The heart rate during a first pass, and where it was read."""

from collections.abc import Sequence
from statistics import median

import numpy as np

from node.dicom_read.frames import Frame
from pipeline.study import FloatArray

_PLAUSIBLE_BPM = (30.0, 200.0)
_RR_MS = ("RRIntervalTimeNominal", "NominalInterval")


def heart_rate_bpm(
    frames: Sequence[Frame], seconds: FloatArray, *, measured: bool
) -> tuple[float, str] | None:
    """Return the heart rate [1/min] and its origin in words; None where nothing tells.

    RR intervals of all images go before one HeartRate of the series; the interval between images
    is the last resort, for it may be two beats.
    """
    for keyword in _RR_MS:
        intervals = [frame.header.number(keyword) for frame in frames]
        rates = [60e3 / value for value in intervals if value is not None and value > 0]
        plausible = [rate for rate in rates if _is_plausible(rate)]
        if plausible:
            return median(plausible), keyword
    rates = [rate for f in frames if (rate := f.header.number("HeartRate")) is not None]
    plausible = [rate for rate in rates if _is_plausible(rate)]
    if plausible:
        return median(plausible), "HeartRate"
    if measured:
        rate = 60.0 / float(np.median(np.diff(seconds)))
        if 40.0 <= rate <= _PLAUSIBLE_BPM[1]:
            return rate, "the interval between images, if they are one beat apart"
    return None


def _is_plausible(rate: float) -> bool:
    return _PLAUSIBLE_BPM[0] <= rate <= _PLAUSIBLE_BPM[1]
