"""Impulse response without a tissue model: a sum of B-splines."""

import numpy as np
from scipy.interpolate import BSpline

from pipeline.study import FloatArray

KNOTS_S = (0.0, 2.0, 4.0, 7.0, 11.0, 17.0, 26.0, 40.0, 60.0)
"""Denser where a response changes fast; after the last one it is zero."""

DEGREE = 3


def basis(time_s: FloatArray) -> FloatArray:
    """Cubic B-splines over time after arrival [time, spline].

    Only the first differs from zero at time zero, where it is one: its coefficient is h(0), the
    flow. It starts flat, because nothing can leave before the shortest transit time; without that,
    h(0) is the least determined of all. Jerosch-Herold 2002, doi 10.1109/TMI.2002.803114
    (model-independent deconvolution).
    """
    knots = np.concatenate([np.repeat(KNOTS_S[0], DEGREE), KNOTS_S, np.repeat(KNOTS_S[-1], DEGREE)])
    n_splines = knots.size - DEGREE - 1
    splines = BSpline(knots, np.eye(n_splines), DEGREE, extrapolate=False)
    values = np.nan_to_num(splines(np.asarray(time_s, dtype=float)))
    return np.column_stack([values[:, 0] + values[:, 1], values[:, 2:]])


def roughness() -> FloatArray:
    """Penalty matrix: integral of the squared second derivative over time [spline, spline].

    Time runs as its logarithm, log(1 + t / 2 s), so that early bends cost as much as late ones.
    """
    stretched = np.linspace(0.0, np.log1p(KNOTS_S[-1] / 2.0), 600)
    curves = basis(2.0 * np.expm1(stretched))
    bends = np.gradient(np.gradient(curves, stretched, axis=0), stretched, axis=0)
    penalty: FloatArray = bends.T @ bends * (stretched[1] - stretched[0])
    return penalty
