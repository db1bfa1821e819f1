"""A drawn short-axis first pass with known outlines, for tests of the anatomical stages.

Circles and gamma-variate curves: nothing here comes from `pipeline`, whose phantom has its own
tests.
"""

from dataclasses import dataclass

import numpy as np

SPACING_MM = (1.6, 1.6)


@dataclass(frozen=True)
class Drawn:
    """Frames and the truth they were drawn from."""

    frames: np.ndarray
    time_s: np.ndarray
    myocardium: np.ndarray
    lv_pool: np.ndarray
    rv_pool: np.ndarray
    anterior: tuple[float, float]
    inferior: tuple[float, float]
    peak_frame: int


def bolus(time_s, arrival_s, rise_s, late):
    """Gamma-variate first pass of height 1 with a late level."""
    since = np.clip((time_s - arrival_s) / rise_s, 0, None)
    first = (since * np.exp(1 - since)) ** 2
    return np.maximum(first, late * (1 - np.exp(-since)))


def draw(*, noise=0.01, rotation_deg=0.0, scale=1.0, size=128, seed=0, cavity_mm=22):
    """Draw a left ventricle of 32 mm radius with a right one at image angle 180 degrees."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(45) * 0.9
    rows, columns = (np.indices((size, size)) - size / 2) * SPACING_MM[0]
    angle = np.deg2rad(rotation_deg)
    x = np.cos(angle) * columns + np.sin(angle) * rows
    y = -np.sin(angle) * columns + np.cos(angle) * rows
    radius = np.hypot(x - 8, y)
    lv_pool = radius < cavity_mm
    myocardium = (radius < 32) & ~lv_pool
    rv_pool = (np.hypot(x + 16, y) < 33) & (radius > 32)
    chest = (x < -75) & (np.abs(y) < 90)
    papillary = np.hypot(x - 17, y - 9) < 4
    lv, rv = bolus(time_s, 9, 5, 0.45), bolus(time_s, 3, 4, 0.5)
    wall = bolus(time_s, 11.5, 9, 0.8) * 0.25
    frames = np.full((len(time_s), size, size), 0.05)
    frames[:, chest] = 0.9
    frames[:, myocardium] = (0.12 + wall)[:, None]
    frames[:, rv_pool] = (0.12 + rv)[:, None]
    frames[:, lv_pool] = (0.12 + lv)[:, None]
    frames[:, papillary] = (0.12 + wall)[:, None]
    frames = np.abs(frames + rng.normal(0, noise, frames.shape))
    # Both circles meet where x = (16^2 - 8^2 + 32^2 - 33^2) / (2 (16 + 8)) in their shared frame.
    meet_x = (16**2 - 8**2 + 32**2 - 33**2) / (-2 * 24)
    meet_y = np.sqrt(32**2 - (meet_x - 8) ** 2)

    def pixel(x_mm, y_mm):
        column = np.cos(angle) * x_mm - np.sin(angle) * y_mm
        row = np.sin(angle) * x_mm + np.cos(angle) * y_mm
        return float(row / SPACING_MM[0] + size / 2), float(column / SPACING_MM[0] + size / 2)

    return Drawn(
        frames=(frames * scale).astype(np.float32),
        time_s=time_s,
        myocardium=myocardium,
        lv_pool=lv_pool,
        rv_pool=rv_pool,
        anterior=pixel(meet_x, -meet_y),
        inferior=pixel(meet_x, meet_y),
        peak_frame=int(lv.argmax()),
    )


def dice(one, other):
    """Overlap of two masks."""
    return 2 * (one & other).sum() / (one.sum() + other.sum())
