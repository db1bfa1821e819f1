"""Arterial input function: from a series made for it, else from the left ventricular pool."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.optimize import least_squares

from pipeline.blood_curve import BloodCurve, averaged, blood_curve, combined, pools, with_foot
from pipeline.blood_pool import PoolSignal, series_pool_signal
from pipeline.bolus import PEAK_PER_DOSE, PEAK_SPREAD, Landmarks, find_landmarks
from pipeline.errors import NoInputFunctionError
from pipeline.input_scale import SharedScale, blood_curve_beside
from pipeline.result import InputFunction, Regions
from pipeline.scale_evidence import two_readouts
from pipeline.second_passage import passage_shift_s
from pipeline.study import FirstPass, FloatArray, InputKind, Physics

HIGHEST_AMPLIFICATION: Final = 3.0
"""Relative error of concentration over relative error of signal that still counts as measured.

It is 1 in the linear range; above 3 a signal error of 5 % is a concentration error of 15 %.
"""

HIGHEST_LATE_SHARE: Final = 0.65
"""Blood after the first pass over its peak. Tracer spreads in the body, so true concentration
falls to a third or less within half a minute; signal that stays this high has hit a ceiling."""

_PURE_SHARE: Final = 0.75
"""A pool with less contrast agent than this share of another slice's is not pure."""

_LATE_AFTER_S: Final = 20.0
_SIGNAL_ERROR: Final = 0.03
"""Relative error of enhancement that the restoration of a peak reckons with."""

_ALIKE: Final = 4.0
"""So many neighbouring frames have errors alike; the fit of a peak takes them as independent."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidate:
    """An input curve and where it came from."""

    source: str
    curve: BloodCurve
    pool: PoolSignal
    series: InputKind | None = None
    """Of the series made for it, where it came from one."""
    spread: float = 0.0
    """Of the logarithm of its height, that the scale of its readout leaves open."""


def input_function(
    first_pass: FirstPass,
    aligned_frames: Sequence[FloatArray],
    regions: Sequence[Regions],
    *,
    residual_mmol_l: float = 0.0,
    shared: SharedScale | None = None,
) -> InputFunction:
    """Concentration in whole blood of the left ventricle [mmol/L], as change since the bolus came.

    A dual-sequence series is taken as it is. Of a dual bolus the diluted passage is scaled by the
    ratio of the doses and shifted to where the main bolus arrives. Both take the foot and the tail
    from the slices, which measure them better. Without such a series the slices are all there is:
    where the peak lies too near the ceiling of the readout to be measured, it is restored from the
    flanks, and `saturated` says so.

    Parameters
    ----------
    first_pass
        Times, physics and, where acquired, the series made for the input function.
    aligned_frames, regions
        Motion-compensated frames [time, row, column] and masks, one for each slice.
    residual_mmol_l
        Contrast agent in the blood from an earlier injection.
    shared
        What other first passes say about the scale of a dual-sequence series; None: nothing.

    Raises
    ------
    NoInputFunctionError
        No slice shows a passage of contrast agent through the left ventricular pool.
    """
    mains = _mains(first_pass, aligned_frames, regions, residual_mmol_l)
    if not mains:
        raise NoInputFunctionError(
            "no slice shows a passage of contrast agent through the left ventricular pool"
        )
    main = _together(mains)
    separate = _separate(first_pass, aligned_frames, regions, residual_mmol_l, main, shared)
    return _finished(separate or main, first_pass.physics)


def _mains(
    first_pass: FirstPass,
    aligned_frames: Sequence[FloatArray],
    regions: Sequence[Regions],
    residual_mmol_l: float,
) -> list[_Candidate]:
    """Input curves of the main slices."""
    physics, found = first_pass.physics, []
    blood = pools(first_pass.slices, aligned_frames, regions)
    for number, pool in enumerate(blood, start=1):
        if pool is not None:
            curve = blood_curve(
                pool,
                physics,
                physics.readout,
                residual_mmol_l=residual_mmol_l,
            )
            found.append(_Candidate(source=f"LV pool of slice {number}", curve=curve, pool=pool))
    return found


def _together(mains: Sequence[_Candidate]) -> _Candidate:
    """Mean of the slices, without those whose pool is too small to be pure.

    Baseline noise and coils err differently in each slice; a pool diluted by its wall reads low.
    """
    areas = [float(np.clip(one.curve.values_mmol_l, 0.0, None).mean()) for one in mains]
    pure = [one for one, area in zip(mains, areas, strict=True) if area >= _PURE_SHARE * max(areas)]
    if len(pure) == 1:
        return pure[0]
    largest = max(pure, key=lambda one: one.pool.n_pixels)
    return _Candidate(
        source=f"LV pool of {len(pure)} slices",
        curve=averaged([one.curve for one in pure], largest.curve.time_s),
        pool=largest.pool,
    )


def _separate(
    first_pass: FirstPass,
    aligned_frames: Sequence[FloatArray],
    regions: Sequence[Regions],
    residual_mmol_l: float,
    main: _Candidate,
    shared: SharedScale | None,
) -> _Candidate | None:
    """Input curve of the series made for it; None where there is none or its pool is not found."""
    series = first_pass.input_series
    if series is None:
        return None
    both = two_readouts(first_pass, aligned_frames, regions, residual_mmol_l)
    if both is not None:
        beside, spread = blood_curve_beside(both, shared)
        told = ", scaled by its proton-density frames and the slices" if both.has_density else ""
        return _Candidate(
            source=f"{series.kind.value} series{told}",
            curve=combined(main.curve, beside, first_pass.physics, residual_mmol_l=residual_mmol_l),
            pool=both.second,
            series=series.kind,
            spread=spread,
        )
    pool = with_foot(series_pool_signal(series, first_pass.slices[0], regions[0]))
    if pool is None:
        return None
    curve = blood_curve(
        pool,
        first_pass.physics,
        series.readout,
        residual_mmol_l=residual_mmol_l,
    )
    if series.kind is InputKind.DUAL_BOLUS:
        curve = replace(curve, values_mmol_l=curve.values_mmol_l * series.dose_ratio)
        shift = passage_shift_s(
            main.pool, curve, first_pass.physics, residual_mmol_l=residual_mmol_l
        )
        curve = combined(
            main.curve,
            replace(curve, time_s=curve.time_s + shift),
            first_pass.physics,
            residual_mmol_l=residual_mmol_l,
        )
    return _Candidate(
        source=f"{series.kind.value} series", curve=curve, pool=pool, series=series.kind
    )


def _finished(candidate: _Candidate, physics: Physics) -> InputFunction:
    """Restore the peak where it was not measured, and find the landmarks."""
    curve = candidate.curve
    landmarks = find_landmarks(curve.time_s, curve.values_mmol_l)
    values, spread = curve.values_mmol_l, candidate.spread
    unreliable = ~curve.reliable(HIGHEST_AMPLIFICATION)
    if unreliable.any():
        values, of_peak = _restored(curve, landmarks, physics.dose_mmol_kg)
        spread = float(np.hypot(spread, of_peak))
        landmarks = find_landmarks(curve.time_s, values)
    return InputFunction(
        time_s=curve.time_s,
        concentration_mmol_l=values,
        arrival_s=landmarks.arrival_s,
        first_pass_end_s=landmarks.first_pass_end_s,
        source=candidate.source,
        saturated=bool(unreliable.any()) or _is_flat(curve.time_s, values, landmarks.peak_s),
        series=candidate.series,
        spread=spread,
    )


def _restored(
    curve: BloodCurve, landmarks: Landmarks, dose_mmol_kg: float | None
) -> tuple[FloatArray, float]:
    """Curve whose unmeasured peak is that of a gamma-variate through its flanks.

    Beside it: standard deviation of the logarithm of the area under it that the fit leaves open.

    ``A (x e^(1-x))^alpha`` with ``x = (t - t0) / tau``; each sample counts by how well the readout
    measures it, and the height by what the dose lets expect.
    """
    time = curve.time_s
    used = (time >= landmarks.arrival_s - 3.0) & (time <= landmarks.first_pass_end_s)
    values = curve.values_mmol_l
    amplification = np.minimum(curve.amplification, 1e3)
    error = _SIGNAL_ERROR * amplification * np.maximum(values, 0.0) + 0.05
    expected = float(values.max()) if dose_mmol_kg is None else PEAK_PER_DOSE * dose_mmol_kg
    start = np.array(
        [
            np.log(expected),
            landmarks.arrival_s,
            np.log(max(landmarks.peak_s - landmarks.arrival_s, 1.0)),
            np.log(3.0),
        ]
    )

    def shape(parameters: FloatArray) -> FloatArray:
        height, begin, rise, steepness = parameters
        x = np.clip((time - begin) / np.exp(rise), 1e-9, None)
        curve_shape: FloatArray = np.exp(height + np.exp(steepness) * (np.log(x) + 1.0 - x))
        return curve_shape

    def misfit(parameters: FloatArray) -> FloatArray:
        away = (shape(parameters) - values)[used] / error[used]
        prior = (parameters - start) / np.array([PEAK_SPREAD, 2.0, 0.5, 0.7])
        return np.concatenate([away, prior])

    found = least_squares(misfit, start, loss="soft_l1")
    lost = used & ~curve.reliable(HIGHEST_AMPLIFICATION)

    def restored(parameters: FloatArray) -> FloatArray:
        return np.where(lost, shape(parameters), values)

    def log_area(parameters: FloatArray) -> float:
        return float(np.log(max(np.clip(restored(parameters)[used], 0.0, None).sum(), 1e-6)))

    jacobian: FloatArray = np.asarray(found.jac)
    covariance = _ALIKE * np.linalg.inv(jacobian.T @ jacobian)
    slope = np.array(
        [(log_area(found.x + step) - log_area(found.x - step)) / 2e-4 for step in 1e-4 * np.eye(4)]
    )
    return restored(found.x), float(np.sqrt(slope @ covariance @ slope))


def _is_flat(time_s: FloatArray, curve: FloatArray, peak_s: float) -> bool:
    """Whether blood stays near its peak when the first pass is long over."""
    late = curve[time_s > peak_s + _LATE_AFTER_S]
    return late.size > 0 and float(np.median(late)) > HIGHEST_LATE_SHARE * float(curve.max())
