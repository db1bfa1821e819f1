"""One slice of one first pass: from anatomy, flow and physics to frames and truth."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pipeline.phantom.flow import flow_of_labels
from pipeline.phantom.heart import Heart, Region, insertion_angles
from pipeline.phantom.heart import contours as contours_of
from pipeline.phantom.imaging import OVERSAMPLING, Acquisition, band_limited, magnitude
from pipeline.phantom.movement import Movement
from pipeline.phantom.sectors import sector_labels
from pipeline.phantom.slab import CUT_SPACING_MM, N_CUTS, Slab
from pipeline.phantom.truth import SliceTruth
from pipeline.result import Box, InsertionPoints, Regions, SliceLevel
from pipeline.study import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Sampling:
    """Where the fine grid reads its labels in one frame."""

    index: IntArray
    """Flat index into a [y, x] grid."""
    cut: IntArray
    """Flat offset of the cut in a [cut, y, x] stack."""


class Camera:
    """Looks at a slab: one fine label image per frame."""

    def __init__(self, slab: Slab, thickness_mm: float, reference_mm: FloatArray) -> None:
        self.slab = slab
        size = slab.labels.shape[1]
        self._size = size
        # each of the 3 x 3 fine points of a pixel looks at another depth within the slice
        order = np.array([[0, 5, 7], [3, 8, 2], [6, 1, 4]])
        depth = (order - 4) / 9.0 * thickness_mm
        self._depth = np.tile(depth, (size // 3, size // 3)).astype(np.float32)
        self._rows = np.arange(size, dtype=np.float32)[:, None]
        self._columns = np.arange(size, dtype=np.float32)[None]
        self._reference_mm = reference_mm

    def sample(self, shift_mm: FloatArray, through_mm: float) -> Sampling:
        """Find the indices for everything that breathes being shifted from its place."""
        follows = self.slab.follows
        down, right = (shift_mm - self._reference_mm) / self.slab.fine_mm
        last = self._size - 1
        row = np.clip(np.rint(self._rows - follows * np.float32(down)), 0, last).astype(np.int32)
        column = np.clip(np.rint(self._columns - follows * np.float32(right)), 0, last)
        index = row * self._size + column.astype(np.int32)
        cut = np.rint((self._depth + np.float32(through_mm)) / CUT_SPACING_MM) + N_CUTS // 2
        return Sampling(
            index=index,
            cut=np.clip(cut, 0, N_CUTS - 1).astype(np.int32) * (self._size * self._size),
        )

    def labels(self, sampling: Sampling) -> IntArray:
        """Tissue labels of the fine grid."""
        return self.slab.labels.reshape(-1)[sampling.index + sampling.cut]

    def regions(self, sampling: Sampling) -> IntArray:
        """`Region` of the fine grid."""
        return self.slab.regions.reshape(-1)[sampling.index + sampling.cut]

    def texture(self, sampling: Sampling) -> FloatArray:
        """Texture of the tissue, moving with it."""
        return self.slab.texture.reshape(-1)[sampling.index]


def render(
    rng: Generator,
    *,
    camera: Camera,
    movement: Movement,
    signals: FloatArray,
    coil: FloatArray,
    acquisition: Acquisition,
) -> tuple[FloatArray, IntArray]:
    """Frames [time, row, column] and their regions, in order of the movement."""
    frames, regions = [], []
    for number, shift in enumerate(movement.shift_mm):
        sampling = camera.sample(shift, float(movement.through_mm[number]))
        fine = signals[number][camera.labels(sampling)]
        fine *= camera.texture(sampling)
        fine *= coil
        frames.append(magnitude(band_limited(fine, acquisition), acquisition, rng))
        regions.append(pixel_regions(camera.regions(sampling)))
    return np.stack(frames).astype(np.float32), np.stack(regions)


def pixel_regions(fine: IntArray) -> IntArray:
    """Give each pixel the region that fills most of it."""
    size = fine.shape[0] // OVERSAMPLING
    blocks = fine.reshape(size, OVERSAMPLING, size, OVERSAMPLING)
    counts = np.stack([(blocks == region).sum(axis=(1, 3)) for region in Region])
    return counts.argmax(axis=0).astype(np.uint8)


def slice_truth(
    *,
    heart: Heart,
    z_mm: float,
    level: SliceLevel,
    camera: Camera,
    movement: Movement,
    regions: IntArray,
    peak_frame: int,
) -> SliceTruth:
    """Gather the truth of one slice at its reference frame."""
    sampling = camera.sample(movement.shift_mm[peak_frame], float(movement.through_mm[peak_frame]))
    slab, size = camera.slab, camera.slab.labels.shape[1] // OVERSAMPLING
    mask = regions[peak_frame]
    wall = mask == Region.MYOCARDIUM
    flow = flow_of_labels()[camera.labels(sampling)]
    flow[camera.regions(sampling) != Region.MYOCARDIUM] = np.nan
    grid = flow.reshape(size, OVERSAMPLING, size, OVERSAMPLING)
    blocks = grid.transpose(0, 2, 1, 3).reshape(size, size, -1)
    filled = np.isfinite(blocks).sum(axis=-1)
    mbf = np.where(wall, np.nansum(blocks, axis=-1) / np.maximum(filled, 1), np.nan)
    points = _insertion_points(heart, z_mm + movement.through_mm[peak_frame], slab)
    return SliceTruth(
        reference_frame=peak_frame,
        peak_lv_frame=peak_frame,
        level=level,
        regions=Regions(
            myocardium=wall, lv_pool=mask == Region.LV_POOL, rv_pool=mask == Region.RV_POOL
        ),
        box=_box(mask > 0),
        insertion_points=points,
        sectors=sector_labels(wall, mask == Region.LV_POOL, points, level),
        mbf_ml_min_g=mbf,
        displacement_mm=movement.shift_mm - movement.shift_mm[peak_frame],
        labels=regions,
        usable=movement.usable,
    )


def _insertion_points(heart: Heart, z_mm: float, slab: Slab) -> InsertionPoints:
    """Where the RV wall leaves the epicardium, in pixels of the reference frame."""
    cut = contours_of(heart, z_mm)
    pixel_mm = slab.fine_mm * OVERSAMPLING
    middle = (slab.labels.shape[1] // OVERSAMPLING - 1) / 2
    found = []
    for angle in insertion_angles(heart, z_mm):
        index = int((angle + np.pi) % (2 * np.pi) / (2 * np.pi) * cut.epicardium.size)
        radius = float(cut.epicardium[index % cut.epicardium.size])
        x = cut.centre_mm[0] + radius * np.cos(angle)
        y = cut.centre_mm[1] + radius * np.sin(angle)
        found.append(
            (
                float((y - slab.centre_mm[1]) / pixel_mm + middle),
                float((x - slab.centre_mm[0]) / pixel_mm + middle),
            )
        )
    return InsertionPoints(anterior=found[0], inferior=found[1])


def _box(mask: FloatArray) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(
        row_start=int(rows[0]),
        row_stop=int(rows[-1]) + 1,
        column_start=int(columns[0]),
        column_stop=int(columns[-1]) + 1,
    )
