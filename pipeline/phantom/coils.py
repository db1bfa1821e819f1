"""Receive coils: intensity that falls off from the chest, and where noise is amplified."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pipeline.phantom.tables import angles
from pipeline.phantom.thorax import Thorax
from pipeline.study import FloatArray

_N_FRONT, _N_BEHIND = 4, 3


@dataclass(frozen=True, kw_only=True)
class Coils:
    """Loop coils around a chest and what the scanner makes of their intensity."""

    places_rad: tuple[float, ...]
    """Angles around the chest, those in front first."""
    stand_off_mm: float
    """How far the ones in front are lifted from the skin by clothes, blankets or cushions."""
    size_mm: float
    gains: tuple[float, ...]
    kept: float
    """Share of the fall-off that the scanner leaves; negative: it corrects too much."""
    tilt: tuple[float, float]
    """Error of that correction to the right and downwards [1/mm]."""


def draw_coils(rng: Generator) -> Coils:
    """Draw one array and how it is laid on; it stays where it is for the whole examination."""
    front = np.pi + rng.normal(0.0, 0.25)
    places = [front + turn for turn in (-0.75, -0.25, 0.25, 0.75)]
    places += [front + np.pi + turn for turn in (-0.5, 0.0, 0.5)]
    gains = rng.uniform(0.6, 1.4, _N_FRONT + _N_BEHIND)
    stand_off_mm = rng.uniform(15.0, 70.0) if rng.random() < 0.25 else 0.0
    return Coils(
        places_rad=tuple(float(place) for place in places),
        stand_off_mm=float(stand_off_mm),
        size_mm=float(rng.uniform(65.0, 100.0)),
        gains=tuple(float(gain) for gain in gains),
        kept=float(rng.choice([1.0, rng.uniform(-0.15, 0.45)], p=[0.22, 0.78])),
        tilt=(float(rng.normal(0.0045, 0.005)), float(rng.normal(0.0, 0.0045))),
    )


def coil_intensity(
    coils: Coils, thorax: Thorax, x_mm: FloatArray, y_mm: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Intensity of signal and amplification of noise, about 1 in the middle, [y, x].

    The intensity is the root of the sum of squares of loop coils around the chest (on-axis field
    of a loop: (1 + d^2 / a^2)^-3/2). Scanners divide part of it out, which moves it to the noise.
    """
    power = np.full(x_mm.shape, 0.002, dtype=np.float32)
    surface = thorax.inner_mm + thorax.muscle_mm + thorax.fat_mm + 10.0
    theta = angles()
    for number, (place, gain) in enumerate(zip(coils.places_rad, coils.gains, strict=True)):
        angle = (place + np.pi) % (2 * np.pi) - np.pi
        distance = surface[int(np.argmin(np.abs(theta - angle)))]
        if number < _N_FRONT:
            distance += coils.stand_off_mm
        px = thorax.centre_mm[0] + distance * np.cos(angle)
        py = thorax.centre_mm[1] + distance * np.sin(angle)
        away = ((x_mm - px) ** 2 + (y_mm - py) ** 2) / coils.size_mm**2
        power += np.float32(gain) * (1.0 + away) ** -3
    raw = np.sqrt(power)
    middle = float(np.median(raw[(np.abs(x_mm) < 30) & (np.abs(y_mm) < 30)]))
    raw = raw / middle
    bias = np.exp(np.clip(coils.tilt[0] * x_mm + coils.tilt[1] * y_mm, -0.5, 0.5))
    noise = raw ** (coils.kept - 1.0) * bias
    return (raw**coils.kept * bias).astype(np.float32), np.minimum(noise, 4.0).astype(np.float32)
