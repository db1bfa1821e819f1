"""Resampling of images at displaced positions; displacements are (row, column) in pixels."""

import torch
from torch import Tensor
from torch.nn import functional


def sample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Interpolate images at given positions (cubic; the border value continues outside).

    Parameters
    ----------
    images
        [n, row, column].
    rows, columns
        Positions in pixels, centres whole, [n, row out, column out].

    Returns
    -------
    [n, row out, column out].
    """
    height, width = images.shape[-2:]
    grid = torch.stack(
        [2 * columns / max(width - 1, 1) - 1, 2 * rows / max(height - 1, 1) - 1], dim=-1
    )
    return functional.grid_sample(
        images[:, None], grid, mode="bicubic", padding_mode="border", align_corners=True
    )[:, 0]


def translate(
    images: Tensor, shift: Tensor, origin: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Cut the window at `origin` with `size` out of each image, displaced by `shift`.

    Parameters
    ----------
    images
        [n, row, column].
    shift
        [n, (row, column)] in pixels: output pixel x shows the image at x + shift.
    """
    rows = torch.arange(size[0], dtype=images.dtype, device=images.device) + origin[0]
    columns = torch.arange(size[1], dtype=images.dtype, device=images.device) + origin[1]
    n = images.shape[0]
    row_grid = (rows + shift[:, :1])[:, :, None].expand(n, *size)
    column_grid = (columns + shift[:, 1:])[:, None, :].expand(n, *size)
    return sample(images, row_grid, column_grid)
