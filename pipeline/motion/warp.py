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


def displace(images: Tensor, field: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """Show in each pixel of a window what the image has at that pixel plus the field.

    Parameters
    ----------
    images
        [..., channel, row, column].
    field
        [..., (row, column), row out, column out] in pixels.
    origin
        Where the window begins on the image.

    Returns
    -------
    [..., channel, row out, column out].
    """
    lead, (height, width) = images.shape[:-3], field.shape[-2:]
    by = field.reshape(-1, 2, height, width)
    rows = torch.arange(height, dtype=images.dtype, device=images.device) + origin[0]
    columns = torch.arange(width, dtype=images.dtype, device=images.device) + origin[1]
    moved = sample(
        images.reshape(-1, *images.shape[-3:]), rows[:, None] + by[:, 0], columns + by[:, 1]
    )
    return moved.reshape(*lead, *moved.shape[1:])


def translate(
    images: Tensor, shift: Tensor, origin: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Cut the window at `origin` with `size` out of each image, displaced by `shift`.

    `shift` is [..., (row, column)] in pixels; otherwise as `displace`.
    """
    field = shift[..., None, None].expand(*shift.shape, *size)
    return displace(images, field, origin)
