"""What fills the cavity besides blood: walls that close round it, as at the end of systole.

Where papillary muscles and trabeculae are pressed against the wall, no signal tells them apart:
people outline the ventricle by its shape. To teach that, the picture is drawn inwards round the
pool while the outlines stay. Painted muscle would have an edge to be found, stretched wall has
none.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

_ANGLES = 96
_STEP = 0.5
"""Between samples along a ray, in pixels."""
_SMALLEST = 2.0
"""Mean radius below which there is no cavity to close, in pixels."""
_NARROWEST = 0.7
_DEEPEST = 4.6
"""Trabeculae and papillary muscles make no layer deeper than 8 mm, in pixels; what is thicker is
wall."""


def close_cavity(series: Tensor, pool: Tensor, wall: Tensor, narrowing: Tensor) -> Tensor:
    """Draw the wall inwards over the pool, its texture with it.

    Parameters
    ----------
    series : [batch, time, row, column]
    pool, wall : [batch, row, column]
        Share of each pixel; they say where the outlines are, and stay true of the result.
    narrowing : [batch, angle]
        By how much of its length each radius of the cavity becomes shorter, at equal angles.
    """
    side = series.shape[-1]
    along = torch.arange(side, device=series.device) - (side - 1) / 2
    rows, columns = torch.meshgrid(along, along, indexing="ij")
    area = pool.sum(dim=(1, 2)).clamp_min(1e-3)
    centre = torch.stack(
        [(pool * columns).sum(dim=(1, 2)) / area, (pool * rows).sum(dim=(1, 2)) / area], dim=1
    )
    offset = torch.stack([columns, rows], dim=-1)[None] - centre[:, None, None]
    radius = offset.norm(dim=-1).clamp_min(1e-3)
    angle = torch.atan2(offset[..., 1], offset[..., 0])
    inner, outer = _radii(pool, wall, centre)
    shorter = inner - (inner * narrowing.clamp(0, _NARROWEST)).clamp_max(_DEEPEST)
    inner, outer, shorter = (_at_angle(values, angle) for values in (inner, outer, shorter))
    stretched = inner + (radius - shorter) * (outer - inner) / (outer - shorter).clamp_min(1e-3)
    source = torch.where(radius < shorter, radius * inner / shorter.clamp_min(1e-3), stretched)
    source = torch.where(radius < outer, source, radius)
    place = centre[:, None, None] + offset * (source / radius)[..., None]
    closed = functional.grid_sample(series, place / ((side - 1) / 2), align_corners=True)
    return torch.where((inner.mean(dim=(1, 2)) > _SMALLEST)[:, None, None, None], closed, series)


def narrowing(mean: Tensor, waves: Tensor) -> Tensor:
    """Shorten radii unevenly: `mean` [batch], and harmonics [batch, order, cosine and sine].

    The first order shifts what is left of the cavity to one side; the higher ones make a star.
    """
    angles = torch.arange(_ANGLES, device=mean.device) * (2 * math.pi / _ANGLES)
    orders = torch.arange(1, waves.shape[1] + 1, device=mean.device)
    phases = orders[:, None] * angles
    uneven = torch.einsum("nk,ka->na", waves[..., 0], phases.cos())
    uneven = uneven + torch.einsum("nk,ka->na", waves[..., 1], phases.sin())
    return (mean[:, None] * (1 + uneven)).clamp(0, _NARROWEST)


def _radii(pool: Tensor, wall: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Radius of the pool and of its wall at each angle, [batch, angle], in pixels."""
    side = pool.shape[-1]
    angles = torch.arange(_ANGLES, device=pool.device) * (2 * math.pi / _ANGLES)
    steps = _STEP * (torch.arange(side, device=pool.device) + 0.5)
    ray = torch.stack([angles.cos(), angles.sin()], dim=-1)[:, None] * steps[:, None]
    place = (centre[:, None, None] + ray) / ((side - 1) / 2)
    met = functional.grid_sample(torch.stack([pool, wall], dim=1), place, align_corners=True)
    inner = _STEP * met[:, 0].sum(dim=-1)
    return inner, inner + _STEP * met[:, 1].sum(dim=-1)


def _at_angle(values: Tensor, angle: Tensor) -> Tensor:
    """Interpolate [batch, angle] at [batch, row, column], round the circle."""
    place = (angle / (2 * math.pi) * _ANGLES) % _ANGLES
    before = place.long() % _ANGLES
    flat = before.flatten(1)
    first = values.gather(1, flat).view_as(place)
    second = values.gather(1, (flat + 1) % _ANGLES).view_as(place)
    return torch.lerp(first, second, place - place.floor())
