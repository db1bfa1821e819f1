"""Magnitudes near the noise: their mean is too high, which matters before a bolus.

Gudbjartsson and Patz 1995, doi 10.1002/mrm.1910340618.
"""

import numpy as np

from pipeline.study import FloatArray

LEAST_POWER_SHARE = 0.1
"""Of the power this much is kept, so that a signal at the noise level stays a number."""


def noise_level(signal: FloatArray) -> float:
    """Measure the standard deviation of the noise in magnitudes [time, pixel] of a series.

    From second differences in time late in the series, which see noise and little enhancement, and
    where the signal is bright enough for the noise to be Gaussian.
    """
    late = signal[-max(len(signal) // 3, 3) :]
    bends = np.diff(late, n=2, axis=0) / np.sqrt(6.0)
    return float(np.median(np.abs(bends))) / 0.6745


def mean_magnitude(signal: FloatArray, noise: float, axis: int) -> FloatArray:
    """Average magnitudes along `axis` without their noise: powers, less the power of the noise."""
    power = (signal.astype(float) ** 2).mean(axis=axis)
    mean: FloatArray = np.sqrt(np.maximum(power - 2.0 * noise**2, LEAST_POWER_SHARE * power))
    return mean
