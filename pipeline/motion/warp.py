"""Resampling of images at displaced positions; displacements are (row, column) in pixels."""

import torch
from torch import Tensor
from torch.nn import functional


def sample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Interpolate images at given positions (cubic; the border value continues outside).

    Parameters
    ----------
    images
        [n, channel, row, column].
    rows, columns
        Positions in pixels, centres whole, [n, row out, column out].

    Returns
    -------
    [n, channel, row out, column out].
    """
    height, width = images.shape[-2:]
    grid = torch.stack(
        [2 * columns / max(width - 1, 1) - 1, 2 * rows / max(height - 1, 1) - 1], dim=-1
    )
    return functional.grid_sample(
        images, grid, mode="bicubic", padding_mode="border", align_corners=True
    )


def translate(
    images: Tensor, shift: Tensor, origin: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Cut the window at `origin` with `size` out of each image, displaced by `shift`.

    Parameters
    ----------
    images
        [..., channel, row, column].
    shift
        [..., (row, column)] in pixels: output pixel x shows the image at x + shift.

    Returns
    -------
    [..., channel, row out, column out].
    """
    lead = images.shape[:-3]
    flat, by = images.flatten(0, -4), shift.flatten(0, -2)
    rows = torch.arange(size[0], dtype=images.dtype, device=images.device) + origin[0]
    columns = torch.arange(size[1], dtype=images.dtype, device=images.device) + origin[1]
    moved = sample(
        flat,
        (rows + by[:, :1])[:, :, None].expand(-1, -1, size[1]),
        (columns + by[:, 1:])[:, None, :].expand(-1, size[0], -1),
    )
    return moved.reshape(*lead, *moved.shape[1:])
