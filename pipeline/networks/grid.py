"""From a series of any size, spacing and timing to the regular grid the networks see, and back.

Space: a square of `SIDE` pixels of `GRID_MM` around the heart. Time: `N_TIMES` moments at
`TIMES_S` round the peak of the left ventricle; before the first and after the last frame the
series is taken to stand still.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.networks.unet import N_TIMES
from pipeline.study import FloatArray

GRID_MM = 1.75
SIDE = 80
TIMES_S = np.linspace(-12.0, 18.0, N_TIMES)
"""Relative to the peak of the left ventricle."""
_CEILING = 4.0
"""Fat under the coil can be far brighter than any blood; there it carries no information."""


def at_times(frames: Tensor, time_s: Tensor, wanted_s: Tensor) -> Tensor:
    """Interpolate `frames` [time, ...] linearly at `wanted_s`, standing still outside."""
    after = torch.searchsorted(time_s, wanted_s).clamp(1, len(time_s) - 1)
    before = after - 1
    share = (wanted_s - time_s[before]) / (time_s[after] - time_s[before])
    share = share.clamp(0, 1).to(frames.dtype).reshape(-1, *(1 for _ in frames.shape[1:]))
    return torch.lerp(frames[before], frames[after], share)


def to_grid(
    frames: FloatArray,
    time_s: FloatArray,
    peak_s: float,
    centre: tuple[float, float],
    spacing_mm: tuple[float, float],
) -> Tensor:
    """Cut the network's input out of a series.

    Parameters
    ----------
    frames : [time, row, column]
    time_s : [time]
    peak_s
        Time of peak enhancement of the left ventricle.
    centre
        Of the heart, (row, column).
    spacing_mm
        Between rows, between columns.

    Returns
    -------
    [N_TIMES, SIDE, SIDE], normalised
    """
    series = torch.from_numpy(np.ascontiguousarray(frames, dtype=np.float32))
    moments = at_times(
        series, torch.from_numpy(np.ascontiguousarray(time_s)), torch.from_numpy(TIMES_S + peak_s)
    )
    place = _sampling(_offsets_mm(), centre, spacing_mm, (frames.shape[1], frames.shape[2]))
    cut = functional.grid_sample(
        moments[None], place[None], mode="bilinear", padding_mode="border", align_corners=True
    )
    return normalise(cut)[0]


def from_grid(
    maps: Tensor,
    centre: tuple[float, float],
    spacing_mm: tuple[float, float],
    shape: tuple[int, int],
) -> FloatArray:
    """Bring `maps` [channel, SIDE, SIDE] back to the pixels of the source, NaN outside."""
    rows = (torch.arange(shape[0]) - centre[0]) * spacing_mm[0] / GRID_MM
    columns = (torch.arange(shape[1]) - centre[1]) * spacing_mm[1] / GRID_MM
    half = (SIDE - 1) / 2
    place = torch.stack(torch.meshgrid(columns / half, rows / half, indexing="xy"), dim=-1).float()
    back = functional.grid_sample(
        maps[None].float(), place[None], mode="bilinear", padding_mode="border", align_corners=True
    )[0]
    back[:, (place.abs() > 1).any(dim=-1)] = float("nan")
    on_source: FloatArray = back.numpy()
    return on_source


def normalise(series: Tensor) -> Tensor:
    """Scale [batch, time, row, column] by the enhancement of the blood pools.

    The 98th percentile of the largest change over time within the inner circle: the pools fill
    more than a fiftieth of it, and neither vendor scaling nor dose is left in it.
    """
    side = series.shape[-1]
    along = torch.arange(side, device=series.device) - (side - 1) / 2
    inner = (along[:, None] ** 2 + along[None] ** 2) < (0.4 * side) ** 2
    change = series.amax(dim=1) - series.amin(dim=1)
    scale = torch.quantile(change[:, inner].float(), 0.98, dim=1).clamp_min(1e-6)
    return (series / scale[:, None, None, None]).clamp(0, _CEILING)


def _offsets_mm() -> Tensor:
    """Offsets of the grid's pixels from its centre [row, column, 2]."""
    along = (torch.arange(SIDE) - (SIDE - 1) / 2) * GRID_MM
    return torch.stack(torch.meshgrid(along, along, indexing="ij"), dim=-1)


def _sampling(
    offsets_mm: Tensor,
    centre: tuple[float, float],
    spacing_mm: tuple[float, float],
    shape: tuple[int, int],
) -> Tensor:
    """Positions as `grid_sample` wants them: (column, row), -1 to 1 over the image."""
    pixel = offsets_mm / torch.tensor(spacing_mm) + torch.tensor(centre)
    last = torch.tensor([shape[0] - 1, shape[1] - 1])
    return (2 * pixel / last - 1).flip(-1).float()
