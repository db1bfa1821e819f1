"""From tissue to picture: through k-space, receive coils, noise, magnitude."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.fft import irfft2, rfft2

from pipeline.study import FloatArray

OVERSAMPLING = 3
"""Fine grid points per pixel and axis; their partial volumes end in each pixel."""


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """What the scanner does with the signal."""

    matrix: int
    phase_resolution: float
    """Acquired over reconstructed lines: the rest is filled with zeros."""
    n_coils: int
    noise_sd: float
    """Of each of the two channels of a coil image [a.u.]."""


def band_limited(fine: FloatArray, acquisition: Acquisition) -> FloatArray:
    """Image of the fine grid as sampled on the acquired part of k-space [matrix, matrix].

    The fine grid has `OVERSAMPLING` points per pixel; the centre of a pixel is the centre of its
    block of fine points. Truncation rings at edges, as in a scanner.
    """
    matrix, size = acquisition.matrix, fine.shape[0]
    spectrum = rfft2(fine.astype(np.float32, copy=False))
    half = matrix // 2
    kept = np.concatenate([spectrum[: half + matrix % 2], spectrum[-half:]])[:, : half + 1]
    rows = np.fft.fftfreq(matrix, 1.0 / matrix)[:, None]
    columns = np.arange(half + 1)[None]
    # shift by (OVERSAMPLING - 1) / 2 fine points: from the first fine point to the pixel centre
    shift = np.exp(2j * np.pi * (rows + columns) * (OVERSAMPLING - 1) / 2 / size)
    kept = kept * shift.astype(np.complex64) * (np.abs(rows) <= acquisition.phase_resolution * half)
    image: FloatArray = irfft2(kept, s=(matrix, matrix)) * (matrix / size) ** 2
    return image


def magnitude(image: FloatArray, acquisition: Acquisition, rng: Generator) -> FloatArray:
    """Root of the sum of squares of noisy coil images: noncentral chi; Rician for one coil."""
    shape, sd = image.shape, np.float32(acquisition.noise_sd)
    if sd == 0:
        return np.abs(image)
    power = (image + sd * rng.standard_normal(shape, dtype=np.float32)) ** 2
    for _ in range(2 * acquisition.n_coils - 1):
        power += (sd * rng.standard_normal(shape, dtype=np.float32)) ** 2
    return np.sqrt(power)
