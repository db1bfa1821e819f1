"""T2* of the blood, from two echoes of the series for the input function.

At its peak the bolus shortens T2* of blood to some ten milliseconds, and the signal at the echo is
too low by a tenth. Where only one echo was acquired, the relaxivity for T2* is taken from the
literature instead (`pipeline.signal_model`), where it is uncertain.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from scipy import ndimage

from pipeline.rician import noise_level
from pipeline.study import FloatArray, InputSeries

_SMOOTHING_PIXELS: Final = 1.0
"""The ratio of two noisy echoes is taken over this neighbourhood: a pool is larger, and T2* the
same all over it."""

_LEAST_SIGNAL: Final = 4.0
"""In standard deviations of the noise, whose own magnitude is 1.25: below, the echoes say nothing
about their ratio. Dark blood holds little contrast agent, and its T2* is long."""


def without_t2_star(series: InputSeries) -> InputSeries:
    """Bring the signal of a series with two echoes back to the pulse; others stay as they are.

    ::

        R2* = ln(S1 / S2) / (TE2 - TE1),    S = S1 exp(TE1 R2*)

    Kellman 2017, doi 10.1186/s12968-017-0355-5. What is returned has an echo time of zero, so that
    the signal model takes nothing off for T2*.
    """
    later = series.second_echo
    if later is None:
        return series
    first, second = (_smooth(frames) for frames in (series.slice.frames, later.frames))
    noise = noise_level(series.slice.frames.reshape(len(first), -1).astype(float))
    decaying = (second > _LEAST_SIGNAL * noise) & (first > second)
    ratio = np.divide(first, second, out=np.ones_like(first), where=decaying)
    echo_time_s = series.readout.echo_time_s
    exponent = echo_time_s / (later.echo_time_s - echo_time_s)
    frames: FloatArray = series.slice.frames * ratio**exponent
    return replace(
        series,
        slice=replace(series.slice, frames=frames),
        readout=replace(series.readout, echo_time_s=0.0),
        second_echo=None,
    )


def _smooth(frames: FloatArray) -> FloatArray:
    smooth: FloatArray = ndimage.gaussian_filter(
        frames.astype(float), (0.0, _SMOOTHING_PIXELS, _SMOOTHING_PIXELS), mode="nearest"
    )
    return smooth
