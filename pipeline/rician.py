"""Magnitudes near the noise: their mean is too high, which matters before a bolus.

Gudbjartsson and Patz 1995, doi 10.1002/mrm.1910340618.
"""

from typing import Final

import numpy as np

from pipeline.study import BoolArray, FloatArray

LEAST_POWER_SHARE = 0.1
"""Of the power this much is kept, so that a signal at the noise level stays a number."""

USUAL_EXCESS: Final = 2.0
PARTS: Final = 3
LEAST_FRAMES: Final = 3
MOVED: Final = 1.5
"""Noise without any signal scatters so much less than noise beneath one."""
MOVED_BRIGHT: Final = 1.2
GAUSSIAN: Final = 2.5
"""Signal over scatter above which magnitudes scatter as the noise does, to a few percent."""
BRIGHT: Final = 4.0
"""The same to two percent."""
DARKEST_SHARE: Final = 0.05

ZEROS: Final = (0.2, 0.3, 0.45, 0.55, 0.61, 0.7, 0.79, 0.9)
EXCESS_OF_ZEROS: Final = (2.0, 1.4, 0.8, 0.4, 0.0, -0.6, -1.5, -2.0)
"""By the share of zeros among magnitudes of noise; nearly the same for one coil image and two."""

COILS_SPREAD: Final = (0.0307, 0.0604, 0.1164, 0.2146)
COILS_SKEWNESS: Final = (0.184, 0.269, 0.406, 0.631)
COILS_EXCESS: Final = (16.0, 8.0, 4.0, 2.0)
"""Variance over power, skewness and excess of magnitudes of noise alone from 8, 4, 2 and 1 coil
images combined by the root of the sum of squares (chi distributions)."""
LEAST_SKEWNESS: Final = 0.65
"""Of what noise alone has; magnitudes with signal beneath are less skewed for their spread."""
FEW_ZEROS: Final = 0.01
_OUTLIER: Final = 3.0
LEAST_TOLD: Final = 12
"""Frames that tell the spread of a pixel."""
LEAST_PLANE_PIXELS: Final = 30
"""Fewer pixels do not tell how noise differs from place to place."""


def noise_level(signal: FloatArray) -> float:
    """Measure the standard deviation of the noise in magnitudes [time, pixel] of a series.

    From second differences in time, which see noise and little enhancement, late in the series,
    where the signal is bright enough for the noise to be Gaussian. Where the heart moves, bright
    frames change by more than noise; then the quietest of those thirds of the series is taken in
    which the signal is well above the noise, so that it is Gaussian there, too.
    """
    bends, means = _thirds(signal)
    levels = np.array([np.median(part) for part in bends])
    bright = np.array([np.median(part) for part in means])
    last, least = float(levels[-1]), float(levels.min())
    if last > MOVED * least:
        return least
    quietest = float(levels[_quietest(levels, bright)])
    return quietest if last > MOVED_BRIGHT * quietest else last


def noise_levels(frames: FloatArray, region: BoolArray, where: BoolArray) -> FloatArray:
    """Measure the standard deviation of the noise in each pixel of `where` [pixel].

    Parallel imaging and scanners that even out how bright coils are make noise uneven: in one
    heart there may be twice as much in the lateral wall as in the septum. Its logarithm is taken to
    be a plane, through the scatter of the pixels of `region` (both masks [row, column]) in the
    quietest third of `frames` [time, row, column]; its mean is that of `noise_level`.
    """
    signal = frames[:, region]
    level = noise_level(signal)
    bends, means = _thirds(signal)
    medians = np.array([np.median(part) for part in bends])
    chosen = bends[_quietest(medians, np.array([np.median(part) for part in means]))]
    scatter = np.median(chosen, axis=0)
    place, known = np.argwhere(region).astype(float), scatter > 0.0
    if np.count_nonzero(known) < LEAST_PLANE_PIXELS:
        return np.full(np.count_nonzero(where), level)
    middle = place[known].mean(axis=0)
    design = np.column_stack([np.ones(len(place)), place - middle])
    logs = np.log(np.where(known, scatter, 1.0))
    for _ in range(4):
        plane = np.linalg.lstsq(design[known], logs[known], rcond=None)[0]
        away = np.abs(logs - design @ plane)
        known &= away <= _OUTLIER * np.median(away[known]) / 0.6745
    uneven: FloatArray = level * np.exp((np.argwhere(where) - middle) @ plane[1:])
    return uneven


def shows_noise(signal: FloatArray) -> bool:
    """Whether a third of a series [time, pixel] is bright enough to scatter as the noise does."""
    bends, means = _thirds(signal)
    return any(
        bool(np.median(mean) >= BRIGHT * np.median(bend))
        for mean, bend in zip(means, bends, strict=True)
    )


def noise_in(frames: FloatArray, region: BoolArray, where: BoolArray) -> float:
    """Noise of `where` as a whole, told by `region`: root of the mean power (`noise_levels`)."""
    return float(np.sqrt((noise_levels(frames, region, where) ** 2).mean()))


def _thirds(signal: FloatArray) -> tuple[list[FloatArray], list[FloatArray]]:
    """Scatter by second differences, and magnitude, in the parts of a series [time, pixel]."""
    bends = np.abs(np.diff(signal.astype(float), n=2, axis=0)) / (0.6745 * np.sqrt(6.0))
    n_parts = min(PARTS, max(len(bends) // LEAST_FRAMES, 1))
    return np.array_split(bends, n_parts), np.array_split(signal[1:-1], n_parts)


def _quietest(levels: FloatArray, means: FloatArray) -> int:
    """Which part has least noise of those bright enough for it to be Gaussian; else the last."""
    seen = np.where(means >= GAUSSIAN * levels, levels, np.inf)
    return int(np.argmin(seen)) if np.isfinite(seen).any() else len(levels) - 1


def noise_excess(frames: FloatArray) -> float:
    """Measure by how much noise raises the power of a magnitude, in variances of the noise.

    It is 2 for one coil image, and 2 more for each further one in the root of a sum of squares,
    whose noise is brighter but no more variable: the spread of the darkest pixels of the series
    [time, row, column] tells. Scanners that subtract the noise floor lower it, some of them below
    zero, and leave zeros where there is hardly any signal: their share among those pixels tells by
    how much.
    """
    signal = frames.reshape(len(frames), -1)
    signal = signal[:, (signal > 0.0).any(axis=0)]
    if len(signal) < 2 or signal.shape[1] == 0:
        return USUAL_EXCESS
    # chosen in every other frame and looked at in those between: chance must not choose
    power = (signal[::2].astype(float) ** 2).mean(axis=0)
    darkest = signal[1::2, power <= np.quantile(power, DARKEST_SHARE)]
    zeros = float((darkest == 0.0).mean())
    if zeros < FEW_ZEROS and len(darkest) >= LEAST_TOLD:
        return _excess_of_coils(darkest.astype(float))
    return float(np.interp(zeros, ZEROS, EXCESS_OF_ZEROS))


def _excess_of_coils(noise: FloatArray) -> float:
    """Excess of magnitudes [time, pixel] if they are noise alone; else what is usual."""
    relative = noise / np.maximum(noise.mean(axis=0), 1e-9) - 1.0
    each = (relative**2).mean(axis=0)
    still = relative[:, each <= _OUTLIER * np.median(each)]
    n_frames = len(still)
    variance = float((still**2).mean()) * n_frames / (n_frames - 1.0)
    if variance == 0.0:
        return USUAL_EXCESS
    third = float((still**3).mean()) * n_frames**2 / ((n_frames - 1.0) * (n_frames - 2.0))
    skewness, spread = third / variance**1.5, variance / (1.0 + variance)
    if skewness < LEAST_SKEWNESS * np.interp(spread, COILS_SPREAD, COILS_SKEWNESS):
        return USUAL_EXCESS
    return 1.0 / float(np.interp(spread, COILS_SPREAD, 1.0 / np.array(COILS_EXCESS)))


def mean_magnitude(
    signal: FloatArray, noise: float | FloatArray, axis: int, excess: float = USUAL_EXCESS
) -> FloatArray:
    """Average magnitudes along `axis` without their noise: powers, less what noise adds to them."""
    power = (signal.astype(float) ** 2).mean(axis=axis)
    mean: FloatArray = np.sqrt(np.maximum(power - excess * noise**2, LEAST_POWER_SHARE * power))
    return mean


def without_noise(signal: FloatArray, noise: FloatArray, excess: float) -> FloatArray:
    """Take from magnitudes, one by one, what noise adds to them on average.

    For ``excess - 1`` variances of the noise less power, the mean of a magnitude of three times the
    noise or more is that of the signal: one of the `excess` variances is the scatter itself.
    """
    power = signal**2
    clean: FloatArray = np.sqrt(
        np.maximum(power - (excess - 1.0) * noise**2, LEAST_POWER_SHARE * power)
    )
    return clean
