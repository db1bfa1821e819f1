"""Looks at a slab: one fine picture of labels per frame, wherever the heart is then."""

from dataclasses import dataclass

import numpy as np

from pipeline.phantom.grid import OVERSAMPLING
from pipeline.phantom.heart import Region
from pipeline.phantom.movement import Movement
from pipeline.phantom.slab import CUT_SPACING_MM, N_CUTS, Slab
from pipeline.study import FloatArray, IntArray

# each of the 3 x 3 fine points of a pixel looks at another depth within the thickness of the
# slice, the middle one at its middle: partial volume through the slice at no cost
_DEPTH_ORDER = np.array([[0, 5, 7], [3, 4, 2], [6, 1, 8]])
_SYSTOLIC_RADIUS = 0.7


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where the heart is in one frame, relative to the slab."""

    breathing_mm: tuple[float, float]
    body_mm: tuple[float, float]
    """(row, column)."""
    rotation_rad: float
    through_mm: float
    contraction: float


REST_POSE = Pose(
    breathing_mm=(0.0, 0.0), body_mm=(0.0, 0.0), rotation_rad=0.0, through_mm=0.0, contraction=0.0
)


def pose_of(movement: Movement, frame: int) -> Pose:
    """Pose of one frame."""
    return Pose(
        breathing_mm=(
            float(movement.breathing_mm[frame, 0]),
            float(movement.breathing_mm[frame, 1]),
        ),
        body_mm=(float(movement.body_mm[frame, 0]), float(movement.body_mm[frame, 1])),
        rotation_rad=float(movement.rotation_rad[frame]),
        through_mm=float(movement.through_mm[frame]),
        contraction=float(movement.contraction[frame]),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """What one frame sees, on the fine grid [v, u]."""

    labels: IntArray
    texture: FloatArray
    pixel_regions: IntArray
    """`Region` at the centre of each pixel [row, column]."""


class Camera:
    """A slab and the thickness with which it is looked at."""

    def __init__(self, slab: Slab, thickness_mm: float) -> None:
        self.slab = slab
        grid = slab.grid
        self._axis = grid.to_picture(*slab.axis_mm)
        self._u = grid.u_mm - np.float32(self._axis[0])
        self._v = grid.v_mm - np.float32(self._axis[1])
        repeats = grid.u_mm.size // OVERSAMPLING
        depth = (_DEPTH_ORDER - 4) / 9.0 * thickness_mm
        self._depth = np.tile(depth, (repeats, repeats)).astype(np.float32)
        self._flat = {
            "labels": slab.labels.reshape(-1),
            "regions": slab.regions.reshape(-1),
            "texture": slab.texture.reshape(-1),
        }

    def look(self, pose: Pose) -> View:
        """Labels, texture and regions in one pose."""
        size = self._u.size
        u, v = self._source(self._u[None], self._v[:, None], self.slab.follows, pose)
        fine = self.slab.grid.fine_mm
        row = np.rint(v / fine + np.float32((self._axis[1] - self.slab.grid.v_mm[0]) / fine))
        column = np.rint(u / fine + np.float32((self._axis[0] - self.slab.grid.u_mm[0]) / fine))
        flat = np.clip(row, 0, size - 1).astype(np.int32) * size
        flat += np.clip(column, 0, size - 1).astype(np.int32)
        cut = np.rint((self._depth + np.float32(pose.through_mm)) / CUT_SPACING_MM)
        cut = np.clip(cut + N_CUTS // 2, 0, N_CUTS - 1).astype(np.int32)
        stacked = flat + cut * (size * size)
        middle = slice(OVERSAMPLING // 2, None, OVERSAMPLING)
        return View(
            labels=self._flat["labels"][stacked],
            texture=self._flat["texture"][flat],
            pixel_regions=self._flat["regions"][stacked[middle, middle]],
        )

    def fine_regions(self) -> IntArray:
        """`Region` of the fine grid in the slab's own pose, with the slice's thickness."""
        size = self._u.size
        cut = (np.rint(self._depth / CUT_SPACING_MM) + N_CUTS // 2).astype(np.int32)
        flat = np.arange(size * size, dtype=np.int32).reshape(size, size) + cut * (size * size)
        return self._flat["regions"][flat]

    def field_mm(self, pose: Pose) -> FloatArray:
        """Displacement of the tissue at each pixel of the slab's pose [2, row, column].

        `_source` says where a point of the picture came from; its inverse is found by fixed-point
        iteration, which converges because no displacement changes by more than its distance.
        """
        middle = slice(OVERSAMPLING // 2, None, OVERSAMPLING)
        u, v = np.meshgrid(self._u[middle], self._v[middle])
        to_u, to_v = u.copy(), v.copy()
        for _ in range(20):
            from_u, from_v = self._source(to_u, to_v, self._follows_at(to_u, to_v), pose)
            to_u, to_v = to_u + u - from_u, to_v + v - from_v
        return np.stack([to_v - v, to_u - u]).astype(np.float32)

    def _follows_at(self, u: FloatArray, v: FloatArray) -> FloatArray:
        fine, last = self.slab.grid.fine_mm, self._u.size - 1
        column = np.clip(np.rint((u - self._u[0]) / fine), 0, last).astype(int)
        row = np.clip(np.rint((v - self._v[0]) / fine), 0, last).astype(int)
        return self.slab.follows[row, column]

    def _source(
        self, u: FloatArray, v: FloatArray, follows: FloatArray, pose: Pose
    ) -> tuple[FloatArray, FloatArray]:
        """Where in the slab the tissue at picture point (u, v) is; from the LV axis [mm]."""
        down, right = (np.float32(value) for value in pose.breathing_mm)
        body_down, body_right = (np.float32(value) for value in pose.body_mm)
        turn = np.float32(pose.rotation_rad)
        at_u = u - body_right - follows * right
        at_v = v - body_down - follows * down
        if pose.rotation_rad != 0 or abs(pose.contraction) > 1e-3:
            square = at_u**2 + at_v**2
            near = self._nearness(square)
            turned = near * turn
            stretch = self._stretch(square, near, pose.contraction)
            at_u, at_v = stretch * (at_u + turned * at_v), stretch * (at_v - turned * at_u)
        return at_u, at_v

    def _nearness(self, square: FloatArray) -> FloatArray:
        """1 within the LV, 0 from 30 mm outside of it."""
        part = np.clip((np.sqrt(square) - self.slab.epicardium_mm) / 30.0, 0.0, 1.0)
        near: FloatArray = 1.0 - part * part * (3.0 - 2.0 * part)
        return near

    def _stretch(self, square: FloatArray, near: FloatArray, contraction: float) -> FloatArray:
        """Radial factor that keeps the area of the wall while the cavity changes."""
        cavity = self.slab.cavity_mm
        changed = cavity * (1.0 - (1.0 - _SYSTOLIC_RADIUS) * contraction)
        lost = np.float32(cavity**2 - changed**2)
        factor: FloatArray = np.sqrt(
            np.maximum(square + lost * near, 0.5) / np.maximum(square, 0.5)
        )
        return factor


def majority(fine: IntArray) -> IntArray:
    """Give each pixel the region that fills most of it [row, column]."""
    size = fine.shape[0] // OVERSAMPLING
    blocks = fine.reshape(size, OVERSAMPLING, size, OVERSAMPLING)
    counts = np.stack([(blocks == region).sum(axis=(1, 3)) for region in Region])
    return counts.argmax(axis=0).astype(np.uint8)
