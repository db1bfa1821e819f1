"""From tissue to picture: through k-space, with noise, to the scanner's magnitude."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.fft import irfft2, rfft2

from pipeline.study import BoolArray, FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Acquisition:
    """What the scanner does with the signal; arrays are [matrix, matrix] where not said."""

    matrix: int
    row_weight: FloatArray
    """Weight of each row of k-space, in FFT order: 0 where not acquired [matrix]."""
    column_weight: FloatArray
    """Of the non-negative columns [matrix // 2 + 1]."""
    phase_axis: int
    """0: lines are rows of k-space; 1: columns."""
    n_channels: int
    """Coil images combined by the root of the sum of squares."""
    noise_sd: FloatArray
    """Of each of the two parts of a complex image [a.u.]."""
    ghost: float
    """Share of the signal that acceleration leaves folded."""
    acceleration: int
    trust: float
    """How far the coils make up for the lines that a frame did not take, 1: wholly."""
    floor: float
    """Share of the mean power of the noise that is subtracted (correction of the noise floor)."""
    field_of_view: BoolArray
    """False where the scanner stores zeros (correction of distortion, rectangular field)."""


def k_space_weights(size: int, kept: float, taper: float) -> FloatArray:
    """Weights of one axis of k-space in FFT order: `kept` of it, with tapered ends [size]."""
    distance = np.abs(np.fft.fftfreq(size)) * 2.0 / kept
    slope = np.clip((1.0 + 0.5 / size - distance) / max(taper, 0.5 / size), 0.0, 1.0)
    weights: FloatArray = (0.5 - 0.5 * np.cos(np.pi * slope)).astype(np.float32)
    return weights


def signal_image(
    centre: FloatArray,
    slope: FloatArray,
    acquisition: Acquisition,
    *,
    fold: int = 1,
    drift_pixels: tuple[float, float] = (0.0, 0.0),
) -> FloatArray:
    """Complex image of one frame without noise [matrix, matrix].

    Parameters
    ----------
    centre
        Signal at the centre of k-space on the fine grid [v, u].
    slope
        How much more signal there is half the train later: magnetisation recovers while the
        lines are read, so that each line weighs the tissues anew (to first order).
    acquisition
        What the scanner does.
    fold
        Sign of the folded part, which alternates where the sampling pattern does.
    drift_pixels
        How far the picture moves (row, column) in the second half of the readout, and as far in
        the first: each line sees the object elsewhere. The whole picture is taken to move.
    """
    size, matrix = centre.shape[0], acquisition.matrix
    weight = acquisition.row_weight[:, None] * acquisition.column_weight[None]
    spectrum = _cropped(centre, matrix) * weight
    line = _line_number(matrix, acquisition.phase_axis)
    edge = _cropped(slope, matrix) * (weight * line)
    scale = np.float32((matrix / size) ** 2)
    phase = _drift_phase(matrix, line, drift_pixels)
    cosine, sine = np.cos(phase), np.sin(phase)
    # Hermitian parts of k-space make real images: an odd weight (edge), and an even phase (drift),
    # which turns both parts, make the image complex, as in vivo
    real = irfft2(spectrum * cosine - 1j * edge * sine, s=(matrix, matrix)) * scale
    imaginary = irfft2(-1j * edge * cosine - spectrum * sine, s=(matrix, matrix)) * scale
    if acquisition.ghost > 0:
        step = matrix // acquisition.acceleration
        real = real + fold * acquisition.ghost * np.roll(real, step, axis=acquisition.phase_axis)
    image: FloatArray = (real + 1j * imaginary).astype(np.complex64)
    return image


def magnitude_image(image: FloatArray, acquisition: Acquisition, rng: Generator) -> FloatArray:
    """Magnitude of a complex image with noise [matrix, matrix]."""
    weight = acquisition.row_weight[:, None] * acquisition.column_weight[None]
    power = (image.real + _noise(acquisition, weight, rng)) ** 2
    power += (image.imag + _noise(acquisition, weight, rng)) ** 2
    for _ in range(2 * (acquisition.n_channels - 1)):
        power += _noise(acquisition, weight, rng) ** 2
    if acquisition.floor > 0:  # Gudbjartsson and Patz 1995 (doi 10.1002/mrm.1910340618)
        mean_power = 2.0 * acquisition.n_channels * acquisition.noise_sd**2
        power = np.maximum(power - acquisition.floor * mean_power, 0.0)
    magnitude: FloatArray = np.sqrt(power) * acquisition.field_of_view
    return magnitude


def _cropped(fine: FloatArray, matrix: int) -> FloatArray:
    """Low frequencies of the fine grid, shifted so that pixel centres are whole."""
    size, half = fine.shape[0], matrix // 2
    full = rfft2(fine)
    kept = np.concatenate([full[: matrix - half], full[size - half :]])[:, : half + 1]
    # from the first fine point to the centre of the first pixel
    turn = 2j * np.pi * (size / matrix - 1.0) / 2.0 / size
    rows = np.exp(turn * np.fft.fftfreq(matrix, 1.0 / matrix))
    columns = np.exp(turn * np.arange(half + 1))
    shifted: FloatArray = kept * (rows[:, None] * columns[None]).astype(np.complex64)
    return shifted


def _drift_phase(matrix: int, line: FloatArray, drift_pixels: tuple[float, float]) -> FloatArray:
    """Phase of each point of the half spectrum: where the object is when its line is read."""
    rows, columns = np.fft.fftfreq(matrix)[:, None], np.fft.rfftfreq(matrix)[None]
    shift = rows * drift_pixels[0] + columns * drift_pixels[1]
    phase: FloatArray = (2.0 * np.pi * line * shift).astype(np.float32)
    return phase


def _line_number(matrix: int, axis: int) -> FloatArray:
    """Line over half the number of lines, -1 to 1, of each point of the half spectrum."""
    if axis == 0:
        rows: FloatArray = (2.0 * np.fft.fftfreq(matrix)[:, None]).astype(np.float32)
        return rows
    columns: FloatArray = (np.arange(matrix // 2 + 1)[None] * 2.0 / matrix).astype(np.float32)
    return columns


def _noise(acquisition: Acquisition, weight: FloatArray, rng: Generator) -> FloatArray:
    """Noise that has passed the same k-space filter, of SD `noise_sd`."""
    if not acquisition.noise_sd.any():
        return np.zeros(1, dtype=np.float32)
    matrix = acquisition.matrix
    white = rng.standard_normal((matrix, matrix), dtype=np.float32)
    filtered = irfft2(rfft2(white) * weight, s=(matrix, matrix))
    shrunk = np.float32(1.0 / np.sqrt(_mean_square(acquisition)))
    noise: FloatArray = filtered * (acquisition.noise_sd * shrunk)
    return noise


def _mean_square(acquisition: Acquisition) -> float:
    rows = float(np.mean(acquisition.row_weight**2))
    columns = np.concatenate([acquisition.column_weight, acquisition.column_weight[-2:0:-1]])
    return rows * float(np.mean(columns**2))
