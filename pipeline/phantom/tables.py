"""Closed curves as tables by angle, and random ones."""

import numpy as np
from numpy.random import Generator

from pipeline.study import FloatArray, IntArray

N_ANGLES = 720


def angles() -> FloatArray:
    """Angles of the tables [rad], from -pi; rows run downwards, so -pi/2 points up."""
    return np.linspace(-np.pi, np.pi, N_ANGLES, endpoint=False)


def at_angle(table: FloatArray, angle_rad: float) -> float:
    """Entry nearest to the angle."""
    return float(table[round((angle_rad + np.pi) / (2 * np.pi) * N_ANGLES) % N_ANGLES])


def bump(angle_rad: float, sharpness: float) -> FloatArray:
    """1 at the angle, falling off smoothly; larger sharpness, narrower."""
    table: FloatArray = np.exp(sharpness * (np.cos(angles() - angle_rad) - 1.0))
    return table


def polar(
    x_mm: FloatArray, y_mm: FloatArray, centre_mm: tuple[float, float]
) -> tuple[FloatArray, IntArray]:
    """Distance from the centre [mm] and index into the tables of each point."""
    dx, dy = x_mm - centre_mm[0], y_mm - centre_mm[1]
    index = ((np.arctan2(dy, dx) + np.pi) * (N_ANGLES / (2 * np.pi))).astype(np.int32) % N_ANGLES
    return np.hypot(dx, dy), index


def harmonics(rng: Generator, amplitudes: tuple[float, ...]) -> FloatArray:
    """1 plus random harmonics of the given SDs, from the first order on."""
    theta = angles()
    total = np.ones(N_ANGLES)
    for order, amplitude in enumerate(amplitudes, start=1):
        total += rng.normal(0.0, amplitude) * np.cos(order * theta + rng.uniform(0, 2 * np.pi))
    return np.clip(total, 0.4, 1.8)


def rounder(radius: FloatArray, most: float) -> FloatArray:
    """Let a closed curve vary about a circle by at most `most` of its mean radius (SD).

    Parameters
    ----------
    radius : [angle]
        From a point inside; where in the curve it lies (the first harmonic) stays as it is.
    most
        Of the mean radius.
    """
    spectrum = np.fft.rfft(radius)
    spectrum[:2] = 0.0
    shape: FloatArray = np.fft.irfft(spectrum, len(radius))
    variation = float(shape.std() / radius.mean())
    return radius if variation <= most else radius - (1.0 - most / variation) * shape


def lumps(rng: Generator, orders: tuple[int, int]) -> FloatArray:
    """Random pattern of unit SD with harmonics from the first to the second order."""
    theta = angles()
    total = np.zeros(N_ANGLES)
    for order in range(*orders):
        total += rng.normal() * np.cos(order * theta + rng.uniform(0, 2 * np.pi))
    return total / total.std()
