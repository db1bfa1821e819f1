"""The fine grid of one slice: labels of tissue in a stack of thin cuts around it."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter

from pipeline.phantom.flow import FlowField, flow_levels
from pipeline.phantom.heart import Heart, Region, contours, papillary_muscles, polar, regions
from pipeline.phantom.imaging import OVERSAMPLING
from pipeline.phantom.thorax import N_BLOOD_LEVELS, Thorax, Tissue, chest_weight, thorax_labels
from pipeline.study import FloatArray, IntArray

CUT_SPACING_MM = 2.0
N_CUTS = 9


@dataclass(frozen=True, kw_only=True, eq=False)
class Slab:
    """Fine grids of one slice; `labels` and `regions` are [cut, y, x], the rest [y, x]."""

    labels: IntArray
    regions: IntArray
    texture: FloatArray
    follows: FloatArray
    """How far each point follows the motion of the heart, 0 to 1."""
    fine_mm: float
    centre_mm: tuple[float, float]
    """Scene coordinates of the middle of the picture."""

    def coordinates(self) -> tuple[FloatArray, FloatArray]:
        """Scene coordinates x and y of the fine points [mm]."""
        return _coordinates(self.labels.shape[1], self.fine_mm, self.centre_mm)


def build_slab(
    rng: Generator,
    *,
    heart: Heart,
    thorax: Thorax,
    flow: FlowField,
    z_mm: float,
    matrix: int,
    spacing_mm: float,
    centre_mm: tuple[float, float],
) -> Slab:
    """Evaluate the anatomy on the fine grid, in thin cuts around depth `z_mm`."""
    size, fine = matrix * OVERSAMPLING, spacing_mm / OVERSAMPLING
    x, y = _coordinates(size, fine, centre_mm)
    body = thorax_labels(thorax, x, y)
    labels = np.repeat(body[None], N_CUTS, axis=0)
    region = np.zeros(labels.shape, dtype=np.uint8)
    rows, columns = _heart_window(x, y)
    window = (rows, columns)
    mixing = _levels(rng, x[window].shape, fine, N_BLOOD_LEVELS)
    for cut in range(N_CUTS):
        depth = z_mm + (cut - N_CUTS // 2) * CUT_SPACING_MM
        labels[cut][window], region[cut][window] = _cut(
            heart, thorax, flow, depth, x[window], y[window], labels[cut][window], mixing
        )
    grain = gaussian_filter(rng.standard_normal((size, size), dtype=np.float32), 2.0 / fine)
    grain *= 0.04 / max(float(grain.std()), 1e-9)
    return Slab(
        labels=labels,
        regions=region,
        texture=(1.0 + grain).astype(np.float32),
        follows=chest_weight(thorax, x, y).astype(np.float32),
        fine_mm=fine,
        centre_mm=centre_mm,
    )


def _cut(
    heart: Heart,
    thorax: Thorax,
    flow: FlowField,
    z_mm: float,
    x: FloatArray,
    y: FloatArray,
    around: IntArray,
    mixing: IntArray,
) -> tuple[IntArray, IntArray]:
    """Labels and regions of one thin cut in the window of the heart."""
    shape = contours(heart, z_mm)
    radius, index = polar(x, y, shape.centre_mm)
    region = regions(shape, radius, index)
    label = around.copy()
    outer = np.maximum(shape.rv_outer, shape.epicardium)[index]
    if outer.max() <= 0:
        return label, region
    fat = (radius < outer + thorax.pericardial_fat_mm) & (around == Tissue.LUNG)
    label[fat] = Tissue.FAT
    label[region == Region.RV_WALL] = Tissue.RV_WALL
    label[region == Region.RV_POOL] = (Tissue.RV_BLOOD + mixing)[region == Region.RV_POOL]
    wall = region == Region.MYOCARDIUM
    muscle = flow_levels(flow, shape, radius, index, z_mm)
    label[wall] = muscle[wall]
    blood = (region == Region.LV_POOL) & (radius < shape.blood[index])
    blood &= ~papillary_muscles(heart, shape, x, y, z_mm / heart.length_mm)
    cavity = region == Region.LV_POOL
    label[cavity] = muscle[cavity]
    label[blood] = (Tissue.LV_BLOOD + mixing)[blood]
    return label, region


def _coordinates(
    size: int, fine_mm: float, centre_mm: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    along = ((np.arange(size) - (size - 1) / 2) * fine_mm).astype(np.float32)
    x = np.broadcast_to(along[None] + np.float32(centre_mm[0]), (size, size))
    y = np.broadcast_to(along[:, None] + np.float32(centre_mm[1]), (size, size))
    return x, y


def _heart_window(x: FloatArray, y: FloatArray) -> tuple[slice, slice]:
    """Find the part of the grid that can hold the heart."""
    columns = np.flatnonzero(np.abs(x[0] + 20) < 95)
    rows = np.flatnonzero(np.abs(y[:, 0]) < 75)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _levels(rng: Generator, shape: tuple[int, ...], fine_mm: float, n: int) -> IntArray:
    """Smooth random field in n equally frequent levels."""
    field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 8.0 / fine_mm)
    order = np.argsort(np.argsort(field, axis=None))
    levels: IntArray = (order * n // order.size).reshape(shape).astype(np.uint8)
    return levels
