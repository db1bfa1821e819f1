"""One slice of one first pass: frames from anatomy and signals, and the truth about them."""

import numpy as np
from numpy.random import Generator

from pipeline.phantom.camera import REST_POSE, Camera, majority, pose_of
from pipeline.phantom.fields import Fields
from pipeline.phantom.flow import flow_of_labels
from pipeline.phantom.grid import OVERSAMPLING, Grid
from pipeline.phantom.heart import Heart, Region, contours, insertion_angles
from pipeline.phantom.imaging import Acquisition, magnitude_image, signal_image
from pipeline.phantom.labels import N_LABELS
from pipeline.phantom.movement import Movement
from pipeline.phantom.sectors import sector_labels
from pipeline.phantom.signals import Signals
from pipeline.phantom.tables import at_angle
from pipeline.phantom.truth import SliceTruth
from pipeline.phantom.undersampling import share_frames
from pipeline.result import Box, InsertionPoints, Regions, SliceLevel
from pipeline.study import BoolArray, FloatArray, IntArray


def render(
    rng: Generator,
    *,
    camera: Camera,
    movement: Movement,
    signals: Signals,
    coil: FloatArray,
    fields: Fields,
    acquisition: Acquisition,
    half_readout_s: float,
) -> tuple[FloatArray, IntArray]:
    """Frames [time, row, column] and their regions.

    `half_readout_s` is the time from the centre of k-space to its last line.
    """
    grid = camera.slab.grid
    pixel_mm = grid.fine_mm * OVERSAMPLING
    drift_pixels = movement.velocity_mm_s * half_readout_s / pixel_mm
    flip_error = fields.flip_error(grid)
    n_levels = signals.centre.shape[1]
    level = fields.frequency_level(grid) * N_LABELS if n_levels > 1 else np.int32(0)
    images, regions = [], []
    for number in range(signals.centre.shape[0]):
        view = camera.look(pose_of(movement, number))
        shade = view.texture * coil
        at = view.labels + level
        centre = signals.centre[number].reshape(-1)[at]
        centre += signals.by_flip[number].reshape(-1)[at] * flip_error
        images.append(
            signal_image(
                centre * shade,
                signals.slope[number].reshape(-1)[at] * shade,
                acquisition,
                fold=1 - 2 * (number % 2),
                drift_pixels=(float(drift_pixels[number, 0]), float(drift_pixels[number, 1])),
            )
        )
        regions.append(view.pixel_regions)
    shared = share_frames(
        np.stack(images),
        axis=acquisition.phase_axis,
        acceleration=acquisition.acceleration,
        trust=acquisition.trust,
    )
    frames = [magnitude_image(image, acquisition, rng) for image in shared]
    return np.stack(frames).astype(np.float32), np.stack(regions)


def slice_truth(
    *,
    heart: Heart,
    z_mm: float,
    level: SliceLevel,
    camera: Camera,
    movement: Movement,
    labels: IntArray,
    reference_frame: int,
    fields: bool,
) -> SliceTruth:
    """Gather the truth of one slice at its reference frame."""
    mask = majority(camera.fine_regions())
    wall = mask == Region.MYOCARDIUM
    points = insertion_points(heart, z_mm, camera.slab.grid)
    n_frames = movement.time_s.size
    return SliceTruth(
        reference_frame=reference_frame,
        peak_lv_frame=reference_frame,
        level=level,
        regions=Regions(
            myocardium=wall, lv_pool=mask == Region.LV_POOL, rv_pool=mask == Region.RV_POOL
        ),
        box=_box(mask > 0),
        insertion_points=points,
        sectors=sector_labels(wall, mask == Region.LV_POOL, points, level),
        mbf_ml_min_g=_mean_flow(camera, wall),
        displacement_mm=movement.displacement_mm,
        labels=labels,
        usable=movement.usable,
        field_mm=np.stack([camera.field_mm(pose_of(movement, n)) for n in range(n_frames)])
        if fields
        else None,
    )


def insertion_points(heart: Heart, z_mm: float, grid: Grid) -> InsertionPoints:
    """Where the RV wall leaves the epicardium, in pixels."""
    cut = contours(heart, z_mm)
    found = []
    for insertion in insertion_angles(heart, z_mm):
        angle = (insertion + np.pi) % (2 * np.pi) - np.pi
        radius = at_angle(cut.epicardium, angle)
        x = cut.centre_mm[0] + radius * float(np.cos(angle))
        y = cut.centre_mm[1] + radius * float(np.sin(angle))
        found.append(grid.to_pixel(x, y))
    return InsertionPoints(anterior=found[0], inferior=found[1])


def _mean_flow(camera: Camera, wall: BoolArray) -> FloatArray:
    """MBF of each pixel of the wall: the mean of its fine points that are wall."""
    size = wall.shape[0]
    flow = flow_of_labels()[camera.look(REST_POSE).labels]
    flow[camera.fine_regions() != Region.MYOCARDIUM] = np.nan
    grid = flow.reshape(size, OVERSAMPLING, size, OVERSAMPLING)
    blocks = grid.transpose(0, 2, 1, 3).reshape(size, size, -1)
    filled = np.maximum(np.isfinite(blocks).sum(axis=-1), 1)
    mean: FloatArray = np.where(wall, np.nansum(blocks, axis=-1) / filled, np.nan)
    return mean


def _box(mask: BoolArray) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(
        row_start=int(rows[0]),
        row_stop=int(rows[-1]) + 1,
        column_start=int(columns[0]),
        column_stop=int(columns[-1]) + 1,
    )
