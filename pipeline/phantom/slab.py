"""The fine grid of one slice: labels of tissue in a stack of thin cuts around it."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter

from pipeline.phantom.flow import FlowField, flow_levels
from pipeline.phantom.grid import Grid
from pipeline.phantom.heart import (
    Contours,
    Heart,
    Region,
    contours,
    insertion_angles,
    papillary_muscles,
    regions,
)
from pipeline.phantom.labels import N_BLOOD_LEVELS, Tissue, texture_of_labels
from pipeline.phantom.tables import at_angle, polar
from pipeline.phantom.thorax import Thorax, chest_weight, thorax_labels
from pipeline.study import FloatArray, IntArray

CUT_SPACING_MM = 2.0
_PERICARDIUM_MM = 1.3
N_CUTS = 13


@dataclass(frozen=True, kw_only=True, eq=False)
class Slab:
    """Fine grids of one slice; `labels` and `regions` are [cut, y, x], the rest [y, x]."""

    labels: IntArray
    regions: IntArray
    texture: FloatArray
    follows: FloatArray
    """How far each point follows the breathing, 0 to 1."""
    grid: Grid
    axis_mm: tuple[float, float]
    """Where the LV axis crosses the slice, scene coordinates x and y."""
    cavity_mm: float
    """Mean endocardial radius at the slice."""
    epicardium_mm: float


def build_slab(
    rng: Generator,
    *,
    heart: Heart,
    thorax: Thorax,
    flow: FlowField,
    grid: Grid,
    z_mm: float,
) -> Slab:
    """Evaluate the anatomy on the fine grid, in thin cuts around depth `z_mm`."""
    x, y, fine = grid.x_mm, grid.y_mm, grid.fine_mm
    labels = np.repeat(thorax_labels(thorax, grid, z_mm)[None], N_CUTS, axis=0)
    region = np.zeros(labels.shape, dtype=np.uint8)
    window = grid.around(-0.4 * heart.rv_depth_mm, 0.0, _reach_mm(heart))
    mixing = _levels(rng, x[window].shape, fine)
    wall_noise = _smooth(rng, x[window].shape, 5.0 / fine)
    rough = (0.2 + 14.0 * heart.trabeculation) * _smooth(rng, x[window].shape, 1.7 / fine)
    for cut in range(N_CUTS):
        depth = z_mm + (cut - N_CUTS // 2) * CUT_SPACING_MM
        shape = contours(heart, depth)
        radius, index = polar(x[window], y[window], shape.centre_mm)
        muscle = flow_levels(flow, shape, radius, index, depth, wall_noise)
        region[cut][window] = regions(shape, radius, index)
        rough_mm = np.roll(rough, cut * round(1.2 / fine), axis=(0, 1))  # other trabeculae deeper
        label = labels[cut][window]
        _fill_surroundings(label, heart, thorax, shape, radius, index)
        _fill_vessels(label, heart, shape, x[window], y[window], depth)
        _fill_heart(
            label,
            region[cut][window],
            blood=_blood(heart, shape, radius + rough_mm, index, x[window], y[window]),
            muscle=muscle,
            mixing=mixing,
        )
        labels[cut][window] = label
    middle = contours(heart, z_mm)
    grain = _smooth(rng, x.shape, 1.6 / fine)
    grain += 0.8 * _smooth(rng, x.shape, 5.0 / fine) + 0.8 * _smooth(rng, x.shape, 13.0 / fine)
    texture = 1.0 + texture_of_labels()[labels[N_CUTS // 2]] * grain
    return Slab(
        labels=labels,
        regions=region,
        texture=np.maximum(texture, 0.05).astype(np.float32),
        follows=chest_weight(thorax, x, y).astype(np.float32),
        grid=grid,
        axis_mm=middle.centre_mm,
        cavity_mm=float(middle.endocardium.mean()),
        epicardium_mm=float(middle.epicardium.mean()),
    )


def _fill_surroundings(
    label: IntArray,
    heart: Heart,
    thorax: Thorax,
    shape: Contours,
    radius: FloatArray,
    index: IntArray,
) -> None:
    """Effusion, epicardial fat and the fat pad push lung aside, not the abdomen."""
    soft = (label == Tissue.LUNG) | (label == Tissue.LUNG_VESSEL)
    label[soft & (radius < (shape.fat + thorax.pad_mm)[index])] = Tissue.FAT
    label[radius < shape.fat[index] + _PERICARDIUM_MM] = Tissue.DENSE
    label[radius < shape.fat[index]] = Tissue.FAT
    if heart.effusion_mm > 0:
        label[radius < shape.fluid[index]] = Tissue.FLUID


def _fill_vessels(
    label: IntArray, heart: Heart, shape: Contours, x: FloatArray, y: FloatArray, z_mm: float
) -> None:
    """Anterior and posterior descending arteries in their grooves."""
    for insertion in insertion_angles(heart, z_mm):
        angle = (insertion + np.pi) % (2 * np.pi) - np.pi
        distance = max(at_angle(shape.epicardium, angle), at_angle(shape.rv_outer, angle)) + 3.0
        px = shape.centre_mm[0] + distance * np.cos(angle)
        py = shape.centre_mm[1] + distance * np.sin(angle)
        label[(x - px) ** 2 + (y - py) ** 2 < 1.5**2] = Tissue.AORTA


def _fill_heart(
    label: IntArray, region: IntArray, *, blood: IntArray, muscle: IntArray, mixing: IntArray
) -> None:
    left, right = region == Region.LV_POOL, region == Region.RV_POOL
    label[region == Region.RV_WALL] = Tissue.RV_WALL
    inside = left | (region == Region.MYOCARDIUM)
    label[inside] = muscle[inside]
    label[right] = np.where(blood, Tissue.RV_BLOOD + mixing, Tissue.RV_WALL)[right]
    pool = left & blood
    label[pool] = (Tissue.LV_BLOOD + mixing)[pool]


def _blood(
    heart: Heart,
    shape: Contours,
    radius: FloatArray,
    index: IntArray,
    x: FloatArray,
    y: FloatArray,
) -> IntArray:
    """Where a cavity holds blood, not trabeculae or papillary muscle."""
    left = (radius < shape.blood[index]) & ~papillary_muscles(heart, shape, x, y)
    right = radius > shape.epicardium[index]
    return left | (right & (radius < shape.rv_blood[index]))


def _reach_mm(heart: Heart) -> float:
    """Half the side of a square that holds the heart and the fat around it."""
    return 1.2 * heart.radius_mm + heart.effusion_mm + 0.8 * heart.rv_depth_mm + 36.0


def _smooth(rng: Generator, shape: tuple[int, ...], sigma: float) -> FloatArray:
    """Smooth random field of unit SD, made on a coarse grid where it is smooth enough."""
    step = max(int(sigma / 2), 1)
    coarse = tuple(-(-n // step) + 1 for n in shape)
    field = gaussian_filter(rng.standard_normal(coarse, dtype=np.float32), sigma / step)
    field /= max(float(field.std()), 1e-9)
    if step > 1:
        field = np.repeat(np.repeat(field, step, axis=0), step, axis=1)
    smooth: FloatArray = field[: shape[0], : shape[1]]
    return smooth


def _levels(rng: Generator, shape: tuple[int, ...], fine_mm: float) -> IntArray:
    """Smooth random field in equally frequent levels: streams of blood not yet mixed."""
    field = _smooth(rng, shape, 8.0 / fine_mm)
    borders = np.quantile(field, np.arange(1, N_BLOOD_LEVELS) / N_BLOOD_LEVELS)
    levels: IntArray = np.searchsorted(borders, field).astype(np.uint8)
    return levels
