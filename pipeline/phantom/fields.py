"""Uneven radiofrequency (B1) and main field (B0) across the chest, and how they are drawn."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pipeline.phantom.grid import OVERSAMPLING, Grid
from pipeline.study import FloatArray, IntArray

LEVEL_HZ = 12.0
"""Off-resonance frequencies are told apart in steps of this size."""
N_LEVELS = 20


@dataclass(frozen=True, kw_only=True)
class Fields:
    """Fields of one patient in one scanner, as polynomials around the middle of the heart."""

    flip_scale: float
    """True flip angle over the nominal one at the LV axis."""
    flip_slope: tuple[float, float]
    """Its relative change to the right and downwards [1/mm]."""
    flip_bend: tuple[float, float]
    """[1/mm^2]."""
    saturation_slope: float
    """What more the saturation pulses leave, over the relative error of the flip angle."""
    frequency_hz: float
    """Off resonance at the LV axis."""
    frequency_slope: tuple[float, float]
    """[Hz/mm]."""
    frequency_bend: tuple[float, float]
    """[Hz/mm^2]."""

    def flip_error(self, grid: Grid) -> FloatArray:
        """Relative to the flip angle at the LV axis, on the fine grid [v, u]."""
        x, y = _on_pixels(grid)
        error = _polynomial(x, y, self.flip_slope, self.flip_bend)
        return _repeated(np.clip(error, -0.4, 0.4).astype(np.float32))

    def frequency_level(self, grid: Grid) -> IntArray:
        """Distance from resonance in steps of `LEVEL_HZ`, on the fine grid [v, u]."""
        x, y = _on_pixels(grid)
        away = self.frequency_hz + _polynomial(x, y, self.frequency_slope, self.frequency_bend)
        return _repeated(
            np.clip(np.rint(np.abs(away) / LEVEL_HZ), 0, N_LEVELS - 1).astype(np.int32)
        )


EVEN = Fields(
    flip_scale=1.0,
    flip_slope=(0.0, 0.0),
    flip_bend=(0.0, 0.0),
    saturation_slope=0.0,
    frequency_hz=0.0,
    frequency_slope=(0.0, 0.0),
    frequency_bend=(0.0, 0.0),
)


def draw_fields(rng: Generator, field_strength_t: float) -> Fields:
    """Draw the fields of one patient.

    At 3 T the mean flip angle over the heart is 81 to 89 % of what was asked for, with and without
    two transmitters (J Cardiovasc Magn Reson 2013, doi 10.1186/1532-429X-15-68; more in lean
    patients, so somewhat more here), and differs within it by 13 to 15 % (standard deviation); here
    mostly along one direction, and at 1.5 T much less. What saturation leaves changes with it; by
    how much is chosen here. B0 differs by 62 Hz (SD 16) across the heart at 1.5 T and by 125 Hz
    (SD 41) at 3 T (Kellman et al. 2013, doi 10.1186/1532-429X-15-63).
    """
    high = field_strength_t > 2
    along, strength = rng.uniform(0.0, 2.0 * np.pi), rng.normal(0.0, 0.003 if high else 0.0008)
    bend = 1.2e-5 if high else 4e-6
    hertz = field_strength_t / 1.5
    return Fields(
        flip_scale=float(
            np.clip(rng.normal(0.95 if high else 1.0, 0.07 if high else 0.03), 0.75, 1.2)
        ),
        flip_slope=(float(strength * np.cos(along)), float(strength * np.sin(along))),
        flip_bend=(rng.normal(0.0, bend), rng.normal(0.0, bend)),
        saturation_slope=rng.normal(0.0, 0.05),
        frequency_hz=rng.normal(0.0, 15.0) * hertz,
        frequency_slope=(rng.normal(0.0, 0.7) * hertz, rng.normal(0.0, 0.7) * hertz),
        frequency_bend=(rng.normal(0.0, 0.006) * hertz, rng.normal(0.0, 0.006) * hertz),
    )


def _on_pixels(grid: Grid) -> tuple[FloatArray, FloatArray]:
    middle = slice(OVERSAMPLING // 2, None, OVERSAMPLING)
    return grid.x_mm[middle, middle], grid.y_mm[middle, middle]


def _polynomial(
    x: FloatArray, y: FloatArray, slope: tuple[float, float], bend: tuple[float, float]
) -> FloatArray:
    value: FloatArray = slope[0] * x + slope[1] * y + bend[0] * x**2 + bend[1] * y**2
    return value


def _repeated(pixels: FloatArray) -> FloatArray:
    fine: FloatArray = np.repeat(np.repeat(pixels, OVERSAMPLING, axis=0), OVERSAMPLING, axis=1)
    return fine
