"""Receive coils: intensity that falls off from the chest, and where noise is amplified."""

import numpy as np
from numpy.random import Generator

from pipeline.phantom.tables import angles
from pipeline.phantom.thorax import Thorax
from pipeline.study import FloatArray


def draw_coil(
    rng: Generator, thorax: Thorax, x_mm: FloatArray, y_mm: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Draw the intensity of signal and the amplification of noise, unit median, [y, x].

    The intensity is the root of the sum of squares of loop coils around the chest (on-axis field
    of a loop: (1 + d^2 / a^2)^-3/2). Scanners divide part of it out, which moves it to the noise.
    """
    power = np.full(x_mm.shape, 0.002, dtype=np.float32)
    surface = thorax.inner_mm + thorax.muscle_mm + thorax.fat_mm + 10.0
    theta = angles()
    front = np.pi + rng.normal(0.0, 0.25)
    behind = front + np.pi
    places = [front + turn for turn in (-0.75, -0.25, 0.25, 0.75)]
    places += [behind + turn for turn in (-0.5, 0.0, 0.5)]
    size = rng.uniform(65, 100)
    for place in places:
        angle = (place + np.pi) % (2 * np.pi) - np.pi
        distance = surface[int(np.argmin(np.abs(theta - angle)))]
        px = thorax.centre_mm[0] + distance * np.cos(angle)
        py = thorax.centre_mm[1] + distance * np.sin(angle)
        away = ((x_mm - px) ** 2 + (y_mm - py) ** 2) / size**2
        power += np.float32(rng.uniform(0.6, 1.4)) * (1.0 + away) ** -3
    raw = np.sqrt(power)
    middle = float(np.median(raw[(np.abs(x_mm) < 30) & (np.abs(y_mm) < 30)]))
    raw = raw / middle
    kept = rng.choice([1.0, rng.uniform(-0.05, 0.45)], p=[0.22, 0.78])
    tilt = rng.normal((0.004, 0.0), 0.0045)
    bias = np.exp(np.clip(tilt[0] * x_mm + tilt[1] * y_mm, -0.5, 0.5))
    noise = raw ** (kept - 1.0) * bias
    return (raw**kept * bias).astype(np.float32), np.minimum(noise, 4.0).astype(np.float32)
