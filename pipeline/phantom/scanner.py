"""Draws how a scanner turns signal into pictures: resolution, noise, folding, field of view."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pipeline.phantom.coils import Coils, coil_intensity, draw_coils
from pipeline.phantom.grid import OVERSAMPLING, Grid
from pipeline.phantom.imaging import Acquisition, k_space_weights
from pipeline.phantom.thorax import Thorax
from pipeline.study import BoolArray, FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Scanner:
    """One way to take pictures, the same for all slices of a first pass."""

    row_kept: float
    column_kept: float
    taper: float
    phase_axis: int
    n_channels: int
    ghost: float
    acceleration: int
    edge_curve: float
    """Curvature of the black edge; negative: no black edge."""
    edge: float
    """Share of half the picture inside of it, across the phase direction."""
    trust: float
    """How far the coils make up for lines that are missing in a frame; see `undersampling`."""
    geometry_factor: float
    floor: float
    """Share of the power of noise that is taken off the magnitude."""
    contrast_to_noise: float
    """Peak rise of the wall over the SD of the noise."""
    coils: Coils


def draw_scanner(rng: Generator, contrast_to_noise: float | None) -> Scanner:
    """Draw one scanner."""
    phase_axis = int(rng.random() < 0.35)
    phase_kept, read_kept = rng.uniform(0.64, 1.0), rng.uniform(0.85, 1.0)
    return Scanner(
        row_kept=read_kept if phase_axis else phase_kept,
        column_kept=phase_kept if phase_axis else read_kept,
        taper=rng.choice([0.05, rng.uniform(0.1, 0.5)]),
        phase_axis=phase_axis,
        n_channels=int(rng.choice([1, 2])),
        ghost=float(rng.choice([0.0, rng.uniform(0.005, 0.04)], p=[0.75, 0.25])),
        acceleration=int(rng.choice([2, 3, 4])),
        trust=float(rng.choice([1.0, rng.uniform(0.3, 0.85)], p=[0.75, 0.25])),
        edge_curve=rng.uniform(0.0, 0.12) if rng.random() < 0.7 else -1.0,
        edge=rng.uniform(0.58, 0.95),
        geometry_factor=rng.uniform(1.0, 1.7),
        floor=float(rng.choice([0.0, rng.uniform(0.6, 1.5)], p=[0.6, 0.4])),
        contrast_to_noise=contrast_to_noise or float(np.clip(rng.normal(22.5, 6.5), 8.0, 40.0)),
        coils=draw_coils(rng.spawn(1)[0]),
    )


def acquisition_of(
    scanner: Scanner, *, matrix: int, noise_gain: FloatArray, wall_rise: float
) -> Acquisition:
    """Say what the scanner does at one resolution; `noise_gain` is on the pixels [row, column]."""
    rows = k_space_weights(matrix, scanner.row_kept, scanner.taper)
    columns = k_space_weights(matrix, scanner.column_kept, scanner.taper)
    sd = wall_rise / scanner.contrast_to_noise * noise_gain * _geometry_factor(scanner, matrix)
    return Acquisition(
        matrix=matrix,
        row_weight=rows,
        column_weight=columns[: matrix // 2 + 1],
        phase_axis=scanner.phase_axis,
        n_channels=scanner.n_channels,
        noise_sd=sd.astype(np.float32),
        ghost=scanner.ghost,
        trust=scanner.trust,
        floor=scanner.floor,
        acceleration=scanner.acceleration,
        field_of_view=_field_of_view(scanner, matrix),
    )


def coil_maps(coils: Coils, thorax: Thorax, grid: Grid) -> tuple[FloatArray, FloatArray]:
    """Signal intensity on the fine grid, noise gain on the pixels."""
    # smooth enough to be computed on the pixels and repeated
    middle = slice(OVERSAMPLING // 2, None, OVERSAMPLING)
    signal, noise = coil_intensity(
        coils, thorax, grid.x_mm[middle, middle], grid.y_mm[middle, middle]
    )
    fine = np.repeat(np.repeat(signal, OVERSAMPLING, axis=0), OVERSAMPLING, axis=1)
    return fine, noise


def _geometry_factor(scanner: Scanner, matrix: int) -> FloatArray:
    """Noise amplification by parallel imaging: highest in the middle, where coils see least."""
    along = np.linspace(-1.0, 1.0, matrix)
    hill: FloatArray = np.exp(-((along[:, None] ** 2 + along[None] ** 2) / 0.25))
    return 1.0 + (scanner.geometry_factor - 1.0) * (hill - 0.8)


def _field_of_view(scanner: Scanner, matrix: int) -> BoolArray:
    """Where the picture is not black by construction."""
    if scanner.edge_curve < 0:
        return np.ones((matrix, matrix), dtype=bool)
    along = np.linspace(-1.0, 1.0, matrix)
    across, lengthwise = along[:, None], along[None]
    inside: BoolArray = (
        np.abs(across) < scanner.edge - scanner.edge_curve * (1 - lengthwise**2)
    ) & (np.abs(lengthwise) < 1.0 - scanner.edge_curve * across**2)
    return inside if scanner.phase_axis == 0 else inside.T
