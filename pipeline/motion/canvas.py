"""The part of the frames that is looked at: the heart box with room to move, evened out."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.result import Box

TAPER = 0.25
"""Share of the box, on each side, over which its pixels fade out of the comparison."""

SMOOTHING_PIXELS = 1.0
"""Gaussian SD. Without it, interpolation alone would make aligned frames look more alike."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """Frames around the heart box, prepared for comparison."""

    images: Tensor
    """[time, row, column]: the box with `margin` pixels on each side, scaled and smoothed."""
    weight: Tensor
    """Window on the box, 0 at its edge and 1 in the middle [row, column of the box]."""
    margin: tuple[int, int]
    """How far a frame can be displaced along rows and columns [pixel]; the box begins there."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the box."""
        return self.weight.shape[0], self.weight.shape[1]


def prepare(frames: Tensor, box: Box, margin: tuple[int, int]) -> Canvas:
    """Cut out the box with its margin and even out the range of brightness.

    The square root keeps the blood pools, up to ten times brighter than the wall, from being the
    only thing that counts.
    """
    down, across = margin
    padded = functional.pad(frames[:, None], (across, across, down, down), mode="replicate")[:, 0]
    height, width = box.shape
    cut = padded.narrow(1, box.row_start, height + 2 * down)
    cut = cut.narrow(2, box.column_start, width + 2 * across)
    scale = torch.quantile(cut[:, ::4, ::4].flatten(), 0.99).clamp_min(1e-6)
    even = torch.sqrt((cut / scale).clamp_min(0) + 0.02)
    return Canvas(images=_smooth(even), weight=_window(*box.shape, like=frames), margin=margin)


def _smooth(images: Tensor) -> Tensor:
    """Gaussian blur along both axes."""
    reach = round(3 * SMOOTHING_PIXELS)
    at = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (at / SMOOTHING_PIXELS) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(images[:, None], (reach,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernel[None, None, :, None])
    return functional.conv2d(rows, kernel[None, None, None, :])[:, 0]


def _window(height: int, width: int, *, like: Tensor) -> Tensor:
    """Fade out towards the edges of the box, as a raised cosine."""

    def along(n: int) -> Tensor:
        from_edge = torch.arange(n, dtype=like.dtype, device=like.device) + 0.5
        nearest = torch.minimum(from_edge, n - from_edge) / max(n * TAPER, 1.0)
        return 0.5 - 0.5 * torch.cos(torch.pi * nearest.clamp_max(1.0))

    return along(height)[:, None] * along(width)[None, :]
