"""Contrast without motion: the few images of which every aligned frame is a mixture.

Gadolinium changes how bright each part of the heart is, not where it is, so aligned frames lie
near a space of few dimensions (blood right, blood left, wall, and what never changes). What a
frame has outside this space is motion or noise. Projecting it away compares a frame with a
synthetic one of its own contrast (principal components as in doi 10.1109/TMI.2019.2897044).
"""

import torch
from torch import Tensor


def weigh(images: Tensor, weight: Tensor) -> Tensor:
    """Images [n, row, column] as vectors [n, pixel], scaled so that products are weighted sums."""
    return (images * weight.sqrt()).flatten(1)


def contrast_basis(vectors: Tensor, weight: Tensor, rank: int) -> Tensor:
    """Orthonormal basis [rank + 1, pixel] of the constant image and the strongest components.

    Every frame counts the same, however bright it is: it is scaled to unit length first.
    """
    constant = (weight.sqrt() / weight.sum().sqrt()).flatten()
    centred = vectors - (vectors @ constant)[:, None] * constant
    unit = centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-6)
    strength, mixture = torch.linalg.eigh(unit @ unit.T)
    kept = min(rank, unit.shape[0])
    components = mixture[:, -kept:].T @ unit
    components = components / strength[-kept:].clamp_min(1e-9).sqrt()[:, None]
    return torch.cat([constant[None], components])


def outside(vectors: Tensor, basis: Tensor) -> Tensor:
    """Take away from vectors [n, pixel] their projection on the basis."""
    return vectors - (vectors @ basis.T) @ basis


def unexplained(vectors: Tensor, basis: Tensor) -> Tensor:
    """Share of each frame's variance outside the space [n]; `basis[0]` is the constant."""
    variance = outside(vectors, basis[:1]).square().sum(1)
    return outside(vectors, basis).square().sum(1) / variance.clamp_min(1e-9)
