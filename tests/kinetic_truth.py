"""Tissue curves whose blood flow is known, by ways that the product does not use.

The equations are integrated step by step on fine grids; nothing of them is shared with
`pipeline.kinetics`, so that a common mistake cannot hide.
"""

import numpy as np

from pipeline.bolus import find_landmarks
from pipeline.result import InputFunction

DENSITY_G_ML = 1.05
HAEMATOCRIT = 0.42


def blood_curve(time_s, *, arrival_s=8.0, peak_mmol_l=4.4, width_s=3.0):
    """Whole-blood concentration: a gamma-variate, a wide second pass and a slow tail."""

    def gamma(time, shape, scale):
        x = np.clip(time, 0.0, None) / (shape * scale)
        return (x * np.exp(1.0 - x)) ** shape

    after = np.asarray(time_s, dtype=float) - arrival_s
    first = gamma(after, 3.0, width_s / 2.0)
    second = 0.18 * gamma(after - 11.0, 3.0, width_s)
    tail = 0.17 * (1.0 - np.exp(-np.clip(after - 4.0, 0.0, None) / 8.0))
    return peak_mmol_l * (first + second + tail)


def input_of(time_s, curve):
    """Make an input function of a concentration [time] that is known."""
    found = find_landmarks(time_s, curve)
    return InputFunction(
        time_s=time_s,
        concentration_mmol_l=curve,
        arrival_s=found.arrival_s,
        first_pass_end_s=found.first_pass_end_s,
        source="truth",
    )


def plug_flow_exchange(
    time_s, blood, *, mbf_ml_min_g, ps_ml_min_g, blood_volume, interstitium, delay_s=0.0
):
    """Capillary with plug flow and an interstitium without axial exchange (BTEX), solved on a grid.

    `blood` is a function of time [s]. In each step the plasma moves on by exactly one node, then
    plasma and interstitium exchange for that time (Strang splitting, second order).
    """
    per_volume = DENSITY_G_ML / 60.0
    plasma_flow = mbf_ml_min_g * per_volume * (1.0 - HAEMATOCRIT)
    ps = ps_ml_min_g * per_volume
    plasma_volume = blood_volume * (1.0 - HAEMATOCRIT)
    transit = plasma_volume / plasma_flow
    n_nodes = max(int(np.ceil(transit / 0.04)), 20)
    step = transit / n_nodes
    rate = ps * (1.0 / plasma_volume + 1.0 / interstitium)
    mixed_share = plasma_volume / (plasma_volume + interstitium)
    half_decay = np.exp(-rate * step / 2.0)
    grid = np.arange(0.0, time_s[-1] + step, step)
    inflow = blood(grid - delay_s) / (1.0 - HAEMATOCRIT)
    plasma, tissue = np.zeros(n_nodes), np.zeros(n_nodes)
    content = np.empty_like(grid)

    def exchange():
        nonlocal plasma, tissue
        mean = mixed_share * plasma + (1.0 - mixed_share) * tissue
        plasma, tissue = (
            mean + half_decay * (plasma - mean),
            mean + half_decay * (tissue - mean),
        )

    for index in range(grid.size):
        content[index] = plasma_volume * plasma.mean() + interstitium * tissue.mean()
        exchange()
        between = inflow[index] if index + 1 == grid.size else inflow[index : index + 2].mean()
        plasma = np.concatenate([[between], plasma[:-1]])
        exchange()
    return np.interp(time_s, grid, content)


def after_artery(blood, *, mean_s, tanks=2, until_s=80.0, step_s=0.05):
    """Blood behind an artery: `blood` spread by well-mixed tanks in series of a mean transit time.

    The spread of transit times is mean_s / sqrt(tanks).
    """
    time_s = np.arange(0.0, until_s, step_s)
    curve = blood(time_s)
    kept = np.exp(-step_s * tanks / mean_s)
    for _ in range(tanks):
        left = np.empty_like(curve)
        level = 0.0
        for index, inflow in enumerate(curve):
            level = inflow + (level - inflow) * kept
            left[index] = level
        curve = left
    return lambda when_s: np.interp(when_s, time_s + step_s / 2.0 * tanks, curve)
